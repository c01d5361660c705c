"""The pictures of a report, by name, and as files. Imports matplotlib: to be imported where pictures are made."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

from matplotlib.figure import Figure

from noria.comparison.result import Comparison, Evidence
from noria.report.plot_answers import calibration, confusion
from noria.report.plot_costs import against_bytes, against_latency, against_size, against_time
from noria.report.plot_runs import learning_curves, ranking
from noria.report.plot_settings import parallel_coordinates
from noria.report.plot_style import styled
from noria.tracking.beside import beside

PICTURES = (
    *(ranking, learning_curves, against_time, against_size, against_latency, against_bytes, parallel_coordinates),
    *(confusion, calibration),
)
SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"


def draw(comparison: Comparison, evidence: Evidence) -> dict[str, Figure]:
    """Every picture that has something to show, in the order of the page."""
    drawn = {}
    for picture in PICTURES:
        with beside(f"The picture {picture.__name__}"):
            if (figure := picture(comparison, evidence)) is not None:
                drawn[picture.__name__] = figure
    return drawn


def save_png(figures: Mapping[str, Figure], folder: Path) -> list[Path]:
    """`<name>.png` of each in the folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.png" for name in figures]
    for path, figure in zip(paths, figures.values(), strict=True):
        _save(figure, path, "png", 150)
    return paths


def to_svg(figure: Figure, name: str) -> str:
    """An `<svg>` to be put into a page: as wide as there is room, each id begun with `name`, so that no two collide."""
    buffer = io.StringIO()
    _save(figure, buffer, "svg", 120)
    root = ElementTree.fromstring(buffer.getvalue())
    for metadata in root.findall(f"{{{SVG}}}metadata"):
        root.remove(metadata)
    for size in ("width", "height", "version"):
        root.attrib.pop(size, None)
    for element in root.iter():
        for key, value in element.attrib.items():
            if key == "id":
                element.set(key, f"{name}-{value}")
            elif key in ("href", f"{{{XLINK}}}href"):
                element.set(key, re.sub("^#", f"#{name}-", value))
            else:
                element.set(key, value.replace("url(#", f"url(#{name}-"))
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", XLINK)
    return ElementTree.tostring(root, encoding="unicode")


def _save(figure: Figure, file: Path | io.StringIO, kind: str, dpi: int) -> None:
    with styled(), warnings.catch_warnings():  # ticks are made while drawing, so in the style too
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a browser has the glyph
        figure.savefig(file, format=kind, dpi=dpi)
