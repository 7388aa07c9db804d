# Needs Python (3.10 or later) and make. `make demo` and `make test` set up what they need on the first call.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

DEMO_CONFIG := configs/demo/avs_swin_nano_shared.yaml
DEMO_DATA := data/demo/avs
DEMO_RUN := work_dirs/demo

.PHONY: help demo demo-data demo-compare test test-fast check clean

help:
	@echo "make demo          train, test and export CoPL on generated clips (minutes on a laptop)"
	@echo "make demo-compare  frozen against CoPL and the rows between, seeds 0 1 2"
	@echo "make test          the whole test suite"
	@echo "make check         ruff and mypy"

# Set-up is done once, and again only when the dependencies or the entry points change.
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@touch $@

demo-data: $(VENV)/.installed
	@$(BIN)/python -m copl_synth avs $(DEMO_DATA) --train 1000

demo: demo-data
	@$(BIN)/python tools/train.py $(DEMO_CONFIG) --work-dir $(DEMO_RUN) --resume
	@echo "test it again:  $(BIN)/python tools/test.py $(DEMO_CONFIG) $(DEMO_RUN)/export"

demo-compare: demo-data
	@$(BIN)/python tools/demo_compare.py $(DEMO_CONFIG) --work-dir work_dirs/demo-compare

test: $(VENV)/.installed
	@$(BIN)/python -m pytest

test-fast: $(VENV)/.installed
	@$(BIN)/python -m pytest -m "not slow and not dist"

check: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf work_dirs data/demo
