from __future__ import annotations

import pytest

from noria.common.errors import UserError
from noria.data.source.sst2 import Sst2
from noria.task.text_classification.form import TextClassificationForm


def test_a_glue_folder(write, tmp_path):
    write("train.tsv", ["sentence\tlabel", '"a bare quote \t0', "fine \t1", "dull \t0"])
    write("dev.tsv", ["sentence\tlabel", "good \t1"])
    data = Sst2(path=str(tmp_path)).bind(TextClassificationForm(), None, 1)
    data.setup()
    assert data.report["rows"] == {"train": 3, "val": 1} and data.labels == ["negative", "positive"]
    assert data.splits["train"].texts[0] == '"a bare quote ' and data.splits["val"].ids == ["dev.tsv:1"]
    assert data.form.targets(data.splits["train"]).tolist() == [0, 1, 0]


def test_a_folder_without_the_files(tmp_path):
    with pytest.raises(UserError, match=r"no file '.*train.tsv'"):
        Sst2(path=str(tmp_path)).bind(TextClassificationForm(), None, 1).setup()


def test_a_test_split_only_when_asked_for(write, tmp_path):
    write("train.tsv", ["sentence\tlabel", *(f"text {i}\t{i % 2}" for i in range(50))])
    write("dev.tsv", ["sentence\tlabel", "good \t1"])
    data = Sst2(path=str(tmp_path), test_fraction=0.2).bind(TextClassificationForm(), None, 1)
    data.setup()
    assert set(data.splits) == {"train", "val", "test"} and data.report["rows"]["val"] == 1


def test_the_official_files(shared_data):
    data = Sst2(path=str(shared_data("glue_sst2"))).bind(TextClassificationForm(), None, 1)
    data.setup()
    assert data.report["rows"] == {"train": 67_349, "val": 872} and not any(data.report["dropped"].values())
    assert (
        data.form.targets(data.splits["val"]).sum() == 444 and data.form.targets(data.splits["train"]).sum() == 37_569
    )
