"""`stage=search`: measures an index on judged queries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.parquet as pq
from annotated_types import Gt
from omegaconf import DictConfig
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from noria.artifact import bundle
from noria.common.console import get_console
from noria.common.errors import UserError
from noria.data.collection.collection import Collection, Document
from noria.data.collection.queries import read_queries
from noria.data.collection.read import read_collection
from noria.data.rows.rows import Rows
from noria.data.rows.split import KEY, keyed
from noria.index.documents import ID, contents
from noria.index.kind import Asked
from noria.index.ranking import Ranking, relevant_ranks
from noria.index.search import Mode
from noria.inference.runner import Runner
from noria.report import show
from noria.stage.parts import device_of, make_metrics, precision_of
from noria.stage.run import open_record, recording
from noria.task.form import FORM
from noria.tracking.record_file import PREDICTIONS

STEP = 32  # queries at a time


def search(
    cfg: DictConfig,
    choices: dict[str, Any],
    multirun: bool,
    *,
    queries: str,
    judgements: str | None = None,
    split: str = "test",
    mode: Mode | None = None,
    depth: Annotated[int, Gt(0)] = 1000,
) -> None:
    """Asks an index all queries of a collection, and measures where the documents stand that are relevant to each.

    `predictions.parquet` has a line a query, so that `stage=compare` tells two searches apart. A query that stands in
    the index as a document is left out of its own results.

    Args:
        queries: a folder with a collection, in BEIR's format or SMART's; or with `judgements` a table file with the
            columns `id` and `query`.
        judgements: a file that says which documents of the index are relevant to which query, as TREC has them.
        split: of a collection in BEIR's format.
        mode: None: the index's own.
        depth: documents of each query's ranking.

    Raises:
        UserError: the artifact is no index, or a judged document is not in it.
    """
    record = open_record(cfg, "search", choices)
    with recording(record):
        opened = bundle.open_artifact(Path(cfg.artifact))
        record.data["paths"]["artifact"] = str(cfg.artifact)
        asked = Runner(opened, precision_of(cfg), device_of(cfg)).answerer
        if not isinstance(asked, Asked):
            raise UserError(f"artifact={cfg.artifact} is no index: stage=index makes one.")
        if judgements:
            ids = asked.searcher.index.documents[ID].to_pylist()
            found = read_queries(queries, judgements, [Document(one, "", "") for one in ids])
        else:
            found = read_collection(queries, split)
        rankings = _rankings(asked, found, mode or asked.form.mode, depth)
        table = _table(asked, found, rankings)
        answers = opened.form.read(table)
        metrics = {name: metric.estimate(answers) for name, metric in make_metrics(cfg.metric).items()}
        record.data["metrics"] |= {f"test/{name}": estimate.as_dict() for name, estimate in metrics.items()}
        described = {"form": opened.form.path(), "settings": opened.form.settings()}
        path = record.folder / PREDICTIONS
        pq.write_table(table.replace_schema_metadata({FORM: json.dumps(described).encode()}), path)
        record.data["paths"]["predictions"] = str(path)
        said = {"queries": len(found.queries), "documents": asked.searcher.index.documents.num_rows}
        how = {"mode": mode or asked.form.mode, "index": str(Path(cfg.artifact).resolve())}
        record.update(search={**said, **how, "left_out": dict(found.left_out)}, measured_with=how)
        for reason, count in found.left_out.items():
            get_console().print(f"left out: {count} {reason}", style="yellow", highlight=False, markup=False)
        show.metrics(record)
        show.where(record)


def _rankings(asked: Asked, found: Collection, mode: Mode, depth: int) -> list[Ranking]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    rankings: list[Ranking] = []
    with Progress(*columns, console=get_console(), transient=True) as bar:
        task = bar.add_task("Searching", total=len(found.queries))
        for start in range(0, len(found.queries), STEP):
            part = found.queries[start : start + STEP]
            rankings += asked.searcher.search([query.text for query in part], mode, depth)
            bar.advance(task, len(part))
    return rankings


def _table(asked: Asked, found: Collection, rankings: list[Ranking]) -> pa.Table:
    """The relevant documents of each query, and where they stand."""
    index = asked.searcher.index
    texts = contents(index.documents)
    same: dict[str, list[int]] = {}
    for number, text in enumerate(texts):
        same.setdefault(text, []).append(number)
    rows: dict[str, list[Any]] = {name: [] for name in ("grades", "above", "tied")}
    for query, ranking in zip(found.queries, rankings, strict=True):
        relevant = found.judged[query.id]
        if missing := next((one for one in relevant if one not in index.numbers), None):
            raise UserError(f"{found.where}: the document '{missing}' is judged, and the index does not have it.")
        itself = {*same.get(query.text, []), *([index.numbers[query.id]] if _is_itself(index, query) else [])}
        keep = [place for place, number in enumerate(ranking.documents.tolist()) if number not in itself]
        wanted = {one: grade for one, grade in relevant.items() if index.numbers[one] not in itself}
        above, tied = relevant_ranks(Ranking(*(part[keep] for part in ranking)), [index.numbers[one] for one in wanted])
        rows["grades"].append([float(grade) for grade in wanted.values()])
        rows["above"].append(above)
        rows["tied"].append(tied)
    ids = [f"queries:{query.id}" for query in found.queries]
    asked_for = Rows(pa.table({"id": ids, "text": [query.text for query in found.queries]}), found.where)
    columns = {"id": pa.array(ids), "key": keyed(asked_for).table[KEY], "split": pa.array(["test"] * len(ids))}
    lists = {"grades": pa.float64(), "above": pa.float64(), "tied": pa.int64()}
    return pa.table({**columns, **{name: pa.array(rows[name], pa.list_(kind)) for name, kind in lists.items()}})


def _is_itself(index: Any, query: Any) -> bool:
    """Whether the document with the query's id is the query."""
    number = index.numbers.get(query.id)
    return number is not None and query.text in contents(index.documents.slice(number, 1))[0]
