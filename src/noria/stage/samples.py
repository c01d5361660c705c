"""What a model says to a few prompts of its data, for people to read."""

from __future__ import annotations

import json

from rich.text import Text

from noria.common.console import get_console
from noria.data.module import DataModule
from noria.inference.runner import Runner
from noria.task.generation.prompts import last_said
from noria.tracking.beside import beside
from noria.tracking.record import Record
from noria.tracking.wandb_logger import log_tables

PROMPTS = 5


@beside("The samples")
def show_samples(runner: Runner, data: DataModule, split: str, record: Record) -> None:
    """What the model says to a few prompts: in the run folder, in W&B, and the first of it on the terminal."""
    if not (prompts := data.prompts(split, PROMPTS)):
        return
    problems = [runner.answerer.problem(prompt) for prompt, _ in prompts]
    refused = [problem for problem in problems if problem]
    rows = [
        {"prompt": prompt, "reference": reference, **runner.answer([prompt], 1)[0]}
        for (prompt, reference), problem in zip(prompts, problems, strict=True)
        if not problem
    ]
    path = record.folder / "samples.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    record.data["paths"]["samples"] = str(path)
    if refused:
        get_console().print(f"{len(refused)} of {len(prompts)} samples are left out: {refused[0]}", style="yellow")
    record.write()
    said = [last_said(row["prompt"]) for row in rows]
    names = ("prompt", "reference", "response")
    log_tables(
        {"samples": (names, [(s, row["reference"], row["response"]) for s, row in zip(said, rows, strict=True)])}
    )
    for question, row in zip(said[:1], rows, strict=False):
        for word, text in (("asked", question), ("says ", row["response"])):
            get_console().print(Text.assemble((word, "bold"), " ", text))
