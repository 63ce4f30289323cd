# Each target makes .venv by itself (and bench .bench); nothing but python3 (3.11 to 3.13) is needed.
PYTHON ?= python3
BIN := .venv/bin
EVENTS ?= 225000

.PHONY: help demo test test-slow test-all crash sim mutants lint bench data dagster clean lock

help:
	@echo "make demo      the whole way on the bundled sample, against a sandbox on this machine"
	@echo "make test      the tests of every part, with 20 processes killed and 2,000 seeds; 4 to 8 minutes"
	@echo "make test-slow the tests that are left: longer logs, more days and lives; 15 to 20 minutes"
	@echo "make test-all  both, with the long forms of the crash tests, random lives and days"
	@echo "make sim       deliveries of many random seeds in simulated time (SEEDS=100000: 40 minutes)"
	@echo "make crash     500 processes killed, at every point and at any time; 10 to 15 minutes"
	@echo "make mutants   take each safety mechanism away: a named test must fail; 5 minutes"
	@echo "make lint      formatting, lint, types, SQL style, Dagster definitions"
	@echo "make bench     timings, as ratios in one run, beside drt-core; 25 minutes and 12 GB"
	@echo "               (ROWS=100000 MEMORY_ROWS=100000 MEMBERS=1000000 EDGES=100000: a few minutes)"
	@echo "make data      make data/sample anew; EVENTS=10000000 makes data/local/large"
	@echo "make dagster   the Dagster UI on 127.0.0.1:3000"
	@echo "make clean     remove .venv, data/local and build leftovers"

demo: .venv/ready
	@$(BIN)/tailrace demo

test: .venv/ready
	$(BIN)/python -m pytest -q -m "not slow"

test-slow: .venv/ready
	$(BIN)/python -m pytest -q -m slow

# By test, not by file: each life is one, and there are more lives than files.
crash: .venv/ready
	TAILRACE_LONG=1 $(BIN)/python -m pytest -q --dist=load tests/crash

test-all: .venv/ready
	TAILRACE_LONG=1 $(BIN)/python -m pytest -q

SEEDS ?= 20000
sim: .venv/ready
	SEEDS=$(SEEDS) $(BIN)/python -m pytest -q tests/sim

mutants: .venv/ready
	MUTANTS=1 $(BIN)/python -m pytest -q --dist=load tests/mutants

lint: .venv/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/sqlfluff lint --disable-progress-bar dbt_project/models
	DAGSTER_DISABLE_TELEMETRY=1 $(BIN)/dg check defs

bench: .venv/ready
	@$(MAKE) --no-print-directory .bench/ready || echo "drt-core cannot be installed: going on without it"
	$(BIN)/python -m tests.bench
	$(BIN)/python -m tests.bench.planning
	$(BIN)/python -m tests.bench.traits
	$(BIN)/python -m tests.bench.identity

data: .venv/ready
	$(BIN)/python data/generate.py --events $(EVENTS) --out $(if $(filter 225000,$(EVENTS)),data/sample,data/local/large)

dagster: .venv/ready
	@mkdir -p data/local/dagster && cp orchestration/defs/dagster.yaml data/local/dagster/
	DAGSTER_HOME=$(CURDIR)/data/local/dagster $(BIN)/dagster dev -h 127.0.0.1 -m orchestration.definitions

# A new lock after editing pyproject.toml; needs uv.
lock:
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
	  --no-strip-extras --no-emit-index-url --no-annotate --no-header --output-file requirements.txt

clean:
	rm -rf .venv .bench data/local dbt_project/target dbt_project/logs .pytest_cache .mypy_cache .ruff_cache

.venv/ready: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo "Python 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.12 ..."; exit 1; }
	@echo "installing into .venv (about a minute, once)"
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch .venv/ready

# What the benchmark compares with wants other versions of what we use: a place of its own.
.bench/ready: pyproject.toml
	@echo "installing what is compared with into .bench (once)"
	@$(PYTHON) -m venv --clear .bench
	@$(PYTHON) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["bench"], sep="\n")' > .bench/requirements.txt
	@.bench/bin/python -m pip install --quiet --disable-pip-version-check -r .bench/requirements.txt
	@touch .bench/ready
