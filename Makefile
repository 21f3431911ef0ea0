# The two commands that matter: `make run` and `make test`. Each does all the set-up it needs.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

FUZZ_SECONDS ?= 60
ROUNDS ?= 50
LOCK   := $(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url \
          --no-emit-find-links --no-header --python-version 3.11 --upgrade

.DEFAULT_GOAL := help

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.run ## start the gateway and the server on this machine
	@exec $(BIN)/seriesgate up

test: check peers ## install what the tests need and run all checks and tests
	$(BIN)/pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

unit: $(VENV)/.dev ## the unit tests alone: no network, no other program, in seconds
	@$(BIN)/pytest --numprocesses auto --hypothesis-profile quick tests/unit

check: $(VENV)/.dev ## format, lint, types, floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev ## put the code in form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

peers: ## install the programs that the tests talk to (Debian packages)
	@scripts/install-test-peers

fuzz: $(VENV)/.dev ## fuzz all that reads from the network, FUZZ_SECONDS (60) for each target
	@$(BIN)/pip install --quiet --require-hashes -r requirements-fuzz.txt
	@targets=$$($(BIN)/python -c "from fuzz.targets import TARGETS; print(*TARGETS)") || exit 1; \
	for target in $$targets; do \
		$(BIN)/python -m fuzz $$target -max_total_time=$(FUZZ_SECONDS) || exit 1; done

prove: $(VENV)/.dev ## every crash point and every crash state, of which `make test` takes a sample
	EXHAUSTIVE=1 $(BIN)/pytest --numprocesses auto --timeout 3600 tests/crash

simulate: $(VENV)/.dev ## a whole busy day of faults in seconds, SEED=… for the same again
	@PYTHONHASHSEED=0 $(BIN)/python -m tests.crash.simulation $(if $(SEED),--seed $(SEED))

soak: $(VENV)/.dev peers ## kill the gateway ROUNDS (50) times under load, SEED=… for the same again
	@$(BIN)/python -m tests.soak --rounds $(ROUNDS) $(if $(SEED),--seed $(SEED))

bench: $(VENV)/.dev peers ## measure beside other receivers: as root, on a quiet machine, about 45 minutes
	$(BIN)/python -m bench.receivers

bench-guard: $(VENV)/.dev ## count the calls and instructions of Python for each received instance
	$(BIN)/python -m bench.guard

bench-server: $(VENV)/.dev peers ## measure the server with a million series, on both databases: about 15 minutes
	$(BIN)/python -m bench.server_million --page docs/explanation

docs: $(VENV)/.dev build/site/mermaid.min.js ## generate pages from the code, and build the site into site/
	@$(BIN)/pip install --quiet --require-hashes -r requirements-docs.txt
	$(BIN)/python docs/generators/generate.py
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

build/site/mermaid.min.js: scripts/fetch-mermaid
	@scripts/fetch-mermaid $@

screenshots: $(VENV)/.dev peers ## take the pictures of the dashboard in docs/images
	$(BIN)/python -m docs.generators.screenshots

lock: $(VENV)/.dev ## pin the dependencies anew, with hashes
	$(LOCK) pyproject.toml -o requirements.txt
	$(LOCK) -c requirements.txt --group dev pyproject.toml -o requirements-dev.txt
	$(LOCK) --group fuzz -o requirements-fuzz.txt
	$(LOCK) -c requirements-dev.txt --group docs -o requirements-docs.txt

clean: ## remove what was installed and made here; received data stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build site
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.run: requirements.txt pyproject.toml
	@PYTHON=$(PYTHON) scripts/make-venv $(VENV) requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt pyproject.toml
	@PYTHON=$(PYTHON) scripts/make-venv $(VENV) requirements-dev.txt
	@touch $@ $(VENV)/.run

.PHONY: help run test unit check format peers fuzz prove simulate soak bench bench-guard bench-server docs screenshots lock clean
