"""`stage=mine`: documents that a model takes for right and that are not, to learn from."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from annotated_types import Gt, Interval
from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from noria.artifact import bundle
from noria.common.console import get_console
from noria.common.errors import UserError
from noria.index.kind import vectors
from noria.index.negatives import hard_negatives
from noria.inference.outputs import Output
from noria.inference.runner import Runner
from noria.stage.base_model import save_base
from noria.stage.parts import device_of, own_kinds, precision_of
from noria.stage.run import open_record, recording


def mine(
    cfg: DictConfig,
    choices: dict[str, Any],
    multirun: bool,
    *,
    output: str,
    count: Annotated[int, Gt(0)] = 4,
    margin: Annotated[float, Interval(gt=0, le=1)] = 0.95,
    depth: Annotated[int, Gt(0)] = 100,
    overwrite: bool = False,
) -> None:
    """Writes the training pairs of `data` with hard negatives, as `data=pairs data.negatives=negatives` reads them.

    For each query the nearest documents by the model's own vectors that are not right for it. One that is nearly as
    near as the right one is likely right as well, and is left out: its cosine has to be below `margin` times that of
    the query's own document (Moreira et al. 2024, NV-Retriever, section 3.3, TopK-PercPos). A pair with fewer than
    `count` such documents is left out and counted.

    Args:
        output: a file, of JSON lines.
        depth: how many of the nearest documents are looked at.

    Raises:
        UserError: the artifact makes no vectors, the data are no pairs, or no pair is left.
    """
    record = open_record(cfg, "mine", choices)
    with recording(record), Output(output, str(cfg.data.get("path")), overwrite) as out:
        source = Path(cfg.artifact) if cfg.artifact else record.folder / "model"
        if not cfg.artifact:
            save_base(cfg, choices, source, with_data=False)
        opened = bundle.open_artifact(source, own_kinds(cfg))
        if not opened.form.makes_vectors:
            raise UserError(f"artifact={source} makes no vectors of texts: train one with task=embedding.")
        runner = Runner(opened, precision_of(cfg), device_of(cfg))
        data = instantiate(cfg.data).bind(opened.form, opened.tokenizer, cfg.seed)
        rows = opened.form.clean(data.read(), data.written)["train"]
        queries, documents = rows.texts, rows.pairs or []
        with Progress(*_COLUMNS, console=get_console(), transient=True) as bar:
            asked = _encoded(runner, queries, "query", bar)
            made = _encoded(runner, documents, "document", bar)
            written = 0
            for row in hard_negatives(queries, documents, asked, made, count, margin, depth):
                out.write(row)
                written += 1
        if not written:
            raise UserError(
                f"{rows.where}: no pair has {count} negatives below stage.margin={margin}: raise it, or stage.depth."
            )
        if not cfg.artifact:
            shutil.rmtree(source)
        record.update(mined={"pairs": len(rows), "written": written, "left_out": len(rows) - written})
        console = get_console()
        console.print(f"{written:,} of {len(rows):,} pairs with {count} negatives each: {output}", highlight=False)
        typed = f"noria task=embedding data=pairs data.path={output} data.negatives=negatives"
        console.print(f"next:     {typed}", highlight=False, markup=False)


_COLUMNS = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())


def _encoded(runner: Runner, texts: list[str], role: str, bar: Progress) -> np.ndarray:
    """The vectors of texts, each different one made once."""
    different = list(dict.fromkeys(texts))
    task = bar.add_task(f"Encoding, each {role}", total=len(different))
    made = vectors(runner, different, role, partial(bar.advance, task))
    place = {text: number for number, text in enumerate(different)}
    return made[[place[text] for text in texts]]
