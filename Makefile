# Every target can be run again at any time; paths are relative, so that a clone's folder may have spaces in its name.
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# the first Python on PATH that is new enough and can make virtual environments
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.10 /usr/bin/python3; do \
	"$$python" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && echo "$$python" && break; done)
# more arguments for the command of a target, as in `make test ARGS='-k plan'`
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup serve test check fuzz testbed listener rehearsal-image compose bench matrix clean

help: ## show this
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name words; do printf '  make %-16s %s\n' "$$name" "$$words"; done

setup: $(STAMP) ## make .venv with what users and developers need

$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo 'No Python 3.10 or newer with venv found. On Debian and Ubuntu: apt-get install python3 python3-venv' >&2; exit 1; }
	"$(PYTHON)" -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable '.[rehearsal]' --group dev
	@touch $@

serve: $(STAMP) ## set up, start an engine, ask it about a sound
	@$(BIN)/python tools/serve.py $(ARGS)

test: $(STAMP) ## run the tests; those that cannot run here say why
	$(BIN)/python -m pytest $(ARGS)

check: $(STAMP) ## lint, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fuzz: $(STAMP) ## throw 100,000 inputs at the guard's parser and decoder
	$(BIN)/python tools/fuzz.py $(ARGS)

testbed: $(STAMP) ## install what the tests run on (as root, on Debian)
	tests/testbed/all.sh

listener: ## train the shipped checkpoint that hears anew (needs the test bed)
	@bash -c '. tests/testbed/env.sh && exec "$$VLLM_VENV/bin/python" tests/testbed/listener.py --ship'

rehearsal-image: $(STAMP) ## build the rehearsal engine's image (BASE=IMAGE)
	tools/rehearsal-image/build.sh $(if $(BASE),--base '$(BASE)')

# away from this machine's engine, settings and checkpoints: the folder is the same wherever it is written
compose: $(STAMP) ## write compose/ anew from the plan
	@away=$$(mktemp -d) && here=$$PWD && cd "$$away" && echo '{"gpus": [], "architecture": "amd64"}' > facts.json && \
		rm -rf "$$here/compose/engine" && env -i PATH="$$PATH" HOME="$$away" \
		"$$here/$(BIN)/stepaudio-serve" render compose --facts facts.json -o "$$here/compose" && rm -rf "$$away"

bench: $(STAMP) ## run the benchmarks; each prints a ratio
	@for benchmark in benchmarks/bench_*.py; do echo "== $$benchmark"; $(BIN)/python "$$benchmark" $(ARGS) || exit; done

matrix: $(STAMP) ## run the plugin's tests on the pinned and the newest releases of vLLM
	@$(BIN)/python tools/vllm_matrix.py $(ARGS)

clean: ## remove what make made here (not the test bed)
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
