# Slipway: what can be done here. Each works from nothing; offline too, once `make setup` has been through.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
MINISTACK := .venv-ministack/ready
NEWEST := .venv-newest/ready
TOOLS := .venv-tools/ready
LOCKER := .venv-lock
UV := $(LOCKER)/bin/uv
COMPILE := pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	--no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(UPGRADE)

.DEFAULT_GOAL := help
MINUTES ?= 20
KILLS ?= 50
# A test of real processes waits a third of its time.
WORKERS ?= $(shell "$(PYTHON)" -c 'import os; print(1 + (os.cpu_count() or 1))')
MODEL ?=
.PHONY: help setup demo test browser proof prove newest bench check release dist live lint types contracts format lock upgrade clean

help: ## say what can be made (this)
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup: $(READY) ## make .venv, with the slipway command and everything to work on it

$(READY): requirements-dev.txt pyproject.toml
	@command -v "$(PYTHON)" >/dev/null || { \
	  echo "There is no $(PYTHON) here. Slipway needs Python 3.11 or newer; say which: make $(or $(MAKECMDGOALS),setup) PYTHON=python3.13" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Slipway needs Python 3.11 or newer, and $(PYTHON) is $$("$(PYTHON)" -V 2>&1). Say which: make $(or $(MAKECMDGOALS),setup) PYTHON=python3.13" >&2; exit 1; }
	@echo "Setting up $(VENV): a minute, the first time."
	@"$(PYTHON)" -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-compile --require-hashes -r requirements-dev.txt
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true  # on all cores: pip would do it on one
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(MINISTACK): requirements-ministack.txt
	@"$(PYTHON)" -m venv $(@D)
	@$(@D)/bin/python -m pip install -qq --disable-pip-version-check --no-compile --require-hashes -r requirements-ministack.txt
	@touch $@

$(TOOLS): requirements-tools.txt
	@"$(PYTHON)" -m venv $(@D)
	@$(@D)/bin/python -m pip install -qq --disable-pip-version-check --no-compile --require-hashes -r requirements-tools.txt
	@touch $@

$(NEWEST): requirements-dev.txt
	@"$(PYTHON)" -m venv $(@D)
	@$(@D)/bin/python -m pip install -qq --disable-pip-version-check --no-compile --require-hashes -r requirements-dev.txt
	@touch $@

demo: setup ## see it work: AWS in a box, the daemon, a handful of requests, no account needed
	@$(BIN)/slipway demo

test: setup $(MINISTACK) $(TOOLS) ## pass the tests
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --ignore tests/simulation --ignore tests/mutation --ignore tests/fuzz --ignore tests/browser

browser: setup ## look at the status page as a person does, in Debian's Chromium, which it installs if it is root and there is none
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get -qq update && apt-get -qq install --no-install-recommends chromium >/dev/null; } || { \
	  echo "There is no chromium here. Install Debian's: apt-get install chromium" >&2; exit 1; }
	@$(BIN)/python -m pytest tests/browser

proof: setup ## the quick tiers of the proof: one lifetime, worlds, planted bugs, inputs, the real client, real kills
	@$(BIN)/python -m pytest tests/simulation tests/mutation tests/fuzz
	@$(BIN)/python -m tests.simulation.processes --kills $(KILLS) --requests 150

prove: setup ## try to break every promise for MINUTES=20, and write PROOF.json
	@$(BIN)/python -m tests.simulation prove --minutes $(MINUTES)

# aioboto3 pins an aiobotocore: pip says that the two conflict, and that is what is tried here.
newest: $(NEWEST) ## pass the tests of the adapters with the newest aiobotocore and botocore that there are
	@$(<D)/bin/python -m pip install -qq --disable-pip-version-check --no-compile --upgrade aiobotocore 2>/dev/null
	@$(<D)/bin/python -m pip list --disable-pip-version-check 2>/dev/null | grep boto
	@PYTHONPATH=service:. $(<D)/bin/python -m pytest -n $(WORKERS) -p no:cacheprovider tests/aws

bench: setup ## what it costs, beside what people write instead: some 17 minutes; QUICK=1 takes five minutes
	@$(BIN)/python -m tests.bench $(if $(QUICK),quick)

check: test lint types contracts proof ## all that CI runs

release: check dist ## pass all checks, then build and try the release of this commit, which has its tag and changelog section

dist: setup $(TOOLS) ## build sdist, wheel, SBOM and checksums into dist/, and try them; SNAPSHOT=1 without tag and changelog section
	@$(BIN)/python -m tests.release $(if $(SNAPSHOT),--snapshot)

live: setup ## check a real account: doctor, probe and one deployment of MODEL=ARN, which it asks about first and deletes
	@$(BIN)/python -m tests.live $(if $(MODEL),--model "$(MODEL)")

lint: setup ## style and likely mistakes
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: setup ## mypy, strict
	@$(BIN)/mypy

contracts: setup ## who may import whom
	@$(BIN)/lint-imports --no-cache --no-logo

format: setup ## lay the code out, and mend what can be mended
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

lock: $(UV) ## write requirements*.txt again from pyproject.toml, changing no version that still fits
	@$(UV) $(COMPILE) pyproject.toml --extra local --extra otel --group dev -o requirements-dev.txt
	@$(UV) $(COMPILE) pyproject.toml -c requirements-dev.txt -o requirements.txt
	@$(UV) $(COMPILE) pyproject.toml --extra otel -c requirements-dev.txt -o requirements-otel.txt
	@$(UV) $(COMPILE) --group build -c requirements-dev.txt -o requirements-build.txt
	@$(UV) $(COMPILE) --group ministack -o requirements-ministack.txt
	@$(UV) $(COMPILE) --group tools -o requirements-tools.txt

upgrade: UPGRADE := --upgrade
upgrade: lock ## the same, with the newest versions that fit

$(UV):
	@"$(PYTHON)" -m venv $(LOCKER)
	@$(LOCKER)/bin/python -m pip install -qq --disable-pip-version-check "uv>=0.9"

clean: ## take away what was made here, .venv too
	@rm -rf $(VENV) $(dir $(MINISTACK)) $(dir $(NEWEST)) $(dir $(TOOLS)) $(LOCKER) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find service tests -name __pycache__ -type d -prune -exec rm -rf {} +
