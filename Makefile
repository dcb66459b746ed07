# `make help` lists what there is. Python 3.11+ and make are all that must be installed.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUN ?= runs/demo
# two processes of a thread each are half as fast again as two threads; with a GPU: make demo DEVICES=trainer=gpu
DEVICES ?= trainer=ddp_cpu data.batch_size=1

.DEFAULT_GOAL := help
.PHONY: help install demo test mutants lint format clean

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip
	$(BIN)/python -m pip install -q --progress-bar off -c constraints.txt -e ".[world,dev]"
	touch $@

install: $(VENV)/.installed ## Make the environment

demo: install ## Tune on the twelve horse clips, then show what was made (about three minutes on two cores)
	$(BIN)/python -m maskvid.train +experiment=horse run_dir=$(RUN) ckpt_path=auto $(DEVICES)

test: lint ## Lint, type-check and test
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -n 2 --dist worksteal

mutants: install ## Ruin the method on purpose, a change at a time, and see that the tests notice
	$(BIN)/python -m tests.mutants

lint: install
	$(BIN)/ruff check maskvid tests experiments
	$(BIN)/ruff format --check maskvid tests experiments
	$(BIN)/mypy

format: install ## Format the code
	$(BIN)/ruff check --fix maskvid tests experiments
	$(BIN)/ruff format maskvid tests experiments

clean: ## Remove the environment and caches (runs stay)
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache
