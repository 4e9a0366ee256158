# `make` lists the targets. Everything runs from .venv, made from the pinned files below.
PYTHON ?= python3.11
PY := .venv/bin/python
PINS := container/torch.txt container/requirements.txt requirements/all.txt
SCRIPTS := $(filter-out %.py,$(wildcard .ci/*)) $(wildcard container/local_test/*.sh)

.DEFAULT_GOAL := help
.PHONY: help setup rehearse test test-room prove conformance bootstrap-check lint load-ui screenshots sbom lock bench-serving clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

setup: .venv/ready ## make .venv with everything pinned, torch for the CPU first

.venv/ready: $(PINS)
	$(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet --disable-pip-version-check --retries 0 -r container/torch.txt
	$(PY) -m pip install --quiet --disable-pip-version-check -r container/requirements.txt -r requirements/all.txt
	$(PY) -c "import torch; assert torch.version.cuda is None, 'this is the CUDA build of torch'"
	touch $@

rehearse: .venv/ready ## the whole journey on this machine: train, publish, deploy, verify, promote
	$(PY) -m rehearsal

test: .venv/ready lint ## linters and all tests, one seeded case of every long matrix (REQUIRE_DOCKER=1: no skip)
	$(PY) -m pytest

test-room: .venv/ready ## the tests of one room: make test-room ROOM=pipeline (root: those of the whole repository)
	$(PY) -m pytest $(if $(filter root,$(ROOM)),$(wildcard tests/test_*.py),tests/$(ROOM))

prove: .venv/ready lint ## every case of every matrix, resumable, JOBS at a time; the result goes to docs/proof.md
	$(PY) -m tests.prove

conformance: .venv/ready ## the behaviour tests against the real AWS, for money: ARGS="--role ARN"; asks first, never in CI
	$(PY) -m tests.conformance $(ARGS)

bootstrap-check: .venv/ready ## the GitHub repository's settings against the rules: make bootstrap-check REPO=ORG/REPO
	@GH_TOKEN="$${GH_TOKEN:-$$(gh auth token)}" $(PY) -m pipeline github-check --github-repo "$(REPO)"

lint: .venv/ready ## ruff, mypy, and the linters of Dockerfile, templates, scripts and workflows
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	MYPYPATH=container/src $(PY) -m mypy container/src
	for script in container/build container/src/serve container/src/train; do MYPYPATH=container/src $(PY) -m mypy $$script || exit 1; done
	.venv/bin/shellcheck $(SCRIPTS)
	.venv/bin/hadolint container/Dockerfile
	.venv/bin/cfn-lint pipeline/account/cloudformation/*.yaml
	.venv/bin/actionlint .github/workflows/*.yml
	.venv/bin/zizmor --quiet --offline --pedantic .github

load-ui: .venv/ready ## Locust's web page against an endpoint: make load-ui ENDPOINT=digits-staging
	ENDPOINT=$(ENDPOINT) $(PY) -m locust -f load_tests/locustfile.py

sbom: .venv/ready ## the packages in the image as SPDX, in build/sbom.spdx.json (IMAGE=… takes one that is there)
	$(if $(IMAGE),,container/build --tag sagemaker-pytorch-release:sbom)
	mkdir -p build
	.venv/bin/syft scan --quiet docker:$(or $(IMAGE),sagemaker-pytorch-release:sbom) -o spdx-json=build/sbom.spdx.json

COMPILE := -m piptools compile -q --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --strip-extras --no-annotate --generate-hashes --allow-unsafe
screenshots: .venv/ready ## the pictures in docs/images, of what really happens
	$(PY) -m tests.load_tests.screenshots

lock: .venv/ready ## compile the requirements files anew from their .in files, with hashes (UPGRADE=--upgrade: newer pins)
	$(PY) -m pip install --quiet pip-tools
	$(PY) $(COMPILE) $(UPGRADE) -o requirements/all.txt requirements/all.in
	$(PY) $(COMPILE) $(UPGRADE) -c requirements/all.txt -o container/requirements.txt container/requirements.in

bench-serving: .venv/ready ## this project's server beside others, resumable (ROWS= PEERS= REPEATS= SECONDS= MINUTES= QUIET=)
	ROWS="$(ROWS)" PEERS="$(PEERS)" REPEATS="$(REPEATS)" SECONDS="$(SECONDS)" MINUTES="$(MINUTES)" QUIET="$(QUIET)" RESULTS="$(RESULTS)" \
	  $(PY) -m benchmarks.serving

clean: ## remove .venv and build/ (the cache directory stays)
	rm -rf .venv build
