# Everything begins here: `make run` shows the demo city, `make test` proves it. Needs Python 3.11 and make.

PYTHON ?= python3
PORT ?= 8000
DATA ?= data

BIN := .venv/bin
UV := $(BIN)/uv
# Networks that inspect TLS have a certificate of their own.
export UV_SYSTEM_CERTS = 1
export NODE_USE_SYSTEM_CA = 1
INSTALL := $(UV) pip install --quiet --python $(BIN)/python

.PHONY: run test check bench soak web lock clean help
.DEFAULT_GOAL := help

help:  ## Show what make can do
	@sed -n 's/^\([a-z]*\):.*  ## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

run: web  ## Set up and start the demo city on http://127.0.0.1:8000 (PORT=, DATA= change that)
	@$(BIN)/hanmaru centre model --data $(DATA) || true
	@exec $(BIN)/hanmaru up --demo --port $(PORT) --data $(DATA)

test: .venv/.dev web  ## Set up and run every test but the soak
	$(BIN)/pytest -n 2 --dist loadfile -m kernels
	$(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder -m "not soak and not kernels and not alone"
	$(BIN)/pytest -m alone

check: .venv/.dev web  ## Format, lint, types, architecture
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

bench: .venv/.dev web  ## Print every benchmark beside its peers and write benchmarks/results/*.json
	@set -e; for each in benchmarks/*/__main__.py; do $(BIN)/python -m "benchmarks.$$(basename "$$(dirname "$$each")")"; done

soak: .venv/.dev web  ## The long crash and load tests
	$(BIN)/pytest -m soak --timeout 3600

web: .venv/.run  ## Type-check and build the front end, where its sources changed
	@$(BIN)/python tools/build_web.py

lock: .venv/.dev  ## Pin every dependency anew, with hashes and without addresses
	$(UV) lock --upgrade
	$(UV) export --quiet --locked --no-emit-project --no-header --no-default-groups --group web -o requirements.lock
	$(UV) export --quiet --locked --no-emit-project --no-header --all-groups --all-extras -o requirements-dev.lock
	echo uv | $(UV) pip compile --quiet --universal --generate-hashes --no-header --no-annotate --no-emit-index-url - -o requirements-uv.lock

clean:  ## Remove the environment and everything built; data stays
	rm -rf .venv src/hanmaru/web web/node_modules dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(UV): requirements-uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Hanmaru needs Python 3.11 or later; name one with make PYTHON=…" >&2; exit 1; }
	@echo "Setting up .venv …"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@touch $@

.venv/.run: requirements.lock pyproject.toml $(UV)
	@$(INSTALL) --require-hashes -r requirements.lock
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.dev: requirements-dev.lock .venv/.run
	@$(INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@
