"""What was measured of an artifact that was made of another one, for people."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from noria.common.console import get_console
from noria.compression.gate import AFTER, BEFORE


def show(found: dict[str, Any], sizes: dict[str, int]) -> None:
    """What was measured, as a table for people."""
    table = Table("", BEFORE, AFTER, "ratio", box=None)
    pace = found["pace"]
    rows: list[tuple[str, float, float, str]] = [
        ("size, MB", sizes[BEFORE] / 1e6, sizes[AFTER] / 1e6, ".1f"),
        ("one example, p50, ms", pace[BEFORE]["p50_ms"], pace[AFTER]["p50_ms"], ".2f"),
        ("one example, p99, ms", pace[BEFORE]["p99_ms"], pace[AFTER]["p99_ms"], ".2f"),
        ("examples/s", pace[BEFORE]["examples_per_second"], pace[AFTER]["examples_per_second"], ".0f"),
    ]
    for name, first, second, form in rows:
        table.add_row(name, f"{first:{form}}", f"{second:{form}}", f"{second / first:.2f}")
    console = get_console()
    console.print(table)
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
