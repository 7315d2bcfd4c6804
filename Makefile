# The two commands of the README are `make run` and `make test`; `make check` is what has to pass before a change lands.

PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 4
TESTS ?= tests
BIN = $(VENV)/bin

.PHONY: run demo test nightly lint check screenshots clean

run: $(VENV)/.installed
	@exec $(BIN)/python app.py

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n $(WORKERS) $(TESTS)

# What takes too long for every change: many more damaged builds, sequences of what publishers do, rounds of races, releases watched.
nightly: $(VENV)/.installed-dev
	OTA_TEST_DATABASES=all $(BIN)/python -m pytest -n $(WORKERS) tests
	OTA_EXAMPLES=10000 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --timeout 3600 tests/core
	OTA_EXAMPLES=2000 $(BIN)/python -m pytest --timeout 3600 tests/releases/test_machine.py
	OTA_ROUNDS=50 $(BIN)/python -m pytest -n $(WORKERS) tests/releases/test_crowds.py
	$(BIN)/python -m benchmarks.health 10000 --must-hold
	$(BIN)/python -m benchmarks.silence 300 --must-hold
	OTA_MUTATIONS=20000 $(BIN)/python -m pytest -n $(WORKERS) tests/packages/test_mutations.py

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: lint test

# A fresh server with a made-up fleet, to look around in.
demo: $(VENV)/.installed
	@$(BIN)/python -m scripts.demo

screenshots: $(VENV)/.installed-dev
	$(BIN)/python -m scripts.screenshots
	$(BIN)/python -m scripts.demo_screenshots

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name it with PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements.txt requirements-dev.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@
