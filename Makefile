# The two commands of the README are `make demo` and `make test`; each sets up what it needs.
.PHONY: demo test faults test-cluster test-parity test-frameworks test-mxnet lint types check docs figures notebooks clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PARITY := .venv-parity
FRAMEWORKS := .venv-frameworks
MXNET := .venv-mxnet

demo: $(VENV)/.installed
	$(BIN)/netspace run examples/digits.toml

# One process per core, one thread each: the tests' networks are too small for more.
test: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --dist worksteal

# A study on Ray clusters of several nodes and as jobs of a scheduler, all on this machine; some of them are killed.
test-cluster: $(VENV)/.installed-cluster
	OMP_NUM_THREADS=1 $(BIN)/pytest -m cluster tests/contracts/test_executor.py tests/cluster

# Networks of torchvision, timm and pycls beside ours, in an environment of its own. On images this small a second
# thread costs more than it brings.
test-parity: $(PARITY)/.installed
	OMP_NUM_THREADS=1 $(PARITY)/bin/pytest tests/parity

# JAX and TensorFlow beside PyTorch, in an environment of their own; Keras's other backends in a process each.
test-frameworks: $(FRAMEWORKS)/.installed
	OMP_NUM_THREADS=1 $(FRAMEWORKS)/bin/pytest --numprocesses auto --dist worksteal tests/contracts tests/frameworks

# MXNet beside PyTorch, under the last Python that it knows.
test-mxnet: $(MXNET)/.installed
	OMP_NUM_THREADS=1 $(MXNET)/bin/pytest --numprocesses auto --dist worksteal tests/contracts tests/frameworks

# Killed, torn, full, hung: what a study loses by it. `make faults SHORT=--short` takes under a minute.
faults: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/faults.py $(SHORT)

# The site, in docs/_build/html; a warning is an error. All pages are read anew, since they link to one another.
docs: $(VENV)/.installed-docs
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --fresh-env --jobs auto docs docs/_build/html

# The figures and pages of the chapter's studies, made again from the exports that are kept of them.
figures: $(VENV)/.installed
	$(BIN)/python examples/chapter/results.py figures
	$(BIN)/python examples/chapter/results.py pages

# Run in a folder of their own, so that nothing is left of an earlier run; an error in a cell ends it.
notebooks: $(VENV)/.installed-docs
	rm -rf build/notebooks
	mkdir -p build/notebooks
	cp examples/notebooks/*.ipynb build/notebooks/
	OMP_NUM_THREADS=1 $(BIN)/jupyter execute --timeout=300 build/notebooks/*.ipynb

check: lint types

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

clean:
	rm -rf $(VENV) $(PARITY) $(FRAMEWORKS) $(MXNET) runs build dist docs/_build docs/commands .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt Makefile | $(BIN)/python
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[torch]'
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[torch,onnx,hub,optuna,postgresql,slurm,tensorboard,dev]'
	touch $@

$(VENV)/.installed-cluster: $(VENV)/.installed-dev
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[torch,ray]'
	touch $@

$(VENV)/.installed-docs: $(VENV)/.installed-dev
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[torch,hub,docs]'
	touch $@

$(PARITY)/.installed: pyproject.toml constraints.txt constraints-parity.txt Makefile
	$(PYTHON) -m venv $(PARITY)
	$(PARITY)/bin/pip install --quiet --constraint constraints.txt --constraint constraints-parity.txt \
		--editable '.[torch]' pytest hypothesis huggingface_hub pyyaml
	$(PARITY)/bin/pip install --quiet --constraint constraints-parity.txt --no-deps torchvision timm pycls yacs
	touch $@

$(FRAMEWORKS)/.installed: pyproject.toml constraints.txt Makefile
	$(PYTHON) -m venv $(FRAMEWORKS)
	$(FRAMEWORKS)/bin/pip install --quiet --constraint constraints.txt --editable '.[torch,jax,tensorflow]' \
		pytest pytest-xdist hypothesis
	touch $@

$(MXNET)/.installed: pyproject.toml constraints-mxnet.txt Makefile
	python3.11 -m venv $(MXNET)
	$(MXNET)/bin/pip install --quiet --constraint constraints-mxnet.txt --editable '.[torch,mxnet]' \
		pytest pytest-xdist hypothesis
	touch $@
