# One command each. `make` alone prints this list.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CODE := $(wildcard src tests benchmarks migrations)
COMPILE := CUSTOM_COMPILE_COMMAND='make lock' .venv-lock/bin/pip-compile -q --allow-unsafe \
  --generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --strip-extras
RUN_ARGS := --profile demo $(if $(FRESH),--fresh)

# What is compiled once is read by the hundreds of processes that the tests start.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test check tidy compiled tested acceptance crash sim many tamper replay bench golden lock clean

help: #-- print this list
	@awk -F ':.*#-- ' '/^[a-z]+:.*#-- / { printf "  %-10s %s\n", $$1, $$2 }' Makefile

run: $(STAMP) #-- set up and run the daemon on the built-in venue; FRESH=1 starts from nothing
	@exec $(BIN)/counterpoise run $(RUN_ARGS)

test: $(STAMP) #-- set up and run everything CI runs
	@$(MAKE) --no-print-directory -j2 tidy tested

# Static checks need a core for half a minute; the tests' own start leaves one free.
tested: compiled
	PYTHONASYNCIODEBUG=1 $(BIN)/pytest -n 6 --dist worksteal tests

check: $(STAMP) tidy #-- format, ruff, mypy, imports, tidy, unit: no network, no database
	$(BIN)/pytest -q -n 2 tests/test_tidy.py tests/unit

tidy: $(STAMP)
	$(BIN)/ruff format --check --quiet $(CODE)
	$(BIN)/ruff check --quiet $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports

# Once, instead of by every test worker at the same time.
compiled: $(STAMP)
	$(BIN)/python -m compileall -q $(CODE)
	$(BIN)/pytest -q --collect-only tests >/dev/null

acceptance: $(STAMP) #-- what the daemon promises, on each venue: VENUE=all
	COUNTERPOISE_TEST_VENUES=$(or $(VENUE),all) $(BIN)/pytest -n 5 tests/acceptance

crash: $(STAMP) #-- kill daemons at named points and audit the next start: RUNS=500 SEED=1 JOBS=4 ONLY=point:fault VENUE=all
	$(BIN)/python tests/crash_matrix.py --venue $(or $(VENUE),all) --runs $(or $(RUNS),500) --seed $(or $(SEED),1) --jobs $(or $(JOBS),4) --only '$(ONLY)'

sim: $(STAMP) #-- play seeded days full of faults in virtual time and audit them: SEEDS=1-1000 JOBS=2 VENUE=bybit DEPTH=0.02
	$(BIN)/python tests/fault_campaign.py --seeds $(or $(SEEDS),1-1000) --jobs $(or $(JOBS),2) $(if $(VENUE),--venue $(VENUE)) $(if $(DEPTH),--depth $(DEPTH))

many: $(STAMP) #-- stream five hundred instruments of each venue, and rotate their connections
	$(BIN)/pytest -m many tests/unit/venues/test_many_markets.py

tamper: $(STAMP) #-- change the record in every way, as everybody, and count what is refused and found
	$(BIN)/python tests/tamper_campaign.py

replay: $(STAMP) #-- decide cycles over restarts of the code and compute them again: CYCLES=1000 RESTARTS=2
	$(BIN)/python tests/replay_campaign.py --cycles $(or $(CYCLES),1000) --restarts $(or $(RESTARTS),2)

bench: $(STAMP) #-- side-by-side measurements
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python "$$file" || exit 1; done

golden: $(STAMP) #-- rewrite golden files; the diff is the review
	UPDATE=1 $(BIN)/pytest -q tests/unit tests/contract -k golden

lock: #-- rewrite requirements*.lock: hashes of every platform, no address
	rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip install -q 'pip-tools>=7.6,<8'
	$(COMPILE) --all-extras --output-file requirements.lock pyproject.toml
	$(COMPILE) --constraint requirements.lock --output-file requirements-runtime.lock pyproject.toml
	rm -rf .venv-lock
	@! grep -nE '://|^-|@ file' requirements*.lock || { echo 'a lock names an address'; exit 1; }

clean: #-- remove the virtual environment and caches; the record in var/ stays
	rm -rf $(VENV) .venv-lock .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamped: a second `make run` finds the environment as it is and starts at once.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "counterpoise needs Python 3.11 or newer; \`$(PYTHON)\` is $$($(PYTHON) -V 2>/dev/null || echo missing). Try: make PYTHON=python3.11 run"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "Python's venv module is missing. On Debian or Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "Setting up $(VENV) (once) ..."
	@rm -f $@ && $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
