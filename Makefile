# minuet's verbs. Each makes and uses the environment .venv; all it takes is CPython 3.11 or later.

PYTHON ?= python3
BIN := .venv/bin
KILLS ?= 12

.DEFAULT_GOAL := help
.PHONY: help demo test fast check bench matrix services services-stop docs lock clean

help:  ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

demo: .venv/installed  ## five services, one file, processes killed as they run, and books that balance
	$(BIN)/minuet demo order --kills $(KILLS)

test: .venv/installed  ## every test but those of minutes; starts PostgreSQL, Kafka and RabbitMQ
	@$(BIN)/python -m tools.services start >/dev/null || test $$? -eq 3
	$(BIN)/python -m pytest -n 2 --dist worksteal

fast: .venv/installed  ## the tests that answer within a minute
	$(BIN)/python -m pytest -m "not slow and not long" --ignore=tests/acceptance

check: .venv/installed  ## style, types and architecture
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pyright --project pyproject.toml
	$(BIN)/lint-imports

bench: .venv/installed  ## measure; ONLY=chain_sqlite asks one question
	$(BIN)/python -m benchmarks $(ONLY)

matrix: .venv/installed  ## 10,000 orders on each broker and store, all killed in between; then the tests of minutes; ONLY=kafka+postgres
	$(BIN)/python -m tools.matrix $(ONLY)
	@test -n "$(ONLY)" || $(PYTHON) -m tools.services start >/dev/null
	@test -n "$(ONLY)" || $(BIN)/python -m pytest -m long

services:  ## start real PostgreSQL, Kafka and RabbitMQ on loopback; ONLY=kafka starts one
	@$(RECENT)
	@$(PYTHON) -m tools.services start $(ONLY)

services-stop:  ## end those servers; ONLY=kafka ends one
	@$(RECENT)
	@$(PYTHON) -m tools.services stop $(ONLY)

docs: .venv/installed  ## write the generated parts of README and docs anew
	$(BIN)/python -m tools.documents

lock: .venv/installed  ## choose the versions in requirements/ anew
	$(BIN)/uv pip compile $(LOCKED) --extra dev --output-file requirements/dev.txt pyproject.toml
	$(BIN)/uv pip compile $(LOCKED) --extra fast --output-file requirements/run.txt pyproject.toml
	$(BIN)/uv pip compile $(LOCKED) --output-file requirements/bench-peers.txt requirements/bench-peers.in

LOCKED := --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links --no-emit-package minuet

clean:  ## end the servers, remove what they, runs, tests and builds leave behind; .venv stays
	@test ! -d .services || $(PYTHON) -m tools.services stop
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .demo .services
	find . -name __pycache__ -type d -not -path './.venv*' -prune -exec rm -rf {} +

RECENT := $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "minuet needs Python 3.11 or later; say which: make PYTHON=python3.12")'

# The environment: exactly the locked versions, and this project itself as it stands in src.
.venv/installed: requirements/dev.txt pyproject.toml
	@$(RECENT)
	@echo "Installing what minuet needs into .venv; the first time takes a minute or so."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@
