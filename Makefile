# Two commands matter to users: `make demo` and `make test`. Both set everything up first.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

ROOT := $(CURDIR)
PYTHON ?= python3
BIN := $(ROOT)/.venv/bin
STAMPS := build/stamps
export PATH := $(BIN):$(PATH)
export GOTOOLCHAIN := local
# One set of flags for everything built from Go, so that each package is compiled once.
export GOFLAGS := -mod=readonly -trimpath
export CGO_ENABLED := 0
# Compiled Python is kept, also where the environment says otherwise: each process would compile
# thousands of files again.
export PYTHONDONTWRITEBYTECODE :=
export TOKENIZERS_PARALLELISM := false
export HF_HUB_DISABLE_TELEMETRY := 1

GO_SOURCES := $(shell find zk/prover -name '*.go' -not -path '*/bin/*') zk/prover/go.mod zk/prover/go.sum
STATICCHECK := build/bin/staticcheck
GETH := build/bin/geth
SEED ?= 1

.PHONY: help setup check check-python check-go check-contracts form test test-go test-contracts test-long mutants wheel demo bench bench-zk contracts circuits clean gpu-check

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(STAMPS)/python ## install everything into .venv and node_modules, build the prover
	@$(MAKE) --silent --no-print-directory --jobs=2 --output-sync=line $(STAMPS)/node zk/prover/bin/zkprover
	@provenance doctor --quiet --machine

# uv installs what constraints.txt pins; pip does where uv cannot be had. TORCH_BACKEND=cpu asks uv for a torch without CUDA.
$(STAMPS)/python: pyproject.toml constraints.txt tools/install.sh
	@mkdir -p $(STAMPS); test -x .venv/bin/python || $(PYTHON) -m venv .venv
	@TORCH_BACKEND="$(TORCH_BACKEND)" tools/install.sh $(BIN)/python '.[train,service,demo,dev]'
	@touch $@

$(STAMPS)/node: package.json package-lock.json $(STAMPS)/python
	@begin=$$SECONDS; echo "setup: npm packages into node_modules (solc, Hardhat, anvil)"; \
	npm install --no-save --silent --no-audit --no-fund; \
	touch $@; echo "setup: npm packages done in $$((SECONDS - begin)) s"

zk/prover/bin/zkprover: $(GO_SOURCES) $(STAMPS)/python
	@begin=$$SECONDS; echo "setup: building zkprover (gnark)"; \
	cd zk/prover && go build -o bin/zkprover ./cmd/zkprover; \
	touch bin/zkprover; echo "setup: zkprover done in $$((SECONDS - begin)) s"

$(STATICCHECK): $(STAMPS)/python
	@echo "check: installing staticcheck"; GOBIN=$(ROOT)/build/bin GOFLAGS=-trimpath go install honnef.co/go/tools/cmd/staticcheck@v0.8.0

# mypy and the Solidity compiler use one core each, so parts that do not need each other run beside each other.
check: setup ## lint, form, types, layers, generated files
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=line check-python check-contracts check-go

check-python:
	ruff format --check .
	ruff check .
	python tools/form.py --check
	lint-imports
	python zk/generate_statements.py --check
	mypy --strict

check-go: $(STATICCHECK)
	cd zk/prover && unformatted=$$("$$(go env GOROOT)/bin/gofmt" -l .) && test -z "$$unformatted" || { echo "gofmt: $$unformatted"; exit 1; }
	cd zk/prover && go vet ./... && $(ROOT)/$(STATICCHECK) ./...

check-contracts:
	npm run --silent lint
	npm run --silent check-abi

# Without C, optimization and debugging data it is built in a third of the time, and it serves only a few blocks. Go's own packages are those of zkprover.
$(GETH): $(STAMPS)/python
	@echo "test: building geth, the second EVM node (about 50 s)"; GOBIN=$(ROOT)/build/bin GOFLAGS=-trimpath go install -gcflags='all=-N -l -dwarf=false' -gcflags=std= -ldflags='-s -w' github.com/ethereum/go-ethereum/cmd/geth@v1.16.7

# Two processes on two cores train tiny models with two threads each: threads that wait must not spin.
test: export OMP_WAIT_POLICY := PASSIVE
test: setup ## all tests: Python, Go, Solidity; in another order with SEED=n
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=line $(GETH) test-contracts test-go
	PROVENANCE_TEST_GETH=$(ROOT)/$(GETH) pytest --numprocesses auto --dist loadscope --no-loadscope-reorder --randomly-seed=$(SEED)

test-go:
	cd zk/prover && go test -vet=off -ldflags='-s -w' ./...

test-contracts:
	npm test --silent

test-long: setup $(GETH) ## the slow twins too (every proof vector through the Python verifier), a minute of fuzzing the three verifiers
	PROVENANCE_TEST_GETH=$(ROOT)/$(GETH) pytest --long

mutants: setup ## weaken circuits and contracts check by check and run their tests each time (hours); prints what no test notices
	python tools/mutants.py

wheel: setup ## a wheel that verifies alone, with zkprover inside, in dist/
	@rm -rf dist; uv build --quiet --wheel --out-dir dist; ls dist

form: ## figures of the code's form: files per folder, lines per function, ..
	python tools/form.py

demo: setup ## the main job on a real model, from dataset to verdict, and a tampered copy
	python examples/demo.py

bench: setup ## one script per budget line of the design; prints inputs, medians and targets
	python benchmarks/run.py

bench-zk: setup ## circuits, snarkjs and groth16py beside them, the reference job, a million records, gas
	python benchmarks/run.py zk peers proofs gas million

contracts: setup ## recompile the contracts and export ABI and bytecode into the package
	npm run --silent export-abi

circuits: zk/prover/bin/zkprover ## build the prover and print constraint counts
	cd zk/prover && go test ./circuits -run Constraints -v | grep -i constraints

gpu-check: setup ## training on a GPU, one JSON result; "not run" without one
	python examples/gpu_check.py

clean: ## remove what setup and tests made (not runs/)
	rm -rf build .venv node_modules zk/prover/bin artifacts cache
