# Everything a newcomer needs: make run · make test. A fresh machine needs Python 3.11+ and make only.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8080
.PHONY: install run test unit check fuzz fault bench lock clean

install: $(VENV)/.done
$(VENV)/.done: requirements.lock requirements-dev.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("moderation needs Python 3.11 or newer; try PYTHON=python3.11 make install" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

run: install
	$(BIN)/moderation demo --port $(PORT)

test: install
	sh tests/browser/chromium.sh
	sh tests/wordpress/packages.sh
	$(MAKE) check
	$(BIN)/pytest tests

unit: install
	$(BIN)/pytest tests/unit

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# for long, and with other requests each time; `make test` has the short, repeatable form of the same
FUZZ_SECONDS ?= 600
fuzz: install
	FUZZ_SECONDS=$(FUZZ_SECONDS) $(BIN)/pytest --timeout 7200 tests/contract/test_openapi.py tests/contract/test_life.py

# the long form of what docs/promises.md claims, with figures; needs root (disks of its own) and a C compiler (a clock of its own)
fault: install
	FAULT_MUST_RUN=1 FAULT_KILLS=1000 FAULT_CUTS=20 FAULT_ROUNDS=5 FAULT_APPROVALS=10000 $(BIN)/pytest tests/fault -s --durations=0

bench: install
	$(BIN)/python -m tests.benchmark.submissions
	$(BIN)/python -m tests.benchmark.reads
	$(BIN)/python -m tests.benchmark.growth --first 5000 --all 20000
	$(BIN)/python -m tests.benchmark.scale --big 100000 --rounds 100
	$(BIN)/python -m tests.benchmark.memory

# the locks carry hashes and no registry address
lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate pyproject.toml --group dev tests/build-requirements.in -o requirements-dev.lock

clean:
	rm -rf $(VENV) data .mypy_cache .ruff_cache
