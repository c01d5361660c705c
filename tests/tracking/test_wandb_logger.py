"""The offline W&B run of a fit, read back from its file; and when a run goes online."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from noria.common.errors import UserError
from noria.tracking.beside import take_notes
from noria.tracking.run_info import RunInfo
from noria.tracking.wandb_logger import NamedLogger, finish, has_key, log_artifact, use_artifact, wandb_logger


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


def test_a_fit(
    noria: Callable[..., int], tiny: list[str], read_wandb: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["logger=[csv,wandb]", "trainer.max_epochs=3", "trainer.log_every_n_steps=1", "metric=[accuracy]"]
    more = ["tags=[one,two]", "notes=why", "logger.wandb.project=mill", "optimizer.lr=1e-2"]
    assert noria(*tiny, *words, *more) == 0
    run = Path("runs/latest")
    record = json.loads((run / "record.json").read_text())
    written = read_wandb(run)

    assert written.run.run_id == record["wandb"]["id"] and written.run.project == "mill"
    assert written.run.display_name == run.resolve().name
    assert (written.run.run_group, written.run.job_type) == ("default", "fit")
    assert sorted(written.run.tags) == ["one", "two"] and written.run.notes == "why"
    config = {key: value for key, value in written.config.items() if key != "_wandb"}
    assert config == record["config"], "the config as it is resolved, not as it was typed"
    assert written.exit_code == 0

    losses = [row["train/loss"] for row in written.history if "train/loss" in row]
    assert len(losses) == 9 and losses[-1] < losses[0]
    rates = ("examples_per_second", "share_of_peak", "data_wait_share", "peak_memory_mib")
    for row in (row for row in written.history if "train/loss" in row):
        assert all(row[f"throughput/{name}"] >= 0 for name in rates)
    assert [row["trainer/global_step"] for row in written.history if "val/loss" in row] == [2, 5, 8]
    history = record["history"]
    assert written.summary["val/accuracy"] == {"max": pytest.approx(max(row["val/accuracy"] for row in history))}
    assert written.summary["val/loss"] == {"min": pytest.approx(min(row["val/loss"] for row in history))}
    assert written.summary["train/loss"] == {"min": pytest.approx(min(losses))}
    for name, measured in record["metrics"].items():
        assert written.summary[f"final/{name}"] == pytest.approx(measured["value"]), name

    files = next(run.glob("wandb/offline-run-*/files"))
    for name, rows in (("epochs", 3), ("predictions", record["data"]["rows"]["val"] + record["data"]["rows"]["test"])):
        entry = next(row[name] for row in written.history if name in row)
        assert entry["_type"] == "table-file" and entry["nrows"] == rows
        table = json.loads((files / entry["path"]).read_text())
        assert len(table["data"]) == rows
        assert {"epochs": "val/accuracy", "predictions": "prediction"}[name] in table["columns"]
    assert f"wandb sync {next(run.resolve().glob('wandb/offline-run-*')).name}"[:10] in capsys.readouterr().out


def info(folder: Path, **config: object) -> RunInfo:
    return RunInfo(folder, "mill", "fit", "abc", config, {})


@pytest.mark.parametrize("mode", ["Offline", "OFFLINE", " offline"])
def test_the_mode_in_the_environment_may_be_in_any_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setenv("WANDB_MODE", mode)
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    wandb_logger(info(tmp_path))
    finish(0)
    assert list(tmp_path.glob("wandb/offline-run-*"))


@pytest.mark.parametrize(
    ("config", "options", "mode", "said"),
    [
        ({"tags": ["x" * 65]}, {}, "offline", "65 characters"),
        ({"tags": [""]}, {}, "offline", "empty"),
        ({}, {"project": "team/mill"}, "offline", "project"),
        ({}, {}, "no", "mode"),
    ],
)
def test_what_wandb_does_not_take_is_a_mistake_and_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: dict, options: dict, mode: str, said: str
) -> None:
    """The rules say it before a run begins; this is what they do not know of."""
    monkeypatch.setenv("WANDB_MODE", mode)
    with pytest.raises(UserError, match=rf"W&B does not take this run .*{said}"):
        wandb_logger(info(tmp_path, **config), **options)


def test_a_fit_that_fails_is_marked_failed(noria: Callable[..., int], tiny: list[str], read_wandb: Callable) -> None:
    words = ["logger=[csv,wandb]", "optimizer=sgd", "optimizer.lr=1e20", "scheduler=constant", "trainer.max_epochs=9"]
    assert noria(*tiny, *words, "trainer.gradient_clip_val=null", "metric=[accuracy]") == 1
    assert read_wandb(Path("runs/latest")).exit_code == 1


@pytest.mark.parametrize(
    ("key", "netrc", "host", "found"),
    [
        (None, None, None, False),
        ("x" * 40, None, None, True),
        (None, "machine api.wandb.ai\n  login user\n  password x\n", None, True),
        (None, "machine other.example\n  login user\n  password x\n", None, False),
        (None, "machine wandb.example\n  login user\n  password x\n", "https://wandb.example", True),
        (None, "machine api.wandb.ai\n  login user\n  password x\n", "https://wandb.example", False),
        (None, "this is no netrc", None, False),
    ],
)
def test_a_key_is_looked_for_where_wandb_keeps_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, key: str | None, netrc: str | None, host: str | None, found: bool
) -> None:
    monkeypatch.delenv("WANDB_BASE_URL", raising=False)
    if key:
        monkeypatch.setenv("WANDB_API_KEY", key)
    if host:
        monkeypatch.setenv("WANDB_BASE_URL", host)
    if netrc:
        (tmp_path / "netrc").write_text(netrc)
    assert has_key() is found


def test_what_cannot_be_reached_is_kept_offline(
    noria: Callable[..., int], tiny: list[str], read_wandb: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setattr("noria.tracking.wandb_logger.PATIENCE", 2)
    assert noria(*tiny, "logger=[csv,wandb]", "metric=[accuracy]", "stage.test=false") == 0
    assert read_wandb(Path("runs/latest")).exit_code == 0


def test_a_version_of_a_registry(read_wandb: Callable, tmp_path: Path) -> None:
    (tmp_path / "0002").mkdir()
    info = RunInfo(tmp_path, "cycle", "cycle", "0badcafe", {}, {})
    wandb_logger(info, mode="offline")
    use_artifact("my registry", tmp_path / "0002")  # a link, which W&B keeps online only
    log_artifact(tmp_path / "0002", {"parent": "0001"}, name="my registry", aliases=["0002", "champion"])
    finish(0)
    (logged,) = read_wandb(tmp_path).artifacts
    assert (logged.name, logged.type, {*logged.aliases}) == ("my-registry", "model", {"latest", "0002", "champion"})
    assert json.loads(logged.metadata) == {"parent": "0001"}


def test_a_service_that_is_gone_is_said_once_and_the_training_goes_on(tmp_path: Path) -> None:
    """A service that is killed fails W&B's call at a moment that nobody can choose: here the call fails at once."""

    class Gone:
        asked = 0

        def log(self, metrics: dict[str, float]) -> None:
            self.asked += 1
            raise ConnectionResetError("Connection lost")

    gone: Any = Gone()
    logger = NamedLogger(save_dir=tmp_path, experiment=gone)
    take_notes()
    for step in range(3):
        logger.log_metrics({"train/loss": 1.0}, step)
    assert take_notes() == ["W&B's log failed (ConnectionResetError: Connection lost)"] and gone.asked == 1
