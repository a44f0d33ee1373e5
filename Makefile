# SPDX-License-Identifier: GPL-2.0-only
# What is typed by hand. CMake does the building; see CMakePresets.json.
#
#   make run                 set up, build, and run the default example
#   make test                set up and run every quick test
#   make soak                set up and run the long tests
#   make bench               set up and run the benchmarks (docs/performance.md)
#   make build               the command, at build/uscx
#   make examples            examples/schedulers/*.bpf.c at build/examples/*.bpf.o
#   make kernel-schedulers   the kernel's own schedulers at build/kernel/VERSION/
#   make kernel-bpf-tests    the kernel's BPF selftests at build/kernel/7.3/bpf/
#   make install PREFIX=DIR  the command, and what writing a scheduler needs
#   make clean               removes what was built, and nothing else
#   make format, make lint   clang-format and clang-tidy
#
# Downloads are kept in $USCX_CACHE (~/.cache/uscx), which make clean leaves.

SHELL := /bin/bash
BUILD := build
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
KERNELS := 7.2 7.3
CTEST := ctest --test-dir $(BUILD) --output-on-failure --no-tests=error -j$(JOBS)

# The default run, and what an argument may change: make run SCHED=... ARGS="--seed 2"
SCHED ?= $(BUILD)/examples/fifo.bpf.o
ARGS ?=

.PHONY: all run test soak bench build examples kernel-schedulers kernel-bpf-tests install clean \
	format lint setup setup-test setup-bench configure
all: build

setup:
	@tools/setup.sh build

setup-test:
	@tools/setup.sh test

configure: | setup
	@test -e $(BUILD)/build.ninja || cmake --preset release

setup-bench:
	@tools/setup.sh bench

build: configure
	@cmake --build $(BUILD) -j$(JOBS) --target uscx

examples: configure
	@cmake --build $(BUILD) -j$(JOBS) --target examples

run: configure
	@cmake --build $(BUILD) -j$(JOBS) --target uscx examples
	$(BUILD)/uscx run $(SCHED) $(ARGS)

kernel-schedulers: | setup-test
	@tools/kernel-schedulers.sh $(BUILD)/kernel $(KERNELS)
	@tools/opslog-object.sh $(BUILD)/opslog $(KERNELS)

kernel-bpf-tests: | setup-test
	@tools/kernel-bpf-tests.sh $(BUILD)/kernel 7.3

test: setup-test kernel-schedulers kernel-bpf-tests configure
	@cmake --build $(BUILD) -j$(JOBS)
	@$(CTEST) -LE soak

soak: setup-test kernel-schedulers kernel-bpf-tests configure
	@cmake --build $(BUILD) -j$(JOBS)
	@$(CTEST) -L soak

bench: setup-bench kernel-schedulers configure
	@cmake $(BUILD) > /dev/null
	@cmake --build $(BUILD) -j$(JOBS) --target uscx_bench
	$(BUILD)/uscx_bench

install: configure
	@cmake --build $(BUILD) -j$(JOBS) --target uscx examples
	@cmake --install $(BUILD) --prefix $(PREFIX)

clean:
	@tools/clean.sh

format:
	@tools/setup.sh lint
	@tools/lint.sh format

lint: configure
	@tools/setup.sh lint
	@cmake --build $(BUILD) -j$(JOBS)
	@tools/lint.sh check $(BUILD)
