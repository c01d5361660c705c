"""What a turn and a registry look like on the terminal, and a turn in W&B. Decides nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.table import Table

from noria.common.command import command, word
from noria.common.console import get_console
from noria.cycle.gate import Decision
from noria.cycle.reasons import Reason
from noria.registry.registry import Registry, Version
from noria.report import show
from noria.tracking.record import Record
from noria.tracking.wandb_logger import log_artifact, log_summary, log_tables, use_artifact

COLUMNS = ("rows", "champion", "challenger", "difference", "low", "high", "p", "p no worse", "n")


def reasons(found: list[Reason]) -> None:
    """Each reason to train, and whether it holds."""
    for reason in found:
        get_console().print(f"{'yes' if reason.holds else 'no ':3} {reason.name}: {reason.said}", highlight=False)


def turn(record: Record, versions: Registry, champion: Version, kept: Version | None, decision: Decision) -> None:
    """The end of a turn: what was decided on which numbers, here and as a run in W&B that links both models.

    Args:
        champion: the one that the turn began from.
        kept: the challenger; None where there was no reason to train one.
    """
    console = get_console()
    if kept is not None:
        console.print(_table(kept, decision))
    console.print(f"{(kept or champion).name} {decision.said}", highlight=False)
    lines = [
        (name, f.champion.value, f.challenger.value, gap.value, gap.low, gap.high, f.p, f.p_no_worse, f.champion.n)
        for name, f in decision.sets.items()
        for gap in (f.difference,)
    ]
    why = [(reason["name"], reason["holds"], reason["said"]) for reason in record.data["reasons"]]
    log_tables({"reasons": (("reason", "holds", "said"), why)} | ({"turn": (COLUMNS, lines)} if lines else {}))
    log_summary({"promoted": float(decision.promote)} | {f"{line[0]}/difference": line[3] for line in lines})
    use_artifact(versions.folder.name, champion.folder)
    if kept is not None:
        aliases = [kept.name, "champion"] if decision.promote else [kept.name]
        log_artifact(kept.folder, kept.facts, name=versions.folder.name, aliases=aliases)
    show.where(record)
    history = command("stage=cycle", "stage.action=history", *named(versions.folder))
    console.print(f"next:     {history}", highlight=False, soft_wrap=True)


def named(registry: Path) -> list[str]:
    """What names a registry in a command; nothing where it is the one that is meant by default."""
    return [] if registry == Path("registry") else [word("stage.registry", registry)]


def status(versions: Registry, champion: Version) -> None:
    """The champion in two lines."""
    console, count = get_console(), len(versions.versions())
    console.print(f"champion: {champion.name} of {count} versions in {versions.folder}", highlight=False)
    console.print(f"since:    {champion.facts['added']}: {champion.facts.get('said')}", highlight=False)


def history(versions: Registry, champion: Version) -> None:
    """Every version and what became of it. A turn that was killed may have kept one that it judged better."""
    was = {champion.name, *(name for line in versions.history() for name in (line["before"], line["champion"]))}
    table = Table("version", "added", "parent", "what became of it", title=str(versions.folder))
    for version in versions.versions():
        mark = " (champion)" if version.name == champion.name else ""
        facts: dict[str, Any] = version.facts
        said = facts.get("said") or ""
        if facts.get("promoted") and version.name not in was:
            said = f"never the champion, the turn has ended before: {said}"
        table.add_row(version.name + mark, facts["added"], facts.get("parent") or "", said)
    get_console().print(table)


def _table(kept: Version, decision: Decision) -> Table:
    table = Table("rows", "champion", "challenger", title=f"Turn: {kept.name}")
    level = next((f"{100 * found.difference.confidence:.6g} %" for found in decision.sets.values()), "")
    for heading in (f"difference [{level}]", "p", "p no worse", "n"):
        table.add_column(heading)
    for name, found in decision.sets.items():
        ps = f"{found.p:.2g}", f"{found.p_no_worse:.2g}"
        cells = (str(found.champion), str(found.challenger), str(found.difference), *ps)
        table.add_row(name, *cells, f"{found.champion.n:,}")
    return table
