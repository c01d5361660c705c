"""`stage=evaluate`: measure an artifact on a split of any data that fits it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
from hydra.utils import instantiate
from omegaconf import DictConfig

from noria.artifact import bundle
from noria.common.console import get_console
from noria.common.errors import UserError
from noria.model.limits import limit_length
from noria.report import show
from noria.stage.base_model import save_base
from noria.stage.inputs import data_facts
from noria.stage.measure import evaluate_and_record
from noria.stage.parts import make_loggers, make_metrics, open_form, own_kinds, precision_of, run_info, summary_modes
from noria.stage.run import open_record, recording
from noria.stage.seen_rows import trained_on


def evaluate(
    cfg: DictConfig, choices: dict[str, Any], multirun: bool, *, split: Literal["train", "val", "test"] = "test"
) -> None:
    """The artifact's saved config is the base; what was typed overrides it. Without an artifact the model itself is
    measured, where its answers mean something as it comes.

    How its model reads texts (`data.max_length`, the chat template) stays the artifact's, whichever data is typed,
    unless the key itself is typed: then it is said that this is not what the model was trained with.

    Args:
        split: which rows; looking at `test` is counted.

    Raises:
        UserError: no such split; the data's labels are not the artifact's.
    """
    if cfg.artifact:
        bundle.read_facts(Path(cfg.artifact))
    record = open_record(cfg, "evaluate", choices)
    with recording(record):
        artifact = Path(cfg.artifact or record.folder / "artifact")
        if not cfg.artifact:
            save_base(cfg, choices, artifact)
        facts = bundle.read_facts(artifact)
        record.data["paths"]["artifact"] = str(artifact)
        pl.seed_everything(cfg.seed, workers=True, verbose=False)

        tokenizer = bundle.open_tokenizer(artifact)
        data = instantiate(cfg.data).bind(open_form(artifact, cfg), tokenizer, cfg.seed)
        data.setup()
        if split not in data.splits:
            raise UserError(f"stage.split={split}: this data has no such split, only {', '.join(data.splits)}.")
        if data.max_length > facts["max_length"]:
            limit_length(bundle.open_artifact(artifact, own_kinds(cfg)).network, tokenizer, data.max_length)
        data.encoded(split)  # it finds rows that are too long
        show.data(data)
        _say_what_differs(cfg, facts, split)
        seen = trained_on(artifact, data.splits[split])
        if seen:
            get_console().print(
                f"The artifact was trained on {seen:,} of these {len(data.splits[split]):,} texts: "
                "what is measured is partly memory.",
                style="yellow",
            )
        record.update(data={**data_facts(data), "rows_trained_on": seen})

        metrics = make_metrics(cfg.metric)
        make_loggers(cfg.get("logger"), run_info(cfg, record, "evaluate", summary_modes(metrics)))
        evaluate_and_record(cfg, artifact, data, [split], metrics, record, precision_of(cfg))
        show.metrics(record)
        show.where(record)


def _say_what_differs(cfg: DictConfig, facts: dict[str, Any], split: str) -> None:
    """How the model is made to read texts in another way than it was trained to, and what was typed for nothing."""
    limit = cfg.data.get("limit")
    if split != "train" and limit is not None and limit != facts["config"].get("data", {}).get("limit"):
        said = f"data.limit={limit} was typed and limits train alone: data.eval_limit limits {split}."
        get_console().print(said, style="yellow", highlight=False)
    length, template = cfg.data.get("max_length"), cfg.data.get("chat_template")
    if length is not None and length != facts["max_length"]:
        trained = f"the model was trained at {facts['max_length']}, which is what it uses elsewhere"
        get_console().print(f"data.max_length={length} was typed; {trained}.", style="yellow", highlight=False)
    if template is not None:
        said = f"data.chat_template={template} was typed and is used in place of the artifact's own template."
        get_console().print(said, style="yellow", highlight=False)
