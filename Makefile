# Each target sets up .venv by itself; nothing outside this folder is changed.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# processes that share the tests: one a usable core, at most 8
WORKERS ?= $(shell n=$$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN); [ $$n -gt 8 ] && n=8; echo $$n)
# compiled kernels of training
export HWSEARCH_KERNELS ?= $(CURDIR)/build/kernels

.PHONY: demo test test-slow test-gpu kernels-neon lint docs fuzz mutants clean help
.DEFAULT_GOAL := help

help:
	@echo "make demo    find the Pareto-optimal subnets of the embedded supernet on this CPU (minutes)"
	@echo "make test    run the tests"
	@echo "make kernels-neon    check the kernels for ARM under an emulator (g++-aarch64-linux-gnu, qemu-user)"
	@echo "make lint    ruff, mypy and the contracts of imports"
	@echo "make docs    build the documentation into site/"
	@echo "make bench-NAME    figures as JSON: accuracy_budget, claims, demo, distributed, export, fleet, gpu, hostile, kernels, kills, latency, latency_operators,"
	@echo "                   latency_simulated, predictors, predictors_transfer, search, search_memory, search_new_device, search_real, search_replicas,"
	@echo "                   search_fidelity, search_resume, search_screening, store, supernets, training, training_images, weights"
	@echo "make fuzz    the properties of all tests on new random examples, then 20,000 damaged files read by child processes:"
	@echo "             no traceback, crash, silent error, gigabyte (an hour)"
	@echo "make mutants  which faults of the statistics the tests see (hours)"

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt "torch==2.13.0"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

demo: $(STAMP)
	$(BIN)/hwsearch demo

test: $(STAMP)
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow

test-gpu: $(STAMP)
	$(BIN)/python -m pytest -m gpu

# fails where the compiler or the emulator is missing
kernels-neon: $(STAMP)
	command -v aarch64-linux-gnu-g++ qemu-aarch64
	$(BIN)/python -m pytest -m slow -k neon tests/supernets/kernels/test_compiling.py

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[docs]"
	$(BIN)/python docs/generate.py --check
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

fuzz: $(STAMP)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "hypothesis and not slow and not gpu" --hypothesis-profile=searching
	$(BIN)/python -m benchmarks.hostile

mutants: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[mutants]"
	$(BIN)/python -m benchmarks.mutants

bench-%: $(STAMP)
	$(BIN)/python -m benchmarks.$* --json

clean:
	rm -rf $(VENV) site build *.egg-info
