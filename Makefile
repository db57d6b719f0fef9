# swapd: what there is to do in this folder.  `make` alone lists it.
#
# Each target makes the virtual environment .venv when it needs it, and only then.
# Written for GNU make 3.81 and later.

VENV   := .venv
PYTHON_IN_VENV := $(VENV)/bin/python
PORT   = 8080
LISTEN = 127.0.0.1:$(PORT)
MODELS =
BENCH  =
# Most tests wait for processes, so more of them at a time than two cores can run are the fastest.
AT_A_TIME = -n 3 --dist worksteal
# What this machine cannot run is said with its reason.
SAY = -q -rs

.PHONY: help run test test-slow explore bench soak check clean
.DEFAULT_GOAL := help

help:  ## list what there is to do
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)$$/  make \1|\2/p' Makefile | \
	  while IFS='|' read -r target what; do printf '%-18s%s\n' "$$target" "$$what"; done
	@echo
	@echo "  make run LISTEN=127.0.0.1:9090       somewhere else than 127.0.0.1:8080"
	@echo "  make run MODELS=/path/to/folder      your own .gguf files, with llama-server on PATH"
	@echo "  make bench BENCH=--quick             one short run of each load"
	@echo "  make soak SOAK='--minutes 60'        longer than its 20 minutes"
	@echo "  make test PYTHON=/path/to/python     made with this Python (3.11 or later)"

# Each stamp says that .venv has what its target needs, as of the last change to pyproject.toml.
# They mean nothing when .venv came along with a copied folder, or when its Python is gone.
ifneq ($(shell .ci/environment check 2>&1),ok)
.PHONY: $(VENV)/ready-to-run $(VENV)/ready-to-test
endif

$(VENV)/ready-to-run: pyproject.toml .ci/environment
	@.ci/environment make demo $@

$(VENV)/ready-to-test: pyproject.toml .ci/environment
	@.ci/environment make dev,demo $@

run: $(VENV)/ready-to-run  ## serve two tiny chat models and an embedding model: the demo
	@exec $(PYTHON_IN_VENV) -m swapd.testing.demo --listen "$(LISTEN)" $(if $(MODELS),--models "$(MODELS)")

test: $(VENV)/ready-to-test  ## run the tests
	@exec $(PYTHON_IN_VENV) -m pytest $(SAY) $(AT_A_TIME) -m "not slow"

# Exit code 5 says that no test was found, which is no failure while there are no slow ones.
test-slow: $(VENV)/ready-to-test  ## run the tests that take minutes
	@$(PYTHON_IN_VENV) -m pytest $(SAY) $(AT_A_TIME) -m slow || [ $$? -eq 5 ]

explore: $(VENV)/ready-to-test  ## run the tests that make up their cases with cases that are new
	@exec $(PYTHON_IN_VENV) -m pytest $(SAY) $(AT_A_TIME) -m hypothesis --hypothesis-profile=explore

bench: $(VENV)/ready-to-test  ## measure what it costs to go through swapd (needs cc; nginx to compare)
	@$(PYTHON_IN_VENV) -m tests.bench.bench_speed $(BENCH)
	@$(PYTHON_IN_VENV) -m tests.bench.bench_swaps

soak: $(VENV)/ready-to-test  ## run swapd under load for 20 minutes, and see that it keeps nothing
	@exec $(PYTHON_IN_VENV) -m tests.bench.soak $(SOAK)

# ASYNC114 is left out, for it wants a list of all functions that take a task_status; ASYNC124
# too, for a function may be async because its caller awaits it.
check: $(VENV)/ready-to-test  ## check formatting, lint, types and the storeys of the design
	$(PYTHON_IN_VENV) -m ruff format --check .
	$(PYTHON_IN_VENV) -m ruff check .
	$(PYTHON_IN_VENV) -m mypy --strict
	$(PYTHON_IN_VENV) -m flake8_async --enable=ASYNC1 --disable=ASYNC114,ASYNC124 $$(find swapd tests -name '*.py')
	$(PYTHON_IN_VENV) $(VENV)/bin/lint-imports

clean:  ## remove everything that the other targets made
	rm -rf $(VENV) .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find swapd tests -name __pycache__ -type d -prune -exec rm -rf {} +
