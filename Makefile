# Two commands on a fresh machine: make demo, make test. Nothing but the Python package index is reached for.
PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
BIN := $(VENV)/bin

.PHONY: demo test check crash bench serve wheel clean

demo: $(VENV)/.runtime
	$(BIN)/turnup demo

test: $(VENV)/.test
	$(BIN)/python -P tests/tools/wheel.py
	$(BIN)/pytest -n $(WORKERS) --dist worksteal

check: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/turnup catalog check catalogs

crash: $(VENV)/.test
	$(BIN)/pytest -m crash --crash-all --timeout=3000 tests/crash tests/orders/test_crash.py

bench: $(VENV)/.test
	$(BIN)/python benchmarks/run.py

serve: $(VENV)/.runtime
	$(BIN)/turnup serve --topology topologies/metro.clab.yml

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Turnup needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: pyproject.toml requirements.lock $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

$(VENV)/.test: $(VENV)/.runtime requirements-test.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-test.lock
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .turnup
