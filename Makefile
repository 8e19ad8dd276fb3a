# `make demo` and `make test` work on a fresh machine with Python 3.11 or later, make, and a way to PyPI.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help setup demo test quick lint format docs bench fuzz bombs mutants audit wheel pyz capture-exe container-check release-check site screenshots clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dumpmap needs Python 3.11 or later; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

setup: $(VENV)/.installed ## make the virtual environment with everything that development needs

demo: setup ## the main job on a recorded dump: a 32-bit process that ran out of address space
	$(BIN)/dumpmap summary tests/fixtures/fragment-x86.dmp.gz
	@echo
	$(BIN)/dumpmap diagnose tests/fixtures/fragment-x86.dmp.gz

test: setup lint ## every check: ruff, mypy, and all tests, one of which is that the documents are in step
	$(PYTEST) -n auto --dist loadscope --no-loadscope-reorder

quick: setup ## the checks that take less than a minute: style, the recorded dumps, structures, findings, triage rows
	$(BIN)/ruff check .
	$(PYTEST) -n auto -q -m 'not slow and not wine and not chromium' tests/structures \
	  tests/classify tests/analysis/test_findings.py \
	  tests/analysis/test_verdict.py tests/analysis/test_diff.py tests/triage/test_rows.py tests/cli/test_golden.py

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy

format: setup ## let ruff format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: setup ## check that the generated documents are in step with the code
	$(BIN)/python -m tests.docs_in_step

bench: setup ## measure speed and memory beside the peers, in one run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[bench]'
	$(BIN)/python -m tests.benchmarks

fuzz: setup ## mutate valid inputs of every format for T seconds (default 120), guided by coverage
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[fuzz]' || echo "no atheris: not guided"
	$(BIN)/python -m tests.fuzz $(or $(T),120)

bombs: setup ## peak memory and time of a command over every file that claims much
	$(BIN)/python -m tests.bombs

mutants: setup ## change the code N times (default 600, sample SEED=20) and count what no test notices; takes an hour or more
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[mutation]'
	$(BIN)/python -m tests.mutation --count $(or $(N),600) --seed $(or $(SEED),20)

audit: setup ## check the installed dependencies for known vulnerabilities
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/$(notdir $(BIN))/python -m pip install --quiet --disable-pip-version-check pip-audit
	$(BIN)/python -m pip freeze --exclude-editable > $(VENV)/audit/installed.txt
	$(VENV)/audit/$(notdir $(BIN))/python -m pip_audit --strict --disable-pip --no-deps -r $(VENV)/audit/installed.txt

wheel: setup ## build the wheel into dist/
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .

RELEASE := $(VENV)/release/$(notdir $(BIN))

$(VENV)/release/.installed:
	$(PYTHON) -m venv $(VENV)/release
	$(RELEASE)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(RELEASE)/python -m pip install --quiet --disable-pip-version-check \
	  'build>=1.2' 'cyclonedx-bom>=5' 'hatchling>=1.24' 'twine>=6'
	touch $@

pyz: setup ## one file, dist/dumpmap.pyz, for a machine with Python and no pip; PYZ='--platform win_amd64'
	$(BIN)/python -m tests.release.pyz $(PYZ)

capture-exe: setup ## one file, dist/dumpmap-capture.exe, for a Windows machine without Python; EXE='--bits 32'
	$(BIN)/python -m tests.release.capture_exe $(EXE)
	$(PYTEST) -q -n0 tests/release/test_capture_exe.py

container-check: setup ## carry out the Dockerfile's own steps in a Debian root; needs root and debootstrap, takes minutes
	DUMPMAP_CONTAINER_BASE=$${DUMPMAP_CONTAINER_BASE:-$$HOME/.cache/dumpmap-container} $(PYTEST) -n0 tests/project/test_container.py

release-check: $(VENV)/release/.installed ## everything that an upload needs: built twice, contents, clean environments
	$(RELEASE)/python -m tests.release.check $(CHECK)

site: setup ## build the documentation into build/site, strictly, and check its links
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[site]'
	$(BIN)/python -m tests.pages

screenshots: setup ## make the pictures of docs/images that need a browser
	$(BIN)/python -m tests.pages --screenshots

clean: ## remove what the targets made
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .fuzz
