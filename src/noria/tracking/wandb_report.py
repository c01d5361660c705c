"""A W&B Report of a comparison: its table beside live panels of the runs. Only an online run can have one."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from noria.tracking.wandb_logger import live_run

log = logging.getLogger(__name__)


def publish(title: str, text: str, groups: Sequence[str], metric: str) -> str | None:
    """Saves the report and gives its URL; None without a live online run, without the package, or when W&B refuses.

    Args:
        text: Markdown.
        groups: the W&B groups (sweeps, experiments) whose runs are shown.
        metric: such as `val/accuracy`.
    """
    run = live_run()
    if run is None or run.settings._offline:
        return None
    try:
        made = build(title, text, groups, metric, str(run.entity), str(run.project))
        made.save()
        return str(made.url)
    except ImportError:
        log.info("pip install wandb-workspaces gives every comparison a report in W&B as well.")
    except Exception as error:  # the comparison itself is done: W&B's refusal does not undo it
        log.warning("W&B took no report: %s", " ".join(str(error).split())[:200])
    return None


def build(title: str, text: str, groups: Sequence[str], metric: str, entity: str, project: str) -> Any:
    """The report, not yet saved.

    Raises:
        ImportError: wandb-workspaces is not installed.
    """
    import wandb_workspaces.reports.v2 as reports

    shown = [
        reports.Runset(entity=entity, project=project, name=group, filters=f"Group == '{group}'") for group in groups
    ]
    panels: list[Any] = [
        reports.LinePlot(x="trainer/global_step", y=[metric]),
        reports.LinePlot(x="trainer/global_step", y=["val/loss"]),
    ]
    blocks: list[Any] = [reports.MarkdownBlock(text=text), reports.PanelGrid(runsets=shown, panels=panels)]
    return reports.Report(project=project, entity=entity, title=title, blocks=blocks)
