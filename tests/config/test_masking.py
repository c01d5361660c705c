"""Passwords and keys stand in no file that a run leaves, and what is read again says what it lacks."""

from __future__ import annotations

import json
import os
import textwrap
from pathlib import Path

import pytest

from noria.cli.stages import CHILD, run_child
from noria.config.hashing import config_hash
from noria.config.masking import masked, masked_text, masked_words, secrets, without_passwords

SECRET, KEY = "hunter2-Xq", "sk-41d3c0ffee"


@pytest.mark.parametrize(
    "text, shown",
    [
        ("postgresql://user:hunter2@host/db", "postgresql://user:***@host/db"),
        ("postgresql://:hunter2@host/db", "postgresql://:***@host/db"),
        ("postgresql+psycopg://user:hun/ter@2@host:5432/db", "postgresql+psycopg://user:***@host:5432/db"),
        ("postgresql://user:12345@host/db", "postgresql://user:***@host/db"),
        ("postgresql://u@h/db?password=hunter2&x=1", "postgresql://u@h/db?password=***&x=1"),
        ("https://h/x?api_key=hunter2&sslpassword=hunter2", "https://h/x?api_key=***&sslpassword=***"),
        ("postgresql://me@corp:hunter2@host/db", "postgresql://me@corp:***@host/db"),
        ("postgresql://user:80/hunter2@host/db", "postgresql://user:***@host/db"),
        ("postgresql://user:my hunter2@host/db", "postgresql://user:***@host/db"),
        ("host=h user=u password='hunter2 x' dbname=d", "host=h user=u password=*** dbname=d"),
        ("Server=h;Uid=u;Pwd=hunter2;", "Server=h;Uid=u;Pwd=***;"),
        ("AccountName=x;AccountKey=hunter2==;", "AccountName=x;AccountKey=***;"),
        ("https://h/p?sv=1&sig=hunter2", "https://h/p?sv=1&sig=***"),
        ("see redis://:hunter2@h:1 and mysql://u:hunter2@h", "see redis://:***@h:1 and mysql://u:***@h"),
    ],
)
def test_the_password_of_a_url_is_masked(text, shown):
    assert masked_text(text) == shown == masked_text(shown)


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:///feedback.db",
        "postgresql://user@host:5432/db",
        "http://host:8080/a@b",
        "postgresql://me@corp:5432/db?x=a@b",
        "postgresql://host:5432 failed: ask me@here",
        "text {{ x['password'] }} password=abc",
        "runs/a:b@c",
        "a: b @ c",
        "</s>",
    ],
)
def test_what_is_no_password_stays(text):
    assert masked_text(text) == text


def test_keys_of_secrets_are_masked_and_others_are_not():
    config = {"api_key": KEY, "db": {"password": SECRET, "hf_token": KEY, "urls": [f"a://u:{SECRET}@h"]}}
    assert secrets(config) == {
        "api_key": KEY,
        "db.password": SECRET,
        "db.hf_token": KEY,
        "db.urls[0]": f"a://u:{SECRET}@h",
    }
    assert SECRET not in str(masked(config)) and KEY not in str(masked(config))
    kept = {
        "batch_tokens": 64,
        "max_new_tokens": 3,
        "pad_token": "</s>",
        "token_type": "a",
        "password": None,
        "key": "id",
    }
    assert masked(kept) == kept


@pytest.mark.parametrize(
    "name",
    [
        "PGPASSWORD",
        "db-password",
        "apiKey",
        "X-API-Key",
        "openaiApiKey",
        "Authorization",
        "github_token",
        "aws_session_token",
        "passwords",
    ],
)
def test_a_secret_is_one_however_its_key_is_written(name):
    assert masked({name: SECRET}) == masked({name: 12345}) == {name: "***"}, "YAML reads a password of digits as one"
    assert masked({name: {"_target_": "own.Key", "of": [SECRET]}}) == {name: {"_target_": "own.Key", "of": ["***"]}}
    assert secrets({name: {"of": 12345}}) == {f"{name}.of": 12345}
    assert masked_words([f"+data.{name}={SECRET}"]) == [f"+data.{name}=***"]
    assert masked_words([f"data.store={{{name}: {SECRET},user: 'me'}}"]) == [f"data.store={{{name}: ***,user: 'me'}}"]


def test_a_long_text_is_masked_in_bounded_steps():
    for text in ("postgresql://" * 2000, "a://u:" * 2000, "host=" * 2000, "data.x={" + "a:b," * 2000):
        assert masked(text) == text and masked_words([text]) == [text]
    assert masked({"_" * 20_000: "text"}) == {"_" * 20_000: "text"}


def test_a_command_line_is_masked():
    words = ["fit", f"data.url=postgresql://u:{SECRET}@h/d", f"+data.api_key={KEY}", "optimizer.lr=1e-3", "--multirun"]
    assert masked_words(words) == [
        "fit",
        "data.url=postgresql://u:***@h/d",
        "+data.api_key=***",
        "optimizer.lr=1e-3",
        "--multirun",
    ]


def test_a_run_is_the_same_with_its_password_in_the_url_or_in_the_environment():
    typed, saved, bare = (f"postgresql://u{p}@h/d" for p in (f":{SECRET}", ":***", ""))
    assert config_hash({"url": typed}) == config_hash({"url": saved}) == config_hash({"url": bare})
    assert without_passwords({"url": saved, "other": ["postgresql://h/d?password=***"]}) == {
        "url": bare,
        "other": ["postgresql://h/d"],
    }
    assert config_hash({"url": bare}) != config_hash({"url": "postgresql://u@other/d"})


OWN = f"""
from noria.data.source.table import TableData

class Locked(TableData):
    def __init__(self, *, url: str, api_key: str, **kwargs) -> None:
        super().__init__(**kwargs)
        assert api_key == {KEY!r} and url.endswith({SECRET + "@host/db"!r})
"""


@pytest.fixture
def locked(tmp_path, monkeypatch) -> list[str]:
    """A user's own data that needs a key and a password, which come from the environment."""
    own = tmp_path / "own"
    (own / "conf/data").mkdir(parents=True)
    (own / "locked_data.py").write_text(OWN)
    (own / "conf/data/locked.yaml").write_text(
        textwrap.dedent(
            """
            _target_: locked_data.Locked
            path: ???
            text: text
            label: label
            max_length: 64
            limit: null
            url: ${oc.env:MY_URL}
            api_key: ${oc.env:MY_KEY}
            """
        )
    )
    monkeypatch.syspath_prepend(str(own))
    monkeypatch.setenv("PYTHONPATH", str(own))
    monkeypatch.setenv("MY_URL", f"postgresql://user:{SECRET}@host/db")
    monkeypatch.setenv("MY_KEY", KEY)
    return ["--config-dir", str(own / "conf")]


def holds_secret(folder: Path) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [str(path) for path in files if any(word.encode() in path.read_bytes() for word in (SECRET, KEY))]


def test_no_file_of_a_sweep_and_its_runs_holds_a_secret(noria, tiny, locked, tmp_path, capsys):
    words = [word for word in tiny if word not in ("data=table", "logger=csv")]
    typed = f"data.url='postgresql://user:{SECRET}@host/db'"
    status = noria(*locked, *words, "data=locked", "logger=wandb", typed, "data.limit=40", "sweep=s", "seed=1,2", "-m")
    said = capsys.readouterr()
    assert status == 0, said.err
    runs = tmp_path / "runs"
    assert not holds_secret(runs)
    (trial, _) = sorted(path.parent for path in runs.glob("default/s/*/record.json"))
    assert "postgresql://user:***@host/db" in (trial / "config.yaml").read_text()
    assert "***" in (trial / "artifact" / "noria.yaml").read_text()
    assert list(trial.glob("wandb/**/*.wandb"))
    assert "postgresql://user:***@host/db" in json.loads((runs / "default/s/sweep.json").read_text())["command"]
    assert SECRET not in said.out + said.err

    # What a saved config lacks is asked for again.
    assert noria(*locked, "stage=evaluate", f"artifact={trial / 'artifact'}", "logger=csv", typed) == 2
    assert "Type them again: data.api_key=…" in capsys.readouterr().err


def test_the_other_ranks_of_a_run_get_the_secrets(tmp_path, monkeypatch):
    (tmp_path / "secret_stage.py").write_text(
        "heard = []\ndef look(cfg, choices, multirun):\n    heard.append((cfg.data.url, cfg.data.store.api_key))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "config.yaml").write_text(
        "stage: {_target_: secret_stage.look}\ndata: {url: 'a://u:***@h', store: {api_key: '***'}}\n"
    )
    run = {
        "run_dir": str(tmp_path),
        "choices": {},
        "secrets": {"data.url": f"a://u:{SECRET}@h", "data.store.api_key": KEY},
    }
    run_child(run)
    import secret_stage

    assert secret_stage.heard == [(f"a://u:{SECRET}@h", KEY)]
    assert CHILD not in os.environ
