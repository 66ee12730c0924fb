# make leaderboard   sets up, scores all metrics on the attractor suite, writes leaderboard/index.html
# make test          sets up, runs the tests
# make setup         .venv with the project, editable, and all extras

PYTHON ?= python3
INSTALLED := .venv/installed
PYTEST := OMP_NUM_THREADS=1 .venv/bin/python -m pytest --numprocesses auto --maxprocesses 4

.PHONY: setup leaderboard test slow lint

setup: $(INSTALLED)

leaderboard: setup
	.venv/bin/repsim board --quick

test: setup
	$(PYTEST)

slow: setup
	$(PYTEST) -m slow

lint: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --constraint constraints.txt --editable '.[dev,koopman,neurogym,peers]'
	touch $(INSTALLED)
