"""`stage=index`: documents become an index that is searched, or an index gets more of them, or fewer."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
from annotated_types import Ge, Gt, Interval
from omegaconf import DictConfig
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from noria.artifact import bundle
from noria.common.console import get_console
from noria.common.errors import UserError
from noria.common.names import ARTIFACT_FILE
from noria.common.swap import replace_folder
from noria.index import folder as folder_room
from noria.index.documents import ID, TEXT, TITLE, read_documents, without
from noria.index.folder import PLACE, Index, Shape, open_index
from noria.index.form import SearchForm
from noria.index.kind import READER, RERANKER, Search, vectors
from noria.index.lexical import check_language
from noria.index.passages import passages
from noria.inference.runner import Runner
from noria.stage.base_model import save_base
from noria.stage.parts import device_of, own_kinds, precision_of
from noria.stage.run import open_record, recording, shareable
from noria.tracking.environment import versions
from noria.tracking.record import Record


def index(
    cfg: DictConfig,
    choices: dict[str, Any],
    multirun: bool,
    *,
    documents: str | None = None,
    text: str = "text",
    title: str | None = None,
    id: str | None = None,
    delete: Sequence[str | int] = (),
    output: str | None = None,
    overwrite: bool = False,
    mode: Literal["hybrid", "lexical", "dense"] = "hybrid",
    count: Annotated[int, Gt(0)] = 10,
    vectors: Literal["fp32", "int8", "binary", "hnsw"] | None = None,
    passage_tokens: Annotated[int, Gt(0)] = 254,
    passage_overlap: Annotated[int, Ge(0)] = 40,
    language: str | None = "english",
    k1: Annotated[float, Gt(0)] = 1.5,
    b: Annotated[float, Interval(ge=0, le=1)] = 0.75,
    reranker: str | None = None,
    reader: str | None = None,
) -> None:
    """Makes an index with the model of `artifact`, or with a model as it comes; where `artifact` is an index, that one
    with documents added or left out.

    The index holds its model: nothing else can be asked of it by mistake. It is written beside its place and moved
    there whole.

    Args:
        documents: a folder with a collection, or a table file, with the columns `text`, `title` and `id`.
        delete: ids of documents that are left out.
        output: where the index goes; None: into the run's folder, and a changed index into its own place.
        overwrite: an index that lies at `output` gives way; False refuses that.
        mode, count: how it is searched where a query does not say it.
        vectors, passage_tokens, passage_overlap, language, k1, b: as `noria.index.folder.Shape` takes them.
        reranker, reader: artifacts that are copied into it: a classifier or regression of pairs orders the first
            documents anew, a model that answers questions looks for the answer in them.

    Raises:
        UserError: there is nothing to do, the documents cannot be read, an id is not there, the artifact is no model of
            texts as vectors, or something lies at `output`.
    """
    check_language(language)
    gone = [str(one) for one in delete]  # Hydra reads ids of digits as numbers
    shape = Shape(passage_tokens, passage_overlap, k1, b, language, vectors)
    record = open_record(cfg, "index", choices)
    with recording(record):
        source = Path(cfg.artifact) if cfg.artifact else record.folder / "model"
        if not cfg.artifact:
            save_base(cfg, choices, source, with_data=False)
        facts = bundle.read_facts(source)
        kind = bundle.open_kind(source, facts, own_kinds(cfg))
        if documents is None and not gone:
            raise UserError("stage=index has nothing to do: stage.documents=<folder or file> names what is indexed.")
        table = None if documents is None else read_documents(documents, text, title, id)
        if isinstance(kind, Search):
            goal = Path(output) if output else source
            form, shape = kind.form, kind.form.shape
        elif kind.form.makes_vectors:
            goal = Path(output) if output else record.folder / PLACE
            encoder = {"kind": bundle.class_path(kind), "form": kind.form.path(), "settings": kind.form.settings()}
            form = SearchForm(encoder=encoder, shape=shape.__dict__, mode=mode, count=count)
        else:
            raise UserError(f"artifact={source} makes no vectors of texts: train one with task=embedding.")
        if goal.resolve() != source.resolve():
            _refuse_taken(goal, overwrite)
        runner = _encoder(cfg, source, facts, form)
        with Progress(*_COLUMNS, console=get_console(), transient=True) as bar:
            made = _made(source, kind, shape, table, gone, runner, facts["max_length"], bar)
        parts = {RERANKER: reranker, READER: reader}
        said = _written(goal, source, form, made, {k: v for k, v in parts.items() if v}, cfg, choices, facts)
        if not cfg.artifact:
            shutil.rmtree(source)
        record.data["paths"]["artifact"] = str(goal)
        record.update(index=said)
        _say(record, goal, said)


_COLUMNS = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())


def _refuse_taken(goal: Path, overwrite: bool) -> None:
    """Refuses to write over what is there, but for an index where that is meant."""
    if not goal.exists():
        return
    if not (goal / PLACE).is_dir() or not (goal / ARTIFACT_FILE).is_file():
        raise UserError(f"stage.output={goal} is there already and is no index: name another folder.")
    if not overwrite:
        raise UserError(f"stage.output={goal} is an index already: stage.overwrite=true writes it anew.")


def _encoder(cfg: DictConfig, source: Path, facts: dict[str, Any], form: SearchForm) -> Runner:
    opened = bundle.open_artifact(source, own_kinds(cfg))
    kind = bundle.open_kind(source, dict(form.encoder), own_kinds(cfg))
    artifact = bundle.Artifact(source, facts, opened.network, opened.tokenizer, kind)
    return Runner(artifact, precision_of(cfg), device_of(cfg))


def _made(
    source: Path,
    kind: Any,
    shape: Shape,
    table: pa.Table | None,
    delete: Sequence[str],
    runner: Runner,
    max_length: int,
    bar: Progress,
) -> Index:
    """The index in memory; only new documents are read by the model."""

    def encode(texts: list[str]) -> np.ndarray:
        task = bar.add_task("Encoding passages", total=len(texts))
        return vectors(runner, texts, "document", partial(bar.advance, task))

    def cut(texts: list[str]) -> np.ndarray:
        (taken,) = runner.encoded([{"text": "", "as": "document"}]).lengths.tolist()  # its prompt and special tokens
        return passages(
            texts, runner.tokenizer, min(shape.passage_tokens, max(max_length - taken, 1)), shape.passage_overlap
        )

    if not isinstance(kind, Search):
        if delete:
            raise UserError("stage.delete takes documents out of an index: artifact=<index> names it.")
        assert table is not None
        return folder_room.made(shape, table, cut, encode)
    found = open_index(source, shape)
    if unknown := [one for one in delete if one not in found.numbers]:
        raise UserError(f"stage.delete: no document of the index has the id '{unknown[0]}'.")
    replaced = [] if table is None else [one for one in table[ID].to_pylist() if one in found.numbers]
    stays = np.array(without(found.documents, [*delete, *replaced]), bool)
    return folder_room.changed(found, stays, table, cut, encode)


def _written(
    goal: Path,
    source: Path,
    form: SearchForm,
    made: Index,
    parts: dict[str, str],
    cfg: DictConfig,
    choices: dict[str, Any],
    facts: dict[str, Any],
) -> dict[str, Any]:
    """The index's folder, with its model and what stands beside it; what is said of it."""
    goal.parent.mkdir(parents=True, exist_ok=True)
    own = (ID, TITLE, TEXT)
    form.shape = made.shape
    form.columns = {one.name: str(one.type) for one in made.documents.schema if one.name not in own}
    building = goal.with_name(f".{goal.name}.{os.getpid()}")
    for half in goal.parent.glob(f".{goal.name}.*"):  # a kill has left it
        shutil.rmtree(half, ignore_errors=True)
    shutil.copytree(source, building, ignore=shutil.ignore_patterns(PLACE))
    (building / PLACE).mkdir()
    made.save(building / PLACE)
    for name, path in parts.items():
        bundle.read_facts(Path(path))
        shutil.rmtree(building / name, ignore_errors=True)
        shutil.copytree(path, building / name)
    said = folder_room.facts(made)
    names = ("max_length", "precision", "data", "model", bundle.BACKEND, bundle.SOURCE, "gate")
    kept: dict[str, Any] = {name: facts[name] for name in names if name in facts}
    described: dict[str, Any] = {
        "format": bundle.FORMAT,
        "kind": bundle.class_path(Search()),
        "settings": form.settings(),
        **kept,
        "config": shareable(cfg),
        "choices": choices,
        "index": said,
        "versions": versions(),
    }
    bundle.write_facts(building, described)
    replace_folder(building, goal)
    return said


def _say(record: Record, goal: Path, said: dict[str, Any]) -> None:
    console = get_console()
    console.print(
        f"{said['documents']:,} documents in {said['passages']:,} passages ({said['vectors']})", highlight=False
    )
    console.print(f"index:    {goal}", highlight=False, markup=False)
    console.print(f"next:     noria stage=predict artifact={goal} input=queries.txt", highlight=False, markup=False)
    console.print(f"          noria stage=serve artifact={goal}", highlight=False, markup=False)
    console.print(f"record:   {record.folder / 'record.json'}", highlight=False, markup=False)
