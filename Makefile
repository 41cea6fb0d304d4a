# `make book` builds the book, `make test` runs everything that CI checks.
# Both make their own environment in .venv on first use; PYTHON names the interpreter for it.
PYTHON ?= python3
VENV ?= .venv
# The tested versions; CONSTRAINTS=/dev/null takes the newest ones.
CONSTRAINTS ?= constraints.txt
# A further index for torch. https://download.pytorch.org/whl/cpu has the build without the CUDA
# libraries, which take most of the space.
TORCH_INDEX ?=
PY := $(VENV)/bin/python

.PHONY: book test lint chapters bench env clean

book: env
	$(PY) -m tools.build

test: env
	$(PY) -m tools.check

# Execute every chapter and store its outputs; a second run gives the same bytes.
chapters: env
	$(PY) -m tools.execute

bench: env
	$(PY) -m benchmarks

lint: env
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

env: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS) $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) --editable '.[fewshot,cluster,book,test]'
	touch $@

clean:
	rm -rf _build
