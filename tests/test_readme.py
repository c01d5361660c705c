"""What the README shows is what happens: its commands run, its choices compose, its error message is the real one."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser

from noria.cli.names import register_resolvers
from noria.common.paths import conf_dir

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)


def commands(block: str) -> list[str]:
    """The command lines of a shell block, without comments."""
    return [line.split("  #")[0].strip() for line in block.splitlines() if line.strip()]


def test_set_up_commands_are_make_targets() -> None:
    first = next(block for language, block in BLOCKS if language == "bash")
    targets = [command.removeprefix("make ") for command in commands(first)]
    assert targets == ["quickstart", "test"]
    shown = subprocess.run(["make", "--dry-run", *targets], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "scripts/run.py experiment=quickstart" in shown
    assert "-m pytest" in shown


def test_commands_of_use_run_in_order(
    noria: Callable[..., int], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    use = [block for language, block in BLOCKS if language == "bash"][1]
    lines = commands(use)
    assert lines[0] == "source .venv/bin/activate" and len(lines) > 5
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for line in lines[1:]:
        if "|" in line:
            done = subprocess.run(
                ["bash", "-c", line], cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
            assert '"prediction"' in done.stdout
        else:
            assert noria(*shlex.split(line)[1:]) == 0, line
    assert "Measured on the artifact" in capfd.readouterr().out


def test_the_comparison_runs(
    noria: Callable[..., int], make_runs: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    for lr in (3e-5, 1e-4):
        make_runs("my_sweep", seeds=2, config=str(lr), optimizer__lr=lr)
    (line,) = [
        line for language, block in BLOCKS if language == "bash" for line in commands(block) if "compare" in line
    ]
    assert noria(*shlex.split(line)[1:], "logger=none") == 0
    assert "optimizer.lr=3e-05" in capfd.readouterr().out


def test_the_wheel_turns_as_typed(noria: Callable[..., int], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The five lines, made short: few steps, few rows, a free port."""
    block = next(block for language, block in BLOCKS if language == "bash" and "stage=serve" in block)
    train, serve, turn, follow, again = (shlex.split(line)[1:] for line in commands(block))
    assert noria(*train, "debug=smoke") == 0
    with serving(serve, tmp_path) as url:
        texts = [f"the {word} {number} of them" for number in range(40) for word in ("worst", "best")]
        answers = [
            answer
            for start in range(0, len(texts), 40)
            for answer in httpx.post(f"{url}/predict", json={"text": texts[start : start + 40]}).json()["predictions"]
        ]
        for answer, text in zip(answers, texts, strict=True):
            label = "positive" if "best" in text else "negative"
            said = {"verdict": "right"} if answer["label"] == label else {"label": label}
            assert httpx.post(f"{url}/feedback", json={"id": answer["id"], **said}).status_code == 200
    short = ["stage.rows=10", "stage.replay=64", "trainer.limit_train_batches=2", "logger=csv"]
    assert noria(*turn, *short, "stage.force=true") == 0
    assert (tmp_path / "registry/champion").is_symlink()
    with serving(follow, tmp_path) as url:
        champion = (tmp_path / "registry/champion").resolve().name
        assert httpx.get(f"{url}/health").json()["version"] == champion
    assert noria(*again, *short) == 0
    assert "Turn: " in (said := capfd.readouterr().out) or "No reason to train" in said


@contextmanager
def serving(words: list[str], folder: Path) -> Iterator[str]:
    """A server in a process of its own; gives its URL."""
    code = "from noria.cli.main import entry; entry()"
    command = [sys.executable, "-c", code, *words, "stage.port=0"]
    server = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert server.stdout is not None
    try:
        said = []
        for line in server.stdout:
            said.append(line)
            if " at http" in line:
                yield line.partition(" at ")[2].split()[0]
                break
        else:
            raise AssertionError("".join(said))
    finally:
        server.terminate()
        server.wait(30)


def test_choices_compose(tmp_path: Path) -> None:
    table = README.split("| you have | you type |")[1].split("\n\n")[0]
    shown = [code for code in re.findall(r"`([^`]+)`", table) if re.match(r"[a-z_.]+=", code)]
    assert len(shown) > 8
    register_resolvers()
    for code in shown:
        words = shlex.split(re.sub(r"<[^>]+>", "folder", code))
        if any(word.startswith("data.text=") for word in words):
            words = ["data=table", *(word for word in words if word != "data=table")]
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            compose("config", overrides=words)


def test_sweeps_compose() -> None:
    table = README.split("| you want | you type |")[1].split("\n\n")[0]
    shown = [code for code in re.findall(r"`([^`]+)`", table) if "=" in code]
    assert len(shown) > 7
    register_resolvers()
    for code in shown:
        words = [word for word in shlex.split(code.replace("<URL>", "'sqlite:///a.db'")) if word != "-m"]
        overrides = OverridesParser.create().parse_overrides(words)
        plain = [str(override.input_line) for override in overrides if not override.is_sweep_override()]
        if any(word.startswith("hydra.sweeper.storage") for word in plain):
            plain.append("hydra/sweeper=optuna")
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            compose("config", overrides=plain, return_hydra_config=True)


def test_error_message_is_the_real_one(noria: Callable[..., int], capfd: pytest.CaptureFixture[str]) -> None:
    block = next(block for language, block in BLOCKS if language == "text" and block.startswith("$ noria"))
    command, message = block.strip().splitlines()
    assert noria(*shlex.split(command)[2:]) == 2
    assert capfd.readouterr().err.strip() == message


def test_files_and_links_exist() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / target).exists(), target


def test_house_is_the_one_that_make_check_holds() -> None:
    rooms = {path.name for path in (ROOT / "src" / "noria").iterdir() if (path / "__init__.py").is_file()}
    picture = next(block for language, block in BLOCKS if language == "text" and block.startswith("cli"))
    drawn = {part for part in re.split(r"\s{2,}|\n", picture) if re.fullmatch("[a-z]+", part)}
    assert rooms == drawn


def test_what_others_do_not_composes() -> None:
    table = README.split("| it | try |")[1].split("\n\n")[0]
    shown = [code.removeprefix("noria ") for code in re.findall(r"`(noria [^`]+)`", table)]
    assert len(shown) == 6
    register_resolvers()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        for code in shown:
            if "lrr" in code:
                continue  # the mistake of the next section, whose message is tested there
            compose("config", overrides=shlex.split(code))


def test_what_it_links_to_is_there() -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text())]
    assert len(links) > 10
    assert not [f"{page.name}: {link}" for page, link in links if not (page.parent / link).exists()]
