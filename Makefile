# Needs Python 3.11 or newer and make; everything else is installed into .venv.
PYTHON ?= python3
BIN := .venv/bin
TESTERS := -n 3 --dist worksteal
SEARCHES := tests/core/test_folding_sets.py tests/core/delivery/test_shard_schedules.py \
	tests/core/delivery/test_transition_schedules.py tests/core/retention/test_schedule.py \
	tests/adapters/test_strict_json.py
COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11

.DEFAULT_GOAL := help
.PHONY: help setup run test coverage lint audit fix bench lock sbom faults providers screenshots clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.ok ## install everything into .venv, and the `hub` command with it

run: setup ## set everything up and run the hub on this machine
	@exec $(BIN)/hub up

test: setup ## run the tests, against a real Redis and a real PostgreSQL
	$(BIN)/python -m pytest $(TESTERS)

coverage: setup ## run the tests, and print how many branches they take; half as long again
	$(BIN)/python -m pytest $(TESTERS) --cov --cov-report=
	@echo "branch coverage: $$($(BIN)/coverage report --format=total --precision=1) %"

lint: setup ## check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

audit: setup ## look for known vulnerabilities in requirements.txt, and for secrets in the tree and its history
	@$(BIN)/python -m tests.security

fix: setup ## mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## measure, and print the table
	$(BIN)/python -m tests.bench

faults: setup ## kill processes and stores of a running hub, again and again; search all schedules
	HYPOTHESIS=thorough $(BIN)/python -m pytest tests/faults tests/journeys $(SEARCHES) -n 2 --dist worksteal -m "faults or not faults"

providers: setup ## write the tables of providers and events anew, after a change of an adapter
	$(BIN)/python -m tests.docs.providers
	$(BIN)/python -m tests.docs.events

screenshots: setup ## make a picture of every page of the dashboard in var/screenshots; needs Chromium
	$(BIN)/python -m tests.screenshots

lock: setup ## write requirements*.txt anew from requirements*.in; UPGRADE=NAME takes the newest NAME
	$(COMPILE) $(UPGRADE:%=--upgrade-package %) requirements.in -o requirements.txt
	$(COMPILE) $(UPGRADE:%=--upgrade-package %) requirements-dev.in -o requirements-dev.txt

sbom: setup ## write build/hub.cdx.json: what a release is made of, as CycloneDX
	@$(BIN)/python -m tests.security.sbom build/hub.cdx.json

clean: ## remove what was built; var/ and hub.yaml stay
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.ok: requirements.txt requirements-dev.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON): install Python 3.11 or newer, or say where it is: make PYTHON=... $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("$(PYTHON) is Python %d.%d; the hub needs 3.11 or newer: make PYTHON=python3.11 $(MAKECMDGOALS)" % sys.version_info[:2])'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments (Debian, Ubuntu: install python3-venv)" >&2; exit 1; }
	@echo "Installing into .venv; this takes about a minute." >&2
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements.txt -r requirements-dev.txt
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
