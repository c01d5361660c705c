"""A model of pairs through a turn of the wheel: served, corrected, learnt from, judged and promoted on both texts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from noria.artifact import bundle
from noria.feedback.store import Store
from noria.registry.registry import Registry
from noria.serving.model import describe
from noria.serving.source import Named

LABELS = ("bad", "good")
WORDS = {"bad": "quartz pepper", "good": "zebra violin"}  # of the second text alone: the first says nothing


def test_the_second_text_survives_the_whole_cycle(
    noria: Callable[..., int], start: Callable, tiny_model: Path, tmp_path: Path, capsys
) -> None:
    # The model learns pairs of another world: to be right of these it has to read their second text.
    rows = [f"question {n}\t{('dull and stale', 'superb fun')[n % 2]} {n}\t{LABELS[n % 2]}" for n in range(160)]
    (tmp_path / "pairs.tsv").write_text("\n".join(["asked\tsaid\tlabel", *rows]) + "\n")
    tiny = ["model=hub", f"model.name={tiny_model}", "precision=fp32", "logger=csv", "optimizer.lr=3e-3"]
    data = [
        "data=table",
        f"data.path={tmp_path}/pairs.tsv",
        "data.text=[asked,said]",
        "data.max_length=32",
        "data.val_fraction=0.25",
    ]
    assert noria(*tiny, *data, "trainer.max_epochs=3", "paths.run_dir=runs/first") == 0

    served = start(tmp_path, ["artifact=runs/first/artifact", "logger=none"]).wait()
    with served.client() as client:
        for first in range(0, 240, 60):
            pairs = [f"remark {n}\t{WORDS[LABELS[n % 2]]} {n}" for n in range(first, first + 60)]
            asked = client.post("/predict", json={"text": pairs}).json()["predictions"]
            for n, one in zip(range(first, first + 60), asked, strict=True):
                client.post("/feedback", json={"id": one["id"], "label": LABELS[n % 2]}).raise_for_status()
    served.close()  # killed: what it has acknowledged is there
    store = Store(f"sqlite:///{tmp_path}/feedback.db")
    kept = {(one.request["text"], one.request["text_pair"]) for one in store.predictions()}
    store.close()
    assert len(kept) == 240 and ("remark 3", "zebra violin 3") in kept

    words = ["trainer.max_epochs=8", "stage.rows=50", "stage.force=true", "stage.margin=0.5", "stage.replay=60"]
    assert noria("stage=cycle", "artifact=runs/first/artifact", "logger=csv", "optimizer.lr=3e-3", *words) == 0
    [path] = tmp_path.glob("runs/cycle/*/record.json")
    record = json.loads(path.read_text())
    assert record["data"]["feedback"] == {"corrections": 240, "rows": 240, "left_out": {}}
    assert record["decision"]["promote"], record["decision"]
    judged = record["decision"]["sets"]["trusted feedback"]
    assert judged["challenger"]["value"] > 0.95, "the first texts alone tell nothing"
    lengths = next(reason["said"] for reason in record["reasons"] if reason["name"] == "drift of inputs")
    middle = [int(number) for number in re.findall(r"(\d+) (?:characters|in training)", lengths)]
    assert len(middle) == 2 and min(middle) > 20, f"of both texts, on both sides: {lengths}"

    champion = Registry(tmp_path / "registry").champion()
    facts = bundle.read_facts(champion.folder)
    described = describe(facts, Named(champion.name, champion.folder)).service.described()
    assert described["pairs"], "it is served as it was trained"
    lines = [f"remark {n}\t{WORDS[LABELS[n % 2]]} {n}" for n in range(300, 320)]
    (tmp_path / "new.txt").write_text("\n".join(lines) + "\n")
    assert noria("stage=predict", f"artifact={champion.folder}", "input=new.txt", "stage.output=out.jsonl") == 0
    said = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert said[1]["asked"] == "remark 301" and said[1]["said"] == "zebra violin 301"
    assert [one["prediction"] for one in said].count("good") == 10
    assert noria("stage=evaluate", f"artifact={champion.folder}", *data, "logger=none") == 0, "of pairs too"

    # The next turn begins from a champion whose data are those of feedback.
    assert noria("stage=cycle", "artifact=registry/champion", "logger=csv", "optimizer.lr=1e-9", *words) == 0
    records = [json.loads(path.read_text()) for path in tmp_path.glob("runs/cycle/*/record.json")]
    [second] = (record for record in records if record["champion"] == "0002")
    judged = second["decision"]["sets"]["trusted feedback"]
    assert second["data"]["feedback"] == record["data"]["feedback"] and judged["champion"]["value"] > 0.95
