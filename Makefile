# make demo: learn, score and transfer on shipped clips, no plugin needed.  make test: everything that can run here.
# PYTHON=python3.12 make ... chooses the interpreter; everything is installed into .venv from constraints.txt.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
FITS := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))
PYTHON ?= $(shell for python in python3 python3.11 python3.12 python3.13 python3.14; do \
	$$python -c "$(FITS)" 2>/dev/null && echo $$python && break; done)
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
DEMO_ARGS ?= --minutes 2
PYTEST_ARGS ?=

.PHONY: help demo test lint types docs wheel clean

help:
	@echo "make demo | test | lint | types | docs | wheel | clean   (see CONTRIBUTING.md)"

demo: $(VENV)/.installed
	$(BIN)/afx demo $(DEMO_ARGS)

test: $(VENV)/.installed-dev
	@scripts/plugins.sh zam
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/pyrefly check

docs: $(VENV)/.installed-docs
	$(BIN)/mkdocs build --strict

# The wheel by way of the sdist: built straight from the tree it would take along what git ignores.
wheel: $(VENV)/.installed-dev
	rm -rf dist
	$(BIN)/python -m build

clean:
	rm -rf $(VENV) build dist site afx-demo .pytest_cache .ruff_cache .hypothesis

# Stamps: a second `make demo` installs nothing as long as these two files stay as they are.
$(VENV)/.created:
	@if [ -z "$(PYTHON)" ] || ! $(PYTHON) -c "$(FITS)" 2>/dev/null; then \
		echo "$(or $(PYTHON),python3): not a Python 3.11 to 3.14 that can make virtual environments;" \
			"on Debian: apt-get install python3 python3-venv; else name one: make PYTHON=/path/to/python3.11 ..." >&2; \
		exit 1; fi
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip --disable-pip-version-check install --quiet --upgrade "pip>=25.1"
	@touch $@

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/.created
	@echo "installing into $(VENV), a few minutes the first time (torch is large) ..."
	$(PIP) --editable ".[plot]"
	@$(PIP) --editable ".[metrics]" 2>/dev/null || echo "PESQ is left out: its package needs a C compiler (apt-get install gcc python3-dev)"
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(VENV)/.installed
	$(PIP) --group dev
	@touch $@

$(VENV)/.installed-docs: pyproject.toml constraints.txt | $(VENV)/.installed
	$(PIP) --group docs
	@touch $@
