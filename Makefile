# Development commands. Each works in a fresh checkout; without a network too, after `make setup`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
DEMO := $(VENV)/demo
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

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup: $(READY) ## create .venv with the slipway command and the development tools

# Show the progress of pip, and its output only if it fails. The files list every dependency, so pip need not resolve them.
PIP_INSTALL = { PYTHONUNBUFFERED=1 $(BIN)/python -m pip install --disable-pip-version-check --no-compile --no-deps --require-hashes $(1) 2>&1; \
	  echo "exit $$?"; } | awk '{ said = said $$0 "\n" } /^exit / { code = $$2 } END { if (code) printf "%s", said; exit code } \
	  /^Collecting / && ++n % 20 == 0 { print "  " n " packages found"; fflush() } \
	  /^Installing collected/ { print "  installing " n " packages"; fflush() }'

# Creates the environment and installs the requirements files $(1).
define CREATE_ENVIRONMENT
	@command -v "$(PYTHON)" >/dev/null || { \
	  echo "$(PYTHON) was not found. Slipway needs Python 3.11 or newer; name it: make $(or $(MAKECMDGOALS),setup) PYTHON=python3.13" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Slipway needs Python 3.11 or newer; $(PYTHON) is $$("$(PYTHON)" -V 2>&1). Name another: make $(or $(MAKECMDGOALS),setup) PYTHON=python3.13" >&2; exit 1; }
	@echo "Setting up $(VENV), the first time only. The command will be $(BIN)/slipway."
	@"$(PYTHON)" -m venv $(VENV)
	@$(call PIP_INSTALL,$(1))
endef
INSTALL_SLIPWAY = $(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .

# The demo shares the environment with the development tools, and needs only a part of it.
$(DEMO): requirements-local.txt requirements-build.txt pyproject.toml
	$(call CREATE_ENVIRONMENT,-r requirements-local.txt -r requirements-build.txt)
	@$(INSTALL_SLIPWAY)
	@touch $@

$(READY): requirements-dev.txt pyproject.toml
	$(call CREATE_ENVIRONMENT,-r requirements-dev.txt)
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true  # on all cores; pip compiles on one
	@$(INSTALL_SLIPWAY)
	@touch $@ $(DEMO)

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

demo: $(DEMO) ## run the daemon with a local AWS stand-in and a few requests; needs no AWS account
	@$(BIN)/slipway demo

test: setup $(MINISTACK) $(TOOLS) ## run the tests
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --ignore tests/simulation --ignore tests/mutation --ignore tests/fuzz --ignore tests/browser
browser: setup ## test the status page in Chromium; root installs Debian's if it is missing
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get -qq update && apt-get -qq install --no-install-recommends chromium >/dev/null; } || { \
	  echo "chromium was not found. Install it: apt-get install chromium" >&2; exit 1; }
	@$(BIN)/python -m pytest tests/browser

proof: setup ## run the quick part of the proof: simulation, seeded bugs, fuzzing, killed processes
	@$(BIN)/python -m pytest tests/simulation tests/mutation tests/fuzz
	@$(BIN)/python -m tests.simulation.processes --kills $(KILLS) --requests 150

prove: setup ## simulate for MINUTES=20 and write PROOF.json
	@$(BIN)/python -m tests.simulation prove --minutes $(MINUTES)

# aioboto3 pins an aiobotocore version; pip reports the conflict, which is intended here.
newest: $(NEWEST) ## test the AWS adapters with the newest aiobotocore and botocore
	@$(<D)/bin/python -m pip install -qq --disable-pip-version-check --no-compile --upgrade aiobotocore 2>/dev/null
	@$(<D)/bin/python -m pip list --disable-pip-version-check 2>/dev/null | grep boto
	@PYTHONPATH=service:. $(<D)/bin/python -m pytest -n $(WORKERS) -p no:cacheprovider tests/aws

bench: setup ## measure CPU, memory and AWS calls against other clients: 17 minutes, QUICK=1: five minutes
	@$(BIN)/python -m tests.bench $(if $(QUICK),quick)

check: test lint types contracts proof ## run everything that CI runs

release: check dist ## run all checks, then build and test a release of this tagged commit

dist: setup $(TOOLS) ## build and test sdist, wheel, SBOM and checksums in dist/; SNAPSHOT=1 needs no tag
	@$(BIN)/python -m tests.release $(if $(SNAPSHOT),--snapshot)

live: setup ## check a real account with one deployment of MODEL=ARN, after confirmation; deletes it again
	@$(BIN)/python -m tests.live $(if $(MODEL),--model "$(MODEL)")

lint: setup ## check style and formatting (ruff)
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: setup ## check types (mypy, strict)
	@$(BIN)/mypy

contracts: setup ## check which packages import which (import-linter)
	@$(BIN)/lint-imports --no-cache --no-logo

format: setup ## format the code and apply automatic fixes
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

lock: $(UV) ## regenerate requirements*.txt from pyproject.toml, keeping versions that still fit
	@$(UV) $(COMPILE) pyproject.toml --extra local --extra otel --group dev -o requirements-dev.txt
	@$(UV) $(COMPILE) pyproject.toml -c requirements-dev.txt -o requirements.txt
	@$(UV) $(COMPILE) pyproject.toml --extra local -c requirements-dev.txt -o requirements-local.txt
	@$(UV) $(COMPILE) pyproject.toml --extra otel -c requirements-dev.txt -o requirements-otel.txt
	@$(UV) $(COMPILE) --group build -c requirements-dev.txt -o requirements-build.txt
	@$(UV) $(COMPILE) --group ministack -o requirements-ministack.txt
	@$(UV) $(COMPILE) --group tools -o requirements-tools.txt

upgrade: UPGRADE := --upgrade
upgrade: lock ## the same with the newest versions

$(UV):
	@"$(PYTHON)" -m venv $(LOCKER)
	@$(LOCKER)/bin/python -m pip install -qq --disable-pip-version-check "uv>=0.9"

clean: ## delete generated files and virtual environments
	@rm -rf $(VENV) $(dir $(MINISTACK)) $(dir $(NEWEST)) $(dir $(TOOLS)) $(LOCKER) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find service tests -name __pycache__ -type d -prune -exec rm -rf {} +
