# `make help` lists what there is to do. Every target gets what it needs: a bare clone is enough.

TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
WASM := -p kraiter-filter --lib --examples --target wasm32-unknown-unknown
BUILD_RELEASE := cargo build --release -p kraiter-backend -p kraiter-tests
BUILD_FILTER := cargo build --profile filter $(WASM)

# Envoy, cargo-deny and the like are kept in the project's own folder, not in the system.
export PATH := $(CURDIR)/.tools/bin:$(PATH)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup build run demo test lint bench clean

help: ## shows this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

setup: ## gets what this machine lacks: the wasm32 target, Envoy, Postgres
	@tools/setup.sh

build: setup ## builds the service, the filter and the stack runner, optimised
	$(BUILD_RELEASE) --bin kraiter --bin stack
	$(BUILD_FILTER)

# The last line is run by make itself, without a shell, so that signals reach the stack.
run: build ## starts Postgres, the service and Envoy; Ctrl-C stops them
	$(TARGET_DIR)/release/stack

demo: build ## plays a campaign of 100,000 simulated recipients through a running stack
	$(TARGET_DIR)/release/stack demo

test: setup ## runs every test: unit, property, service against Postgres, end to end through Envoy, the API against its document, the dashboard in Chromium, the JavaScript client
	@tools/setup.sh test
	$(BUILD_FILTER)
	cargo build --workspace --bins --tests
	cargo test --workspace

lint: setup ## checks format, clippy (native and wasm32), dependencies, licences, scripts, Dockerfiles
	@tools/setup.sh lint
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy $(WASM) -- -D warnings
	cargo deny --locked check licenses bans sources
	shellcheck --external-sources --source-path=SCRIPTDIR tools/*.sh envoy/*.sh .ci/run
	hadolint backend/Dockerfile envoy/Dockerfile

bench: build ## measures everything, or one suite: make bench SUITE=edge
	$(BUILD_RELEASE) --bin bench
	$(TARGET_DIR)/release/bench $(SUITE)

clean: ## removes what was built; .tools and data stay
	cargo clean
