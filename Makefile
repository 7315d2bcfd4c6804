# The two commands of the README are `make run` and `make test`. `make help` prints the line after ## of each target.

PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 4
TESTS ?= tests
BIN = $(VENV)/bin

.PHONY: run demo test nightly lint check screenshots clean help

run: $(VENV)/.installed ## serve on this machine: web server, worker, scheduler, counter and alert sender
	@exec $(BIN)/python app.py

test: $(VENV)/.installed-dev ## run the tests; TESTS= names a part, WORKERS= the processes
	$(BIN)/python -m pytest -n $(WORKERS) $(TESTS)

nightly: $(VENV)/.installed-dev ## run what takes too long for every change: damaged builds, sequences of releases, races, simulations
	OTA_TEST_DATABASES=all $(BIN)/python -m pytest -n $(WORKERS) tests
	OTA_EXAMPLES=10000 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --timeout 3600 tests/core
	OTA_EXAMPLES=2000 $(BIN)/python -m pytest --timeout 3600 tests/releases/test_machine.py
	OTA_ROUNDS=50 $(BIN)/python -m pytest -n $(WORKERS) tests/releases/test_crowds.py
	$(BIN)/python -m benchmarks.health 10000 --must-hold
	$(BIN)/python -m benchmarks.silence 300 --must-hold
	OTA_MUTATIONS=20000 $(BIN)/python -m pytest -n $(WORKERS) tests/packages/test_mutations.py

lint: $(VENV)/.installed-dev ## check style and types: ruff, mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: lint test ## lint and test; has to pass before a change lands

demo: $(VENV)/.installed ## fill a fresh server with three apps and a made-up fleet
	@$(BIN)/python -m scripts.demo

screenshots: $(VENV)/.installed-dev ## draw the pictures of the documentation again
	$(BIN)/python -m scripts.screenshots
	$(BIN)/python -m scripts.demo_screenshots

clean: ## delete the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name it with PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements.txt requirements-dev.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@
