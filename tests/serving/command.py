"""The command line, in a folder."""

from __future__ import annotations

import os
from pathlib import Path

from noria.cli.main import main


def noria(folder: Path, *words: str) -> int:
    """Runs one command there; returns its exit status."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        return main([*words])
    finally:
        os.chdir(before)
