# Each target stands alone: it makes the virtualenv and installs what it needs.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# One more than processors: many tests wait for servers, processes and disks.
JOBS   ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

# Thousands of short processes start here: without bytecode each would compile the package anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check proof bench clean

demo: $(STAMP)
	$(BIN)/python -m spec_kitty_sync.cli.demo

test: check
	$(BIN)/python -m pytest -q -n $(JOBS) --dist loadgroup -m "not proof" $(PYTEST_OPTIONS)

check: $(STAMP)
	$(BIN)/ruff check src tests conformance benchmarks scripts
	$(BIN)/mypy
	$(BIN)/lint-imports

# Ends by writing what the faults counted into docs/reliability.md.
proof: $(STAMP)
	rm -rf .sk/figures
	SK_FAULT_FIGURES=$(CURDIR)/.sk/figures $(BIN)/python -m pytest -q -n $(JOBS) --dist loadgroup -m proof $(PYTEST_OPTIONS)
	SK_FAULT_FIGURES=$(CURDIR)/.sk/figures $(BIN)/python -m pytest -q -n $(JOBS) tests/faults -m "not proof" $(PYTEST_OPTIONS)
	$(BIN)/python scripts/reliability_table.py .sk/figures

bench: $(STAMP)
	$(BIN)/python benchmarks/run_all.py

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[conformance,receiver,postgres,websocket]" --group dev
	@touch $(STAMP)

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .sk bench-work
