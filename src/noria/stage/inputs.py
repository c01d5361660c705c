"""What a run learns from, as its record holds it; a run that goes on has to find the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noria.common.console import get_console
from noria.common.errors import UserError
from noria.data.batch.tokens import tokenizer_fingerprint
from noria.data.module import DataModule
from noria.model.pretrained import Pretrained
from noria.sweep.identity import own_sources
from noria.tracking.record_file import read_record

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SHOWN = 8  # labels in a message


def input_facts(
    config: Mapping[str, Any], data: DataModule, tokenizer: PreTrainedTokenizerBase, pretrained: Pretrained
) -> dict[str, Any]:
    """For the record: the data's fingerprints, the tokenizer's, its chat template's, and those of the model's files and
    of the source of the user's own components."""
    template = tokenizer.chat_template
    return {
        "data": {**data_facts(data), "columns": data.column_prints},
        "tokenizer": {
            "fingerprint": tokenizer_fingerprint(tokenizer),
            "template": hashlib.sha256(repr(template).encode()).hexdigest() if template else None,
        },
        "model": {"revision": pretrained.revision, "files": file_prints(pretrained)},
        "own_code": {name: _sha256(path, path.stat().st_mtime_ns) for name, path in own_sources(config).items()},
    }


def file_prints(pretrained: Pretrained) -> dict[str, str]:
    """The sha256 (hex) of each file that a model's network is made of."""
    return {path.name: _sha256(path, path.stat().st_mtime_ns) for path in pretrained.files()}


def refuse_other_inputs(run: Path, now: Mapping[str, Any]) -> None:
    """Refuses to go on where what a run began with has changed since: the rest of it would be another run.

    What the record of an older Noria does not hold cannot be compared; that is said. So is a component of the user's
    own that was edited: it may be mended while its run waits.

    Args:
        run: the run's folder.
        now: `input_facts` of what there is now.

    Raises:
        UserError: names what has changed, and both ways out.
    """
    before = read_record(run)
    if changed := [*_data_changes(before.get("data") or {}, now["data"]), *_model_changes(before, now)]:
        lines = "\n".join(f"  {line}" for line in changed)
        raise UserError(
            f"resume={run}: what this run learns from has changed since it began:\n{lines}\n"
            "Put back what there was, or start a new run: the same command without resume."
        )
    if "tokenizer" not in before:
        _warn(
            f"The record of {run} is of an older Noria and holds no fingerprints of the tokenizer and the model's "
            "files: whether they are those that it began with is not known."
        )
    code = before.get("own_code", now["own_code"])
    if edited := sorted(name for name, found in now["own_code"].items() if code.get(name) != found):
        _warn(f"Edited since this run began: {', '.join(edited)}. The rest of it runs the code as it is now.")


def _warn(said: str) -> None:
    get_console().print(said, style="yellow", highlight=False, markup=False)


def _data_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    if (was := before.get("labels") or []) != (are := now.get("labels") or []):
        yield f"the labels: they were {_listed(was)}; they are {_listed(are)}"
    prints = before.get("fingerprints") or {}
    for split in sorted({*prints, *now["fingerprints"]} if prints else ()):
        if prints.get(split) == now["fingerprints"].get(split):
            continue
        counts = [str((facts.get("rows") or {}).get(split, 0)) for facts in (before, now)]
        *others, last = (before.get("columns") or {}).get(split) or [None]
        *others_now, last_now = now["columns"].get(split) or [None]
        if counts[0] != counts[1]:
            yield f"rows of {split}: there were {counts[0]}, there are {counts[1]}"
        elif others and others == others_now and last != last_now and now.get("labels"):
            yield f"labels of rows of {split}, whose texts are as they were"
        else:
            yield f"rows of {split}: there are as many, and they are not the same"


def _model_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    tokenizer, model = before.get("tokenizer") or {}, before.get("model") or {}
    if "template" in tokenizer and tokenizer["template"] != now["tokenizer"]["template"]:
        yield "the template that writes conversations as text"
    if "fingerprint" in tokenizer and tokenizer["fingerprint"] != now["tokenizer"]["fingerprint"]:
        yield "the tokenizer"
    if "revision" in model and model["revision"] != now["model"]["revision"]:
        yield f"the model's revision: it was {model['revision']}, it is {now['model']['revision']}"
    files, files_now = model.get("files"), now["model"]["files"]
    if files is not None and files != files_now:
        other = sorted(name for name in {*files, *files_now} if files.get(name) != files_now.get(name))
        yield f"the model's files: {', '.join(other)}"
    teacher, teacher_now = (facts.get("teacher") or {} for facts in (before, now))
    if teacher.get("files") != teacher_now.get("files"):
        yield f"the teacher's files ({teacher_now.get('folder')})"


def _listed(labels: list[str]) -> str:
    return ", ".join(map(str, labels[:SHOWN])) + (f" … ({len(labels)} in all)" if len(labels) > SHOWN else "")


@cache
def _sha256(path: Path, modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def data_facts(data: DataModule) -> dict[str, Any]:
    """What the record says of the data."""
    labels = {"labels": data.labels} if data.labels else {}
    return {"fingerprint": data.fingerprint, "fingerprints": data.fingerprints, **labels, **data.report}
