"""The runs that are to be compared: found by folder, pattern or name, read from their records.

Looks into no predictions.
"""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noria.common.errors import UserError, did_you_mean
from noria.config.moved import moved
from noria.tracking.record_file import DONE, FILE, PREDICTIONS, read_record

SMALLER = ("compress", "export")  # the stages that make an artifact of an artifact
MEASURED = ("fit", "evaluate", "search", *SMALLER)  # those that leave predictions


@dataclass(frozen=True)
class Run:
    """One run that is done and has left predictions: in its folder, or made of its artifact in another `file`."""

    folder: Path
    record: dict[str, Any]
    file: Path | None = None

    @property
    def config(self) -> dict[str, Any]:
        return dict(moved(self.record["config"]))

    @property
    def seed(self) -> int:
        return int(self.record["seed"])

    @property
    def predictions(self) -> Path:
        return self.file or self.folder / PREDICTIONS

    @property
    def splits(self) -> set[str]:
        """The splits that were measured, as the record says."""
        return {name.partition("/")[0] for name in self.record.get("metrics") or {}} - {"before"}

    @property
    def artifact(self) -> Path:
        """The model that was measured: in the run's own folder, or the one that an evaluation opened."""
        own = self.folder / "artifact"
        return own if own.is_dir() else Path(str((self.record.get("paths") or {}).get("artifact")))

    @property
    def training(self) -> Path:
        """The folder of the fit that the model comes from."""
        made_of = (self.record.get("paths") or {}).get("source") if self.record["stage"] in SMALLER else None
        return (Path(str(made_of)) if made_of else self.artifact).parent

    @property
    def costs(self) -> dict[str, dict[str, float]]:
        """What an artifact and the one that it was made of take on the machine that measured them, as `after` and
        `before`: `bytes` on disk, `p50_ms` of an example alone …; nothing of a model that was made of no other."""
        return dict(self.record.get("costs") or {})


def find_runs(words: Sequence[str], runs: Path) -> tuple[list[Run], list[str]]:
    """The runs that the words name, each once, in that order, and a sentence for what was left out.

    A word is a run folder, a folder of runs such as a sweep's, a pattern of those, or the name of a sweep or a run
    that lies in `runs`.

    Raises:
        UserError: a word names nothing, or no run is done.
    """
    folders: dict[Path, None] = {}
    for word in words:
        for folder in _folders(word, runs):
            folders[folder.resolve()] = None
    found: list[Run] = []
    left_out: Counter[str] = Counter()
    for folder in folders:
        record = read_record(folder)
        if record.get("stage") not in MEASURED:
            left_out[f"of stage={record.get('stage')}"] += 1
        elif record.get("status") != DONE:
            left_out[str(record.get("status"))] += 1
        elif not (folder / PREDICTIONS).is_file():
            left_out["without predictions"] += 1
        else:
            found.append(Run(folder, record))
    if not found:
        why = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
        raise UserError(f"stage.runs: none of the {len(folders)} runs can be compared ({why}).")
    return found, [f"Left out: {count} runs {reason}." for reason, count in left_out.items()]


def _folders(word: str, runs: Path) -> list[Path]:
    """The run folders behind one word."""
    path = Path(word).expanduser()
    places = [path] if path.is_dir() else [Path(place) for place in sorted(glob.glob(str(path)))]
    if not places:
        places = sorted(place for place in (runs / word, *runs.glob(f"*/{word}")) if place.is_dir())
    found = [folder for place in places for folder in _runs_in(place)]
    if found:
        return found
    if places:
        raise UserError(f"stage.runs: there is no run in {places[0]}: a run's folder holds a {FILE}.")
    names = [folder.name for folder in runs.glob("*/*") if folder.is_dir()]
    raise UserError(
        f"stage.runs: '{word}' is no folder, no pattern, and no name under {runs}. {did_you_mean(word, names)}"
    )


def _runs_in(place: Path) -> list[Path]:
    if (place / FILE).is_file():
        return [place]
    return sorted(path.parent for path in place.glob(f"*/{FILE}") if not path.parent.is_symlink())
