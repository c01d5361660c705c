"""What was measured of an artifact that was made of another one, for people."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from noria.common.console import get_console
from noria.compression.gate import AFTER, BEFORE


def show(found: dict[str, Any], sizes: dict[str, int]) -> None:
    """What was measured, as a table for people."""
    table = Table("", BEFORE, AFTER, "ratio", box=None)
    first, second = found["pace"][BEFORE], found["pace"][AFTER]
    of = first["of"]
    rows: list[tuple[str, float, float, str]] = [
        ("size, MB", sizes[BEFORE] / 1e6, sizes[AFTER] / 1e6, ".1f"),
        ("peak memory, MB", first["peak_memory"] / 1e6, second["peak_memory"] / 1e6, ".0f"),
        (f"one {of}, p50, ms", first["p50_ms"], second["p50_ms"], ".2f"),
        (f"one {of}, p99, ms", first["p99_ms"], second["p99_ms"], ".2f"),
        (f"{of}s/s", first["examples_per_second"], second["examples_per_second"], ".0f"),
    ]
    for name, was, now, form in rows:
        table.add_row(name, f"{was:{form}}", f"{now:{form}}", f"{now / was:.2f}")
    console = get_console()
    console.print(table)
    machine = found["machine"]
    words = f"on {machine['cpu']}, {machine['threads']} threads: {' '.join(machine['flags']) or 'no flags are told'}"
    console.print(words, highlight=False, markup=False)
    if "agreement" in found:
        one = found["agreement"]
        said = f"the same answer to {one['value']:.1%} of {found['rows']:,} rows of {found['split']}"
        console.print(f"{said} [{one['low']:.1%}, {one['high']:.1%}]", highlight=False, markup=False)
    for name, one in found["metrics"].items():
        gap = one["difference"]
        said = f"{name}: {one['before']['value']:.4f} → {one['after']['value']:.4f}"
        verdict = f"no worse within {found['margin']:g}" if one["holds"] else "not shown to be no worse"
        console.print(
            f"{said}, {gap['value']:+.4f} [{gap['low']:+.4f}, {gap['high']:+.4f}]: {verdict}",
            highlight=False, markup=False,
        )  # fmt: skip
    for said in found["against"]:
        console.print(f"against it: {said}", style="yellow", highlight=False, markup=False)
