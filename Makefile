# Every target makes what it needs; only Python 3.11+, Terraform and make have to be there.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
# Many tests wait for real time to pass: more of them at once than there are cores.
PARALLEL := --numprocesses 4 --dist worksteal
# Compiled once, tests and functions start in half the time, whatever the environment asks for.
unexport PYTHONDONTWRITEBYTECODE

UV_COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header

.DEFAULT_GOAL := help
.PHONY: help demo sandbox sandbox-stop test test-unit test-browser screenshots bench-drain check fmt packages lock clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/installed ## Deploy both gates into a local AWS and a local Slack, and watch them work
	@$(BIN)/python -m sandbox.demo

sandbox: $(VENV)/installed ## Deploy both gates on this machine and open them in the browser (KEEP=1: leave it running for the next start)
	@$(BIN)/python -m sandbox $(if $(KEEP),--keep)

sandbox-stop: $(VENV)/installed ## End the sandbox that KEEP=1 left running
	@$(BIN)/python -m sandbox --stop

test: test-unit ## Run all tests: units, the sandbox's own, packages, plans, end to end
	$(PYTEST) --numprocesses auto --dist loadfile tests/sandbox
	$(PYTEST) --ignore tests/unit --ignore tests/sandbox --ignore tests/browser

test-unit: $(VENV)/installed ## Run the unit tests only
	$(PYTEST) $(PARALLEL) tests/unit

test-browser: $(VENV)/installed ## Run the tests of the sandbox's pages in Chromium (Debian: apt-get install chromium)
	$(PYTEST) tests/browser

screenshots: $(VENV)/installed ## Take README's screenshots anew (Debian: apt-get install chromium fonts-lato fonts-noto-color-emoji)
	UPDATE_SCREENSHOTS=1 $(PYTEST) tests/browser/test_screenshots.py

TASKS ?= 5000
RATE  ?= 10000
bench-drain: $(VENV)/installed ## Resume TASKS parked tasks against a stub of AWS; print rate and memory (TASKS=100000 takes a while)
	@PYTHONPATH=functions:. $(BIN)/python -m tests.benchmarks.drain $(TASKS) $(RATE)

check: $(VENV)/installed ## Run formatters (as a check), linters and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	terraform fmt -check -recursive -diff .
	$(BIN)/python -m sandbox.provider_bridge validate

fmt: $(VENV)/installed ## Format Python and Terraform
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only --quiet .
	terraform fmt -recursive .

packages: $(VENV)/installed ## Build the function packages into build/packages
	$(BIN)/python functions/build.py --all build/packages

lock: $(VENV)/installed ## Pin the dependencies of the *.in files anew, with hashes
	for f in $(wildcard functions/*/requirements.in examples/*/functions/*/requirements.in); do \
	  $(UV_COMPILE) --python-version 3.13 --upgrade $$f -o $${f%.in}.txt || exit 1; done
	$(UV_COMPILE) --python-version 3.11 --upgrade requirements-dev.in -o requirements-dev.txt

clean: ## Remove everything that the targets made
	@[ ! -e .sandbox/kept ] || $(MAKE) --no-print-directory sandbox-stop
	rm -rf .venv .venv-* .sandbox build .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find . -name .terraform -type d -prune -exec rm -rf {} +

$(VENV)/installed: requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"{sys.executable} is Python {sys.version.split()[0]}: 3.11 or newer is needed, for example: make PYTHON=python3.12 $(MAKECMDGOALS)" or 0)'
	@echo "Installing what this repository needs into $(VENV), once; it takes a minute or more"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@
