"""Where Noria's own files lie: the shipped `conf/`, the cache, packaged models. Knows nothing of runs."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from noria.common.errors import UserError

PACKAGE_PREFIX = "package:"


def conf_dir() -> Path:
    """The folder of the shipped configs: inside the wheel, or at the top of a source checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "conf"
    return installed if installed.is_dir() else package.parents[1] / "conf"


def cache_dir() -> Path:
    """Where tokens and converted weights are kept: `$NORIA_CACHE`, else the user's cache folder."""
    if cache := os.environ.get("NORIA_CACHE"):
        return Path(cache).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "noria"


def packaged(path: str) -> Path:
    """The folder or file meant by `package/inner/path`, found without importing the package.

    Raises:
        UserError: the package is not installed, or holds no such path.
    """
    package, _, inner = path.partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(f"The package '{package}' is not installed: run `pip install {package.replace('_', '-')}`.")
    found = Path(next(iter(spec.submodule_search_locations))) / inner
    if not found.exists():
        raise UserError(f"The package '{package}' holds no '{inner}' (looked at {found}).")
    return found


def remove_if_empty(folder: Path) -> None:
    """Removes a run's folder, its experiment's and `runs`, as far as nothing lies in them; never where we are."""
    here = Path.cwd()
    for path in (folder, folder.parent, folder.parent.parent):
        if here.is_relative_to(path.resolve()):
            return
        try:
            path.rmdir()
        except OSError:
            return
