"""Every notebook runs from top to bottom on a real, tiny run. The wheel's does in tests/stage/test_feedback_loop.py,
and the one on smaller artifacts in tests/compression/test_pareto.py, where there are such runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
SAYS = {"01_first_run": "mistakes in", "02_read_a_sweep": "these rows and seeds would have shown"}


def test_there_are_notebooks() -> None:
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == {
        *SAYS,
        "03_attention_by_hand",
        "04_the_wheel",
        "05_search",
        "06_make_it_smaller",
    }


@pytest.mark.parametrize("name", SAYS)
def test_notebook_runs(
    name: str, tiny: list[str], noria: Callable[..., int], run_notebook: Callable[..., str], tmp_path: Path
) -> None:
    rates = ("1e-3", "1e-2") if "sweep" in name else ("1e-3",)
    for lr, seed in product(rates, range(len(rates))):
        assert noria(*tiny, f"optimizer.lr={lr}", f"seed={seed}", f"paths.run_dir=runs/fits/{lr}-{seed}") == 0
    runs = tmp_path / "runs"
    assert SAYS[name] in run_notebook(name, NORIA_RUN=runs / "latest", NORIA_SWEEP=runs / "fits")


def test_attention_by_hand_runs(noria: Callable[..., int], run_notebook: Callable[..., str], tmp_path: Path) -> None:
    """On a translation model of two blocks."""
    for end, word in (("en", "men play football"), ("de", "Männer spielen Fußball")):
        (tmp_path / f"rows.{end}").write_text("".join(f"{number} {word}.\n" for number in range(80)), encoding="utf-8")
    words = ["experiment=translate_multi30k", "data.path=rows", "data.batch_tokens=256", "data.val_fraction=0.2"]
    words += ["model.d_model=16", "model.num_heads=2", "model.d_ff=32", "model.num_encoder_layers=2"]
    words += ["model.num_decoder_layers=2", "model.vocabulary.size=330", "trainer.max_epochs=1", "logger=csv"]
    assert noria(*words, "paths.run_dir=run") == 0
    assert "attention of 2 blocks with 2 heads each" in run_notebook("03_attention_by_hand", NORIA_RUN=tmp_path / "run")


def test_search_runs(
    noria: Callable[..., int], run_notebook: Callable[..., str], tiny_model: Path, tmp_path: Path
) -> None:
    """On an index of a few documents, measured by words and by both."""
    collection = tmp_path / "collection"
    (collection / "qrels").mkdir(parents=True)
    rows = [{"_id": str(n), "title": f"wheel {n}", "text": f"number{n} lifts water {n % 7} times"} for n in range(40)]
    (collection / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    queries = [{"_id": f"q{n}", "text": f"water of number{n}"} for n in range(20)]
    (collection / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in queries))
    judged = "".join(f"q{n}\t{n}\t1\n" for n in range(20))
    (collection / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged)
    words = ["task=embedding", "model=hub", f"model.name={tiny_model}", f"stage.documents={collection}", "logger=csv"]
    assert noria("stage=index", *words, "stage.output=index", "paths.run_dir=made") == 0
    for mode in ("lexical", "hybrid"):
        words = [
            "artifact=index",
            f"stage.queries={collection}",
            f"stage.mode={mode}",
            "metric=[ndcg,mrr]",
            "logger=csv",
        ]
        assert noria("stage=search", *words, f"paths.run_dir=search/{mode}") == 0
    said = run_notebook(
        "05_search", NORIA_INDEX=tmp_path / "index", NORIA_SEARCH=tmp_path / "search", NORIA_QUERY="water"
    )
    assert "hybrid less lexical, 20 queries" in said
