# Needs Python (3.10 or later) and make. `make demo` and `make test` set up what they need on the first call.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WEB := $(VENV)/web

# Tests run in this many processes, each with one thread.
JOBS ?= 2
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

# What the demo does: avs, ave, avqa.
TASK ?= avs
DEMO_CONFIG := configs/demo/$(TASK)_swin_nano_shared.yaml
DEMO_DATA := data/demo/$(TASK)
DEMO_RUN := work_dirs/demo/$(TASK)

.PHONY: help demo demo-data demo-compare test test-fast test-web fuzz check torture docs clean

help:
	@echo "make demo          train, test and export CoPL on generated clips (minutes on a laptop)"
	@echo "make demo TASK=ave the same for event localisation, TASK=avqa for question answering (default: avs, segmentation)"
	@echo "make demo-compare  frozen against CoPL and the rows between, seeds 0 1 2"
	@echo "make test          the whole test suite"
	@echo "make test-web      the page of copl serve, in Chromium too (Debian: chromium, chromium-driver)"
	@echo "make fuzz          10,000 damaged and hostile inputs for every reader (about half an hour)"
	@echo "make torture       kill and resume trainings 100 times, and compare every byte (minutes)"
	@echo "make check         ruff and mypy"
	@echo "make docs          the docs site, into site/"

# Set-up is done once, and again only when the dependencies or the entry points change.
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@touch $@

# Gradio holds pillow below 13, so it has an environment of its own. After its own packages come those of the other one;
# they are added last, for pip would take them for installed here.
$(WEB)/.installed: $(VENV)/.installed
	$(BIN)/python -m venv --clear $(WEB)
	$(WEB)/bin/python -m pip install --quiet --disable-pip-version-check "$$(sed -n 's/^web = \["\(.*\)"\]$$/\1/p' pyproject.toml)"
	@$(BIN)/python -c 'import sysconfig; print("import site; site.addsitedir(%r)" % sysconfig.get_path("purelib"))' \
		> "$$($(WEB)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/copl.pth"
	@touch $@

demo-data: $(VENV)/.installed
	@$(BIN)/python -m copl_synth $(TASK) $(DEMO_DATA)

demo: demo-data
	@$(BIN)/python tools/train.py $(DEMO_CONFIG) --work-dir $(DEMO_RUN) --resume
	@echo "test it again:  $(BIN)/python tools/test.py $(DEMO_CONFIG) $(DEMO_RUN)/export"

demo-compare: demo-data
	@$(BIN)/copl sweep configs/studies/table4_nano.yaml

test: $(VENV)/.installed
	@$(PYTEST)

test-fast: $(VENV)/.installed
	@$(PYTEST) -m "not slow and not dist"

test-web: $(WEB)/.installed
	@COPL_TEST_WEB=1 $(WEB)/bin/python -m pytest tests/copl_core/serve

fuzz: $(VENV)/.installed
	@COPL_FUZZ_CASES=10000 $(PYTEST) tests/fuzz

torture: $(VENV)/.installed
	@$(BIN)/python tools/torture.py --kills 100

check: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.installed
	$(BIN)/mkdocs build --strict

clean:
	rm -rf work_dirs data/demo site
