# `make demo` and `make test` do all of their own set-up.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: setup demo test verify lint

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -c constraints.txt -e '.[flux,dev]'
	touch $(STAMP)

# The headline study on a small random FLUX: record, figures and verdict under runs/.
demo: setup
	$(BIN)/python experiments/run.py +exp=interval1_equivalence

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: setup lint
	$(BIN)/pytest -n 2 --dist worksteal -m "not verify"

# The long laws: statistics, and a kill at every kind of moment.
verify: setup
	$(BIN)/pytest -m verify
