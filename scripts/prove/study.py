"""Proof: a real study, from the sweep to the page. Learning rate x schedule x 5 seeds of MiniLM on Rotten Tomatoes.

Two commands: the sweep, and its comparison, which opens the test set once for the winner and the baseline. The page
is then opened in a real browser (Chromium) without a network: all pictures are drawn, nothing is fetched, no error is
told. Every number of the comparison is computed once more here, from the predictions alone.

    python scripts/prove/study.py                        # about ten minutes on 2 cores
    python scripts/prove/study.py --model <folder> --rows 64 --seeds 2         # a look
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "bench"))

import _bench  # noqa: E402


def main() -> int:
    parser = _bench.parser(__doc__ or "")
    parser.add_argument("--rows", type=int, default=1000, help="of each split")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "study")
    asked = parser.parse_args()
    shutil.rmtree(asked.folder, ignore_errors=True)
    runs = asked.folder.resolve() / "runs"
    words = [f"paths.runs={runs}", "logger=csv"]
    run(
        *words,
        *("-m", "sweep=study", "model=hub", f"model.name={asked.model.resolve()}", f"data.limit={asked.rows}"),
        f"data.eval_limit={asked.rows}",
        *("trainer.max_epochs=2", "optimizer.lr=3e-5,1e-4,3e-4", "scheduler=linear,cosine"),
        f"seed=range(0,{asked.seeds})",
    )
    run(
        *words,
        "stage=compare",
        "stage.runs=[study]",
        "stage.baseline='optimizer.lr:3e-5 scheduler:linear'",
        "stage.test=true",
    )
    (folder,) = (runs / "compare").iterdir()
    found = json.loads((folder / "comparison.json").read_text())
    holds = [
        say("6 configs, each over its seeds", [len(one["runs"]) for one in found["systems"]], [asked.seeds] * 6),
        say("their accuracies, computed again", *numbers(found)),
        say("the test set was opened once", found["winner"] and found["winner"]["looks"], 1),
        say("pictures on disk", sorted(path.name for path in (folder / "plots").glob("*.png")) != [], True),
        *looked_at(folder / "report.html", len(found["systems"])),
    ]
    print(f"page: {folder / 'report.html'}")
    return 0 if all(holds) else 1


def run(*words: str) -> None:
    command = [sys.executable, str(ROOT / "scripts/run.py"), *words]
    if status := subprocess.run(command, cwd=ROOT).returncode:
        sys.exit(f"{' '.join(command)}\nended with {status}")


def say(what: str, found: Any, expected: Any) -> bool:
    print(
        f"{'yes' if found == expected else 'NO '} {what}: {found}" + ("" if found == expected else f", not {expected}")
    )
    return bool(found == expected)


def numbers(found: dict[str, Any]) -> tuple[list[float], list[float]]:
    """The accuracies as they are told, and from the predictions."""
    told, counted = [], []
    for system in found["systems"]:
        told.append(round(system["estimate"]["value"], 6))
        each = []
        for folder in system["runs"]:
            table = pq.read_table(Path(folder) / "predictions.parquet", filters=[("split", "==", "val")])
            each.append(np.mean(np.asarray(table["label"]) == np.asarray(table["prediction"])))
        counted.append(round(float(np.mean(each)), 6))
    return told, counted


def looked_at(page: Path, systems: int) -> list[bool]:
    """What a browser sees of the page."""
    from playwright.sync_api import sync_playwright

    binary = shutil.which("chromium") or shutil.which("chromium-browser")
    if binary is None:
        sys.exit("This proof needs Chromium: apt-get install chromium")
    asked_for: list[str] = []
    errors: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        tab.on("request", lambda request: asked_for.append(request.url))
        tab.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.goto(page.resolve().as_uri())
        rows = tab.locator("#systems tbody tr").count()
        boxes = [figure.bounding_box() for figure in tab.locator("figure svg").all()]
        browser.close()
    drawn = [bool(box and box["width"] > 100 and box["height"] > 100) for box in boxes]
    return [
        say("rows of the page's table", rows, systems),
        say("pictures drawn", bool(drawn) and all(drawn), True),
        say("what the page asked for", [url for url in asked_for if not url.startswith(("file:", "data:"))], []),
        say("errors in the console", errors, []),
    ]


if __name__ == "__main__":
    sys.exit(main())
