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

.PHONY: setup checkov rehearse examples test clients test-slow test-r lint format cluster-kind cluster-install cluster-test peers bench proof parity models requirements clean

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

# What measures time runs once more when it failed, and is listed: the machine may have had other work, a fault fails twice.
AGAIN := --reruns 1 -r aR --durations 12

test: lint checkov
	$(BIN)/python -m pytest -m "not alone and not slow and not cluster and not clients and not r" -p tests.required -n 2
	$(BIN)/python -m pytest -m "alone and not slow and not cluster and not clients and not r" -p tests.required -n 2 --dist loadfile --no-loadscope-reorder $(AGAIN) tests/rehearsal tests

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
	$(BIN)/python -m pytest -m "cluster and not alone" -p tests.required -n 3 --dist loadfile $(AGAIN) tests/cluster
	$(BIN)/python -m pytest -m "cluster and alone" -p tests.required $(AGAIN) tests/cluster

# The R package's own tests, then the models that it saves, of every class, against R's own predictions. Needs R with testthat;
# classes whose packages are not there are skipped.
test-r: setup
	r/check
	$(BIN)/python -m pytest -m r -p tests.required -n 2 tests/intake/r tests/proofs

# Callers in other languages and environments (docs/clients.md); needs curl, Go, and R with httr2.
clients: setup .venv-clients/.done
	$(BIN)/python -m pytest -m clients -p tests.required tests/serving/clients

.venv-clients/.done: requirements/clients.txt
	test -x .venv-clients/bin/python || $(PYTHON) -m venv .venv-clients
	.venv-clients/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/clients.txt
	touch $@

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# Other ways to serve the same model, to measure beside; needs Go. One that does not install is reported as not measured.
peers: .venv-peers-vetiver/.done .venv-peers-mlserver/.done .venv-peers-go/bin/ghz

.venv-peers-%/.done: requirements/peers-%.txt
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	touch $@

.venv-peers-go/bin/ghz:
	GOBIN=$(CURDIR)/.venv-peers-go/bin go install github.com/bojand/ghz/cmd/ghz@v0.120.0

# The server side by side with an empty one and with peers, and the reader with others; about half an hour; needs wrk, and R with
# plumber and randomForest.
bench: examples
	-$(MAKE) --keep-going peers
	mkdir -p out/bench
	for table in peers protocols forest latency batch start memory overload reader generator; do \
	  $(BIN)/python benchmarks/$$table.py > out/bench/$$table.md || exit 1; cat out/bench/$$table.md; done

# What takes long: a million malformed requests, rolling stops under load, every path against the protocol's description.
# Interrupted, it goes on where it was. The results are in docs/proofs.md.
proof: examples
	$(BIN)/python -m proofs

# How exactly canari predicts what R predicts; needs R with the packages of .ci/run.
parity: setup
	$(BIN)/python -m proofs.parity

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
	for group in checkov clients peers-vetiver peers-mlserver; do \
	  uv pip compile --quiet --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-annotate --no-header \
	    --group $$group -o requirements/$$group.txt; done

clean:
	rm -rf $(VENV) .venv-* .bentoml out build dist
