.DEFAULT_GOAL := help
PYTHON ?= python3
RESIDENTS ?= 20000
BIN := .venv/bin
# the tests start the program hundreds of times: it is compiled once
unexport PYTHONDONTWRITEBYTECODE

# -c: pip before 23.3 looks past the locked version of a package that another one asks for with extras
.venv/installed: requirements-dev.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --require-hashes -r requirements-dev.txt -c requirements-dev.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

# Apache Spark and Sail for tests/engines; Spark needs a Java 17 besides
.venv-spark/installed: requirements-spark.txt
	$(PYTHON) -m venv .venv-spark
	.venv-spark/bin/pip install --quiet --require-hashes -r requirements-spark.txt
	touch $@

.PHONY: help demo test test-rest test-all lint lock docs bench peers faults spark
help:  ## say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

spark: .venv-spark/installed  ## install Apache Spark and Sail for tests/engines, in .venv-spark (1 GB)

demo: .venv/installed  ## two synthetic months, scored and published under var/demo
	$(BIN)/jifen demo --residents $(RESIDENTS)

test: .venv/installed  ## what holds between two edits, in two minutes: units, the manual on both engines, one whole month
	$(BIN)/pytest -m essential --numprocesses auto --dist worksteal

# files in the order of their names: by default those with the fewest tests come last, and these are the longest
test-rest: .venv/installed  ## the rest: whole months, servers, browser, LibreOffice, faults
	$(BIN)/pytest -m "not essential" --numprocesses 3 --dist loadfile --no-loadscope-reorder

test-all: test test-rest  ## everything that must hold

lint: .venv/installed  ## style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/installed  ## make the generated pages again
	$(BIN)/python -m flows.cli.reference_docs
	$(BIN)/python -m tests.spec.manual
	$(BIN)/python -m tests.architecture.traceability

lock: .venv/installed  ## resolve the dependencies again, with hashes and without addresses
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --group spark -o requirements-spark.txt

bench: .venv/installed  ## a steady-state month against its floor (RESIDENTS=, TIMES=)
	$(BIN)/python -m tests.benchmarks.bench --residents $(RESIDENTS) --times $(or $(TIMES),3) --folder var/bench-$(RESIDENTS)

peers: .venv/installed  ## a published month again in Polars, plain SQL, OpenFisca-core, pandas and on Sail (ROOT=, MONTH=, PEERS=)
	$(BIN)/python -m tests.benchmarks.peers $(PEERS) --root $(or $(ROOT),var) --month $(or $(MONTH),2024-04)

faults: .venv/installed  ## the long run of all faults; writes docs/assurance/reliability.md
	$(BIN)/python -m tests.faults.long --write
