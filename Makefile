# `make demo` and `make test` are all that a new user needs; both build the environment first.

PYTHON ?= $(shell for name in python3.12 python3.11 python3.13 python3; do \
	$$name -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$name && break; done)
# The driver answers `nvidia-smi -L` with a line per GPU; without one the CPU requirements are enough.
REQUIREMENTS ?= $(if $(shell nvidia-smi -L 2>/dev/null),requirements-gpu.txt,requirements.txt)
OUTPUT ?= demo_output
CORPORA ?= reproduction_output/jacobian_corpora
BIN := .venv/bin
CPYTHON := platform_python_implementation == 'CPython' and sys_platform == 'linux'

.PHONY: demo test test-all test-wheel lint docs requirements audit perf reproduce-arch2vec reproduce-predictor reproduce-jacobian reproduce-retrieval corpus-venv clean

.venv: .venv/ready

.venv/ready: $(REQUIREMENTS) pyproject.toml
	@test -n "$(PYTHON)" || { echo "error: Python 3.11, 3.12 or 3.13 is needed; pass PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode -r $(REQUIREMENTS)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: .venv
	$(BIN)/python -m trainers.demo --output_dir=$(OUTPUT) --overwrite

test: .venv
	$(BIN)/python -m pytest -n 2 --dist=worksteal

test-all: .venv
	$(BIN)/python -m pytest -n 2 --dist=worksteal -m ""

test-wheel: .venv
	$(BIN)/python -m pytest -m wheel tests/test_wheel.py

lint: .venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# The resolution is for CPython on Linux; its markers, which every line would bear, are left out.
requirements: .venv
	for kind in "" "-gpu --extra gpu --no-strip-extras" "-hashes --generate-hashes"; do \
		set -- $$kind; name=requirements$$1.txt; [ -z "$$1" ] || shift; \
		{ echo "# Made by \`make requirements\` from pyproject.toml, for Python 3.11 to 3.13 on Linux."; \
		$(BIN)/uv pip compile --quiet --universal --only-binary :all: --no-annotate --no-header --extra dev "$$@" \
			pyproject.toml | sed -E "s/ ?(;|and) *(python_full_version < '3.14' and )?$(CPYTHON)( \\\\)?$$/\3/"; \
		} > $$name.new && mv $$name.new $$name; done

# Known vulnerabilities of the pins; asks the network. An index that knows no advisories is an error, not a pass.
audit: .venv
	$(BIN)/uvx pip-audit==2.10.1 --strict --require-hashes --disable-pip --requirement=requirements-hashes.txt

perf: .venv
	$(PYTHON) -m venv .venv-perf
	.venv-perf/bin/python -m pip install --quiet --disable-pip-version-check \
		torch==2.13.0 torch_geometric==2.8.1 numpy==2.4.6 jax==0.10.2 flax==0.12.8 optax==0.2.8
	$(BIN)/python -m perf --peers=.venv-perf/bin/python

# DATA is the folder of the benchmark tables. Table 1 is cut down to one seed and 100,000 cells of DARTS, so that the
# whole takes 159 minutes of processor time on two cores; docs/results/arch2vec.md has the command for all of it.
reproduce-arch2vec: .venv
	@test -n "$(DATA)" || { echo "error: pass DATA=/folder/of/benchmark/tables" >&2; exit 1; }
	TFNAS_DATA_DIR=$(abspath $(DATA)) $(BIN)/python -m reproductions arch2vec \
		--pretraining_seeds=1 --darts_cells=100000 --output_dir=reproduction_output/arch2vec --overwrite

# DATA as above; docs/results/predictor.md explains the tables. Of the processor time, `trained_spaces` takes 36 minutes to
# train 120 networks, whose labels ship: --experiment names the other experiments where they are enough.
reproduce-predictor: .venv
	@test -n "$(DATA)" || { echo "error: pass DATA=/folder/of/benchmark/tables" >&2; exit 1; }
	TFNAS_DATA_DIR=$(abspath $(DATA)) $(BIN)/python -m reproductions predictor \
		--output_dir=reproduction_output/predictor --overwrite

# Jacobians are kept in CORPORA for the next run.
reproduce-jacobian: .venv
	@test -n "$(DATA)" || { echo "error: pass DATA=/folder/of/benchmark/tables" >&2; exit 1; }
	TFNAS_DATA_DIR=$(abspath $(DATA)) $(BIN)/python -m reproductions jacobian \
		--output_dir=reproduction_output/jacobian --overwrite --corpora=$(CORPORA)

# DATA as above; docs/results/retrieval.md explains the tables.
reproduce-retrieval: .venv
	@test -n "$(DATA)" || { echo "error: pass DATA=/folder/of/benchmark/tables" >&2; exit 1; }
	TFNAS_DATA_DIR=$(abspath $(DATA)) $(BIN)/python -m reproductions retrieval \
		--output_dir=reproduction_output/retrieval --overwrite

# PyTorch models for trainers.build_corpus and for slow tests of exports; tfnas never imports anything from this environment.
corpus-venv:
	$(PYTHON) -m venv --clear .venv-corpus
	.venv-corpus/bin/python -m pip install --quiet --disable-pip-version-check \
		torch==2.14.1 torchvision==0.29.1 torchaudio==2.11.1 timm==1.0.31 transformers==5.23.0 onnxscript==0.7.2 \
		pytorchcv==0.0.74 segmentation-models-pytorch==0.6.0 diffusers==0.42.1 monai==1.6.1 spandrel==0.4.2

clean:
	rm -rf .venv .venv-perf .venv-corpus site demo_output reproduction_output .pytest_cache .ruff_cache .mypy_cache .hypothesis
