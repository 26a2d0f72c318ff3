# make demo     report on the embedded network: the page's path is printed
# make test     the tests
# make check    format, lint, architecture, types, house rules, browser, examples
# make docs     the documentation, into docs/_build/html
# Another interpreter: make PYTHON=/path/to/python3.12 demo

PYTHON ?= python3
VENV ?= .venv
OUT ?= relulens-report
WORKERS ?= 2
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt
INPUTS := pyproject.toml constraints.txt

# One thread a process: two workers with two threads each are slower than one.
export OMP_NUM_THREADS ?= 1

.PHONY: help demo test check lint architecture types house docs format operations clean
.DEFAULT_GOAL := help

help:
	@sed -n '/^# /s/^# //p' Makefile

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: relulens needs Python 3.11 or newer, and '$(PYTHON)' is" \
	    "$$($(PYTHON) --version 2>&1 || echo missing)." \
	    "Try: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.demo: $(VENV)/.created $(INPUTS)
	$(PIP) --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.created $(INPUTS)
	$(PIP) --editable '.[test]'
	@touch $@ $(VENV)/.demo

$(VENV)/.check: $(VENV)/.created $(INPUTS)
	$(PIP) --editable '.[test,dev]'
	@touch $@ $(VENV)/.test $(VENV)/.demo

$(VENV)/.docs: $(VENV)/.created $(INPUTS)
	$(PIP) --editable '.[docs]'
	@touch $@ $(VENV)/.demo

demo: $(VENV)/.demo
	$(BIN)/relulens report --out $(OUT) --overwrite

test: $(VENV)/.test
	$(BIN)/python -m pytest -n $(WORKERS) -m "not browser and not house"

check: lint architecture types house

lint: $(VENV)/.check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

architecture: $(VENV)/.check
	$(BIN)/lint-imports

types: $(VENV)/.check
	$(BIN)/pyrefly check --python-interpreter-path $(BIN)/python

house: $(VENV)/.check
	$(BIN)/python -m pytest -n $(WORKERS) -m "browser or house"

docs: $(VENV)/.docs
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

format: $(VENV)/.check
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

operations: $(VENV)/.demo
	$(BIN)/python scripts/operations_table.py

clean:
	rm -rf $(VENV) $(OUT) docs/_build docs/gallery
