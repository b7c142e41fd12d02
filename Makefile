# make demo   pack, verify and load a small data set: the whole way in under two minutes
# make test   lint, types and tests
# make bench  measure this machine, and the peers beside dali-rec; IMAGES=FOLDER takes photographs
# make lint / types / format / clean
#
# All set up .venv by themselves; they need python3 (3.10 or newer) with venv, and git.

PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
INPUTS := pyproject.toml constraints.txt

# Without what Python keeps of compiled modules each process that a test begins compiles them anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test bench lint types format clean
.DELETE_ON_ERROR:

demo: .venv/installed
	$(BIN)/dali-rec demo

# A file's tests stay in one process, for what they share; each process has frameworks and a pipeline of its own.
test: lint types
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

bench: .venv/installed-dev
	$(BIN)/dali-rec bench
	$(BIN)/python tools/compare_loaders $(if $(IMAGES),--images $(IMAGES)) --rounds 3 --seconds 2

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Packing has to run everywhere.
types: .venv/installed-dev
	$(foreach platform,linux darwin win32,$(BIN)/mypy --platform $(platform) --cache-dir .mypy_cache/$(platform) &&) true

format: .venv/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("dali-rec needs Python 3.10 or newer; say make PYTHON=python3.11" if sys.version_info < (3, 10) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'

.venv/installed: $(INPUTS) | .venv/bin/python
	$(INSTALL) --editable '.[cuda12]'
	@touch $@

.venv/installed-dev: .venv/installed
	$(INSTALL) --editable '.[cuda12,torch,plots]' --group dev --group clusters --group frameworks
	$(INSTALL) setuptools
	$(INSTALL) --no-build-isolation --no-cache-dir --no-deps $$($(BIN)/python -c \
	  'from importlib.metadata import version; print("nvidia-dali-tf-plugin-cuda120==" + version("nvidia-dali-cuda120"))')
	@touch $@
