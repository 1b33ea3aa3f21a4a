# The commands of this repository. `make setup` installs what the others need into .venv and .state; each of them runs it.
# Nothing outside this folder is changed.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
# What is installed, each newer than the lock files that it is made from: for the demo, and for everything else on top.
DEMO_READY := $(VENV)/.ready-demo
READY := $(VENV)/.ready
# The preferred Python >= 3.11 on this machine; another one: make setup PYTHON=/path/to/python3
PYTHON ?= $(shell sh requirements/choose-python.sh)
INSTALL := $(BIN)/python -m pip install --progress-bar off --require-hashes --requirement
INSTALL_FAILED := { echo "error: packages were not installed: is the package registry reachable? Then run this again" >&2; exit 1; }

.PHONY: help setup lint quick touched check packages browser test acceptance acceptance-long steady bench counters faults soak guard-report demo clean

help: ## Show the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 28

setup: $(READY) ## Install the locked packages and Kafka's jars (quick when done before)

$(DEMO_READY): requirements/demo.lock deploy/devstack/kafka-jars.lock
	$(eval CHOSEN := $(PYTHON))
	@test -n "$(CHOSEN)" || { echo "error: no Python >= 3.11 with its venv module here: install one (on Debian," \
		"apt-get install python3-venv), or name it: make setup PYTHON=..." >&2; exit 1; }
	@"$(CHOSEN)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "error: $(CHOSEN) is not a Python >= 3.11: name another: make setup PYTHON=..." >&2; exit 1; }
	@"$(CHOSEN)" -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "error: this Python has no venv module: on Debian, apt-get install python3-venv" >&2; exit 1; }
	@test -x $(BIN)/python || "$(CHOSEN)" -m venv $(VENV)
	@echo "python: $$(sh requirements/choose-python.sh --describe $(BIN)/python)"
	@echo "installing the demo's packages"
	@$(INSTALL) requirements/demo.lock || $(INSTALL_FAILED)
	@# The project is used from where it lies: its folder is put on the import path, and one launcher is written.
	@echo "$(CURDIR)" > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/causeway.pth"
	@printf '#!%s\nimport sys\n\nfrom deploy.cli import main\n\nsys.exit(main())\n' "$(CURDIR)/$(BIN)/python" > $(BIN)/causeway
	@chmod +x $(BIN)/causeway
	@$(BIN)/python -m deploy.devstack.jars
	@touch $(DEMO_READY)

$(READY): requirements/dev.lock $(DEMO_READY)
	@echo "installing the packages of checks and tests"
	@$(INSTALL) requirements/dev.lock || $(INSTALL_FAILED)
	@touch $(READY)

lint: setup ## Check style, types, the arrows between packages and plain words
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m tests.architecture.test_plain_words

quick: setup ## Lint, and the tests of the folders that differ from the main branch: three minutes at most
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=line lint touched

touched: setup
	$(BIN)/python -m tests.quick

check: setup ## Everything that CI checks: lint and all tests
	@$(MAKE) --no-print-directory --jobs=3 --output-sync=line lint packages browser
	$(BIN)/python -m tests.shards

packages: setup
	$(BIN)/python -m tests.contracts.npm_packages

browser: setup
	$(BIN)/python -m tests.console.browser

test: check ## The same as check

acceptance: setup ## Show every promise of the finished work, with its figure
	$(BIN)/python -m tests.acceptance

acceptance-long: setup ## Show what takes long, an hour a line at most, each once a commit; one of them: LINE=the_soak
	$(BIN)/python -m tests.acceptance.long_run $(LINE)

steady: setup ## Run every test that hangs on the clock ten times beside a busy core
	$(BIN)/python -m tests.acceptance.steady

bench: setup ## Measure
	$(BIN)/python -m tests.benchmarks

counters: setup ## Count the cost of a referral: rows, statements, WAL, Kafka; fail beyond a bound (minutes)
	$(BIN)/python -m tests.benchmarks.counters

faults: setup ## Kill, freeze and starve a running exchange (minutes)
	$(BIN)/python -m pytest -m "" tests/failures

soak: setup ## Run the failure tests for long
	$(BIN)/python -m tests.failures.soak

guard-report: setup ## Measure the content guard
	$(BIN)/python -m tests.guard_report

demo: $(DEMO_READY) ## Start everything and follow one referral through it
	$(BIN)/causeway demo

clean: ## Delete everything that was made here: the environment, the caches and the data of the dev stack
	@if [ -x $(BIN)/causeway ]; then $(BIN)/causeway dev down || true; fi
	rm -rf $(VENV) .state .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
