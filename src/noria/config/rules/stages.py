"""Rules on what a stage is given: resume, artifact, input. Do not look into the files."""

from __future__ import annotations

from typing import Any

from noria.common.hardware import Machine
from noria.config.rules.facts import at, attributes, stage, trains
from noria.config.rules.registry import rule

READS_ARTIFACT = ("compress", "evaluate", "export", "predict", "search", "serve", "cycle")
PARTS = {
    "noria.stage.fit.fit": ("data", "model", "metric", "task", "optimizer", "scheduler", "trainer"),
    "noria.stage.evaluate.evaluate": ("data", "metric", "trainer"),
    "noria.stage.predict.predict": ("data", "trainer"),
    "noria.stage.compress.compress": ("data", "model", "metric", "task", "optimizer", "scheduler", "trainer"),
    "noria.stage.export.export": ("data", "metric", "trainer"),
    "noria.stage.serve.serve": ("trainer",),
    "noria.stage.index.index": ("model", "task", "trainer"),
    "noria.stage.mine.mine": ("data", "model", "task", "trainer"),
    "noria.stage.search.search": ("metric", "trainer"),
    "noria.stage.cycle.cycle": ("data", "model", "task", "optimizer", "scheduler", "trainer"),
}
LISTS = ("metric",)  # several choices, each with a name


@rule
def part_that_is_left_out(config: dict[str, Any], machine: Machine) -> str | None:
    """A group that the stage is made of is empty (`~model`, `metric=[]`)."""
    parts = PARTS.get(str(at(config, "stage._target_")), ())
    absent = [part for part in parts if not at(config, part if part in LISTS else f"{part}._target_")]
    if not absent:
        return None
    return f"stage={stage(config)} needs a choice for {', '.join(absent)}. --help lists them (type {absent[0]}=…)."


@rule
def resume_without_fit(config: dict[str, Any], machine: Machine) -> str | None:
    """`resume=` with a stage other than fit and compress."""
    if config.get("resume") is None or trains(config) or stage(config) == "compress":
        return None
    return f"resume={config['resume']} goes on with a run that trains, and the stage is {stage(config)}: leave one out."


@rule
def resume_with_artifact(config: dict[str, Any], machine: Machine) -> str | None:
    """`resume=` and `artifact=` together; a run that made one smaller knows which."""
    resume, artifact = config.get("resume"), config.get("artifact")
    if resume is None or artifact is None or stage(config) == "compress":
        return None
    return f"resume={resume} goes on with a run, artifact={artifact} opens a finished one: give one of the two."


@rule
def stage_without_artifact(config: dict[str, Any], machine: Machine) -> str | None:
    """`stage=compress`, `evaluate`, `export`, `predict`, `serve` or a turn of `cycle` without `artifact=`, but
    for measuring a model whose answers mean something without any training."""
    looks = stage(config) == "cycle" and at(config, "stage.action") != "turn"
    if stage(config) not in READS_ARTIFACT or looks or config.get("artifact") is not None:
        return None
    if stage(config) == "evaluate" and attributes(config.get("task")).get("untrained"):
        return None
    return f"stage={stage(config)} needs a model to open: type artifact=runs/latest/artifact, or another run's."


@rule
def artifact_that_is_not_read(config: dict[str, Any], machine: Machine) -> str | None:
    """`artifact=` with `stage=fit` or `stage=compare`, which would not look at it."""
    if stage(config) not in ("fit", "compare") or config.get("artifact") is None or config.get("resume") is not None:
        return None
    return (
        f"artifact={config['artifact']} is not read by stage={stage(config)}: add stage=evaluate or stage=predict, or "
        "leave it out. To train on from it, name the folder as the model: model=hub model.name=<folder>."
    )


@rule
def compare_without_runs(config: dict[str, Any], machine: Machine) -> str | None:
    """`stage=compare` without `stage.runs=`."""
    if stage(config) != "compare" or at(config, "stage.runs"):
        return None
    return (
        "stage=compare needs runs: type stage.runs=[<name of a sweep>], or folders of runs, or a pattern such as "
        "stage.runs=['runs/default/*']."
    )


@rule
def predict_without_input(config: dict[str, Any], machine: Machine) -> str | None:
    """`stage=predict` without `input=`."""
    if stage(config) != "predict" or config.get("input") is not None:
        return None
    return "stage=predict needs texts: type input=texts.txt, or input=- for standard input."


@rule
def input_that_is_not_read(config: dict[str, Any], machine: Machine) -> str | None:
    """`input=` with `stage=fit`, `evaluate`, `compare` or `serve`, which take their rows from elsewhere."""
    if stage(config) not in ("fit", "evaluate", "compare", "serve") or config.get("input") is None:
        return None
    return f"input={config['input']} is only read by stage=predict, not by {stage(config)}: leave it out."
