# Billhook's everyday commands. Each one first sees to the virtual environment in .venv.

# The first Python from 3.11 on that works; name another one with `make PYTHON=/path/to/python`.
ifndef PYTHON
PYTHON := $(shell for p in python3.11 python3 python3.12 python3.13 python3.14; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
endif
BIN := .venv/bin
READY := .venv/.ready
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Each test process would compile all of pytest's rewritten modules again: some 10 s of each.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo run test test-tryton check bench torture requirements
.DEFAULT_GOAL := help

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1@\2/p' $(MAKEFILE_LIST) | \
		awk -F@ '{printf "%-22s %s\n", $$1, $$2}'

setup: $(READY) ## Make the virtual environment in .venv; quick if it is there already

$(READY): requirements-dev.txt
	@test -n "$(PYTHON)" || { echo "setup: no Python 3.11 or newer is found -" \
		"install one, or name it: make setup PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "setup: making .venv with $$($(PYTHON) --version); this takes about a minute"
	@$(PYTHON) -m venv .venv || { echo "setup: $(PYTHON) cannot make a virtual environment -" \
		"on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install --only-binary :all: --require-hashes -r requirements-dev.txt
	@touch $@
	@echo "setup: done"

demo: setup ## Play a month of an agency, then leave it running (ARGS=--once: end instead)
	@$(BIN)/python -m demo $(ARGS)

run: setup ## Start web, worker and clock here; settings come from .env
	@$(BIN)/honcho run sh -c "flask db upgrade && flask rules activate --yes --no-plan"
	@HOST=127.0.0.1 $(BIN)/honcho start --port $${PORT:-8000} web worker clock

test: setup ## Run the tests with fewer examples, on one database each (ARGS: words for pytest)
	@TEST_EXAMPLES=$${TEST_EXAMPLES:-20} $(BIN)/pytest -n 3 --dist worksteal $(ARGS)

REAL := .venv-tryton/.ready
$(REAL): requirements-tryton.txt
	@echo "test-tryton: installing Tryton into .venv-tryton; this takes some seconds"
	@$(PYTHON) -m venv .venv-tryton
	@.venv-tryton/bin/python -m pip install --quiet --only-binary :all: --require-hashes \
		-r requirements-tryton.txt
	@touch $@

# The contract tests in which the server has the greatest part; `make test-tryton WHICH=tryton`
# runs all of them, also those that make up the server's answers.
WHICH := tryton and (customer or brought or lost_in_the_middle or somebody_writes or happens or \
	lines_arrive or never_bills or found_again or taxes_arrive)
test-tryton: setup $(REAL) ## Try the tryton connector against the real Tryton, a server of its own
	@$(BIN)/pytest -n 2 --dist worksteal tests/tryton $(ARGS)
	@BILLHOOK_REAL_SYSTEM=tryton $(BIN)/pytest -n 2 --dist worksteal -k "$(WHICH)" \
		$(addprefix tests/contracts/test_billing_,connectors.py amendments.py customers.py limits.py) \
		$(ARGS)

check: setup ## All that CI runs: lint, format, types, tests with all examples
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/pytest -n 3 --dist worksteal

bench: setup ## Measure speed, as ratios within one run
	@$(BIN)/python -m bench $(ARGS)

MINUTES := 5
torture: setup ## Try to lose work or bill it twice (MINUTES=5; ARGS=--write: into the docs)
	@$(BIN)/python -m torture --minutes $(MINUTES) $(ARGS)

requirements: setup ## Compile requirements*.txt from requirements*.in, with hashes
	@for name in requirements requirements-dev requirements-tryton; do \
		$(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-annotate \
			$$name.in -o $$name.txt || exit 1; done
