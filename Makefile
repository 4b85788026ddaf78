# The verbs of this project, the same on a laptop and in the pipeline. `make setup` is all that the others need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The examples' models and bentos stay in this folder, apart from a person's own store.
export BENTOML_HOME ?= $(CURDIR)/.bentoml
export BENTOML_DO_NOT_TRACK := true
TIME_SCALE ?= 6
OUT ?= out/rehearsal
CLUSTER ?= standard

.PHONY: setup checkov rehearse examples test test-slow test-r lint format cluster-kind cluster-install cluster-test bench parity models requirements clean

setup: $(VENV)/.done

$(VENV)/.done: requirements/dev.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "canari needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

# The linter of the manifests, in an environment of its own: it asks for other versions of what the project uses.
checkov: .venv-checkov/.done

.venv-checkov/.done: requirements/checkov.txt
	test -x .venv-checkov/bin/python || $(PYTHON) -m venv .venv-checkov
	.venv-checkov/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/checkov.txt
	touch $@

# The main job: the example models, imported, and version 2 released over version 1.
rehearse: examples
	$(BIN)/canari rehearse --stable diabetes:1 --candidate diabetes:2 --time-scale $(TIME_SCALE) --out $(OUT)

examples: setup
	$(BIN)/canari import models/diabetes/diabetes-1.rds --version 1
	$(BIN)/canari import models/diabetes/diabetes-2.rds --version 2
	$(BIN)/canari import models/diabetes/diabetes-3.rds --version 3
	$(BIN)/canari import models/breast_cancer/breast-cancer-1.skops --version 1

test: lint checkov
	$(BIN)/python -m pytest -m "not alone and not slow and not cluster" -p tests.required -n 2
	$(BIN)/python -m pytest -m "alone and not slow and not cluster" -p tests.required

# Rehearsals at full length.
test-slow: setup
	$(BIN)/python -m pytest -m slow -p tests.required

# A kind cluster, and a registry beside it.
cluster-kind:
	k8s/cluster/kind/up

# What a release needs on the cluster that KUBECONFIG names; CLUSTER=kind where that is a kind cluster.
cluster-install:
	k8s/cluster/install $(CLUSTER)

# Against the cluster that KUBECONFIG names: three files of cases at a time, then those that measure or strike the cluster itself.
cluster-test: setup
	rm -rf out/cluster
	$(BIN)/python -m pytest -m "cluster and not alone" -p tests.required -n 3 --dist loadfile tests/cluster
	$(BIN)/python -m pytest -m "cluster and alone" -p tests.required tests/cluster

# The R package's own tests; needs R with testthat, randomForest and MASS.
test-r:
	r/check

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# Rates side by side with an empty server and plumber; needs wrk, and R with plumber.
bench: examples
	$(BIN)/python benchmarks/serving.py

# How exactly canari predicts what R predicts; needs R with randomForest and MASS.
parity: setup
	$(BIN)/python benchmarks/parity.py

# Refit the examples; needs R with randomForest and MASS.
models: setup
	mkdir -p out/r-library
	R CMD INSTALL --no-docs --library=out/r-library r
	R_LIBS=$(CURDIR)/out/r-library Rscript models/diabetes/train.R models/diabetes
	$(BIN)/python models/breast_cancer/train.py

# Pin every dependency, with hashes; needs uv.
requirements:
	for extra in pod gate; do \
	  uv pip compile --quiet --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-annotate --no-header \
	    --extra $$extra pyproject.toml -o requirements/$$extra.txt; done
	uv pip compile --quiet --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-annotate --no-header \
	  --all-extras --group dev pyproject.toml -o requirements/dev.txt
	uv pip compile --quiet --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-annotate --no-header \
	  --group checkov -o requirements/checkov.txt

clean:
	rm -rf $(VENV) .venv-checkov .bentoml out build dist
