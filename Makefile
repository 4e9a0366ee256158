# `make` lists the targets. Everything runs from .venv, made from the locks of pyproject.toml's dependency groups.
PYTHON ?= python3.11
PY := .venv/bin/python
PINS := container/torch.txt container/requirements.txt local_aws/requirements.txt $(wildcard requirements/*.txt)
SCRIPTS := $(filter-out %.py %/__pycache__,$(wildcard .ci/*)) $(wildcard container/local_test/*.sh)
# A module stays on one worker, for its fixtures; in order, so that tests that measure come last.
TWO_AT_A_TIME := --numprocesses=2 --dist=loadfile --no-loadscope-reorder
LINTERS := lint-ruff lint-format lint-mypy lint-container lint-files lint-workflows

.DEFAULT_GOAL := help
.PHONY: help setup check rehearse test test-folder prove conformance bootstrap-check lint $(LINTERS) check-tests load-ui \
  screenshots sbom lock bench-serving clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

setup: ## make .venv with everything pinned, torch for the CPU (ONLY="pipeline load": those dependency groups alone)
	$(if $(ONLY),$(PYTHON) .ci/install.py $(ONLY),@$(MAKE) --no-print-directory .venv/ready)

.venv/ready: $(PINS)
	$(PYTHON) .ci/install.py

check: .venv/ready ## linters, types, and every test that starts no process: about a minute
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target check-tests $(LINTERS)

check-tests: .venv/ready
	$(PY) -m pytest --quiet $(TWO_AT_A_TIME) -m "not starts_processes"

rehearse: .venv/ready ## the whole journey on this machine: publish, deploy, verify, promote (MODEL=archive REQUESTS=folder: your own; CONFIG=config/examples/two-accounts: in two accounts)
	$(PY) -m rehearsal $(if $(MODEL),--model "$(MODEL)") $(if $(REQUESTS),--requests "$(REQUESTS)") $(if $(CONFIG),--config "$(CONFIG)")

test: .venv/ready lint ## linters and all tests, two at a time, one case of every long matrix (REQUIRE_DOCKER=1: no skip)
	$(PY) -m pytest $(TWO_AT_A_TIME)

test-folder: .venv/ready ## the tests of one folder: make test-folder FOLDER=pipeline (root: those of the whole repository)
	$(PY) -m pytest $(if $(filter root,$(FOLDER)),$(wildcard tests/test_*.py),$(wildcard tests/$(FOLDER) $(FOLDER)/tests))

prove: .venv/ready lint ## every case of every matrix, resumable, JOBS at a time; the result goes to docs/proof.md
	$(PY) -m tests.prove

conformance: .venv/ready ## the behaviour tests against the real AWS, for money: ARGS="--role ARN"; asks first, never in CI
	PYTHONPATH=local_aws/tests $(PY) -m conformance $(ARGS)

bootstrap-check: .venv/ready ## the GitHub repository's settings against the rules: make bootstrap-check REPO=ORG/REPO
	@GH_TOKEN="$${GH_TOKEN:-$$(gh auth token)}" $(PY) -m pipeline github-check --github-repo "$(REPO)"

lint: .venv/ready ## ruff, mypy, and the linters of Dockerfile, templates, scripts and workflows, two at a time
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target $(LINTERS)

lint-ruff:
	$(PY) -m ruff check .

lint-format:
	$(PY) -m ruff format --check .

lint-mypy:
	$(PY) -m mypy

lint-container: export MYPYPATH := container/src
lint-container:
	$(PY) -m mypy --cache-dir .mypy_cache/container container/src tests/container benchmarks/batch_server.py
	for script in container/build container/src/serve container/src/train; do \
	  $(PY) -m mypy --cache-dir .mypy_cache/container $$script || exit 1; done

lint-files:
	.venv/bin/shellcheck $(SCRIPTS)
	.venv/bin/hadolint container/Dockerfile
	.venv/bin/cfn-lint pipeline/account/cloudformation/*.yaml

lint-workflows:
	.venv/bin/actionlint .github/workflows/*.yml
	.venv/bin/zizmor --quiet --offline --pedantic .github

load-ui: .venv/ready ## Locust's web page against an endpoint: make load-ui ENDPOINT=digits-staging
	ENDPOINT=$(ENDPOINT) $(PY) -m locust -f load_tests/locustfile.py

sbom: .venv/ready ## the packages in the image as SPDX, in build/sbom.spdx.json (IMAGE=… takes an existing image)
	$(if $(IMAGE),,container/build --tag sagemaker-pytorch-release:sbom)
	mkdir -p build
	.venv/bin/syft scan --quiet docker:$(or $(IMAGE),sagemaker-pytorch-release:sbom) -o spdx-json=build/sbom.spdx.json

screenshots: .venv/ready ## take the screenshots in docs/images, of a real scale-out and a real canary
	$(PY) -m tests.load_tests.screenshots

lock: .venv/ready ## compile the locks of all dependency groups anew, with hashes (UPGRADE=--upgrade: newer pins)
	$(PY) .ci/lock.py $(UPGRADE)

bench-serving: .venv/ready ## this project's server beside others, resumable (ROWS= PEERS= REPEATS= SECONDS= MINUTES= QUIET=)
	ROWS="$(ROWS)" PEERS="$(PEERS)" REPEATS="$(REPEATS)" SECONDS="$(SECONDS)" MINUTES="$(MINUTES)" QUIET="$(QUIET)" RESULTS="$(RESULTS)" \
	  $(PY) -m benchmarks.serving

clean: ## remove .venv and build/ (the cache directory stays)
	rm -rf .venv build
