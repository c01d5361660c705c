"""Proof: the wheel alone, installed into another environment, carries the configs and runs from an empty folder."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(*words: str | Path, cwd: Path) -> str:
    """Runs a command; its output, or the end of this proof with what it said."""
    done = subprocess.run([str(word) for word in words], cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"failed: {' '.join(map(str, words))}\n{done.stdout}{done.stderr}")
    return done.stdout


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT, cwd=folder)
        wheel = next(folder.glob("noria-*.whl"))
        run(sys.executable, "-m", "venv", folder / "env", cwd=folder)
        python = folder / "env" / "bin" / "python"
        run(python, "-m", "pip", "install", "--quiet", "--no-deps", wheel, cwd=folder)
        # The libraries come from this environment; its .pth files, which would bring the sources back, do not.
        site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
        (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
        where = run(python, "-c", "import noria; print(noria.__file__)", cwd=folder).strip()
        assert where.startswith(str(site)), f"noria came from {where}, not from the wheel"
        print(f"installed: {wheel.name}")

        empty = folder / "empty"
        empty.mkdir()
        noria = folder / "env" / "bin" / "noria"
        said = run(noria, "--help", cwd=empty)
        assert "experiment: " in said and "quickstart" in said, said
        assert "noria.model.pretrained.Pretrained" in run(noria, "--cfg", "job", cwd=empty)
        print("--help and --cfg job: the configs are inside")
        run(noria, "experiment=quickstart", "debug=smoke", cwd=empty)
        record = json.loads((empty / "runs" / "latest" / "record.json").read_text())
        assert record["status"] == "done" and "test/accuracy" in record["metrics"]
        print("a smoke run from an empty folder: done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
