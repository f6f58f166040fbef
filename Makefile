# Two commands need nothing but Rust and Python >= 3.11 on Debian or Ubuntu: `make demo` and `make test`.
# Each target calls one-job scripts in .ci/, which say what they do and cost.
export PREFIX DESTDIR PYTHON

help: ## print this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 12

demo: ## set up, build the wheel, run the main job: server and client on loopback, in each mode
	@.ci/setup
	@.ci/wheel
	@.venv/bin/python -m libcoop.wynd.demo

test: ## set up, run cargo test, ctest and pytest
	@.ci/setup
	@.ci/test

build: ## target/release/libcoop.so and .a, and a .venv/bin/python that imports libcoop
	@.ci/setup
	@.ci/library
	@.ci/wheel

lint: ## formatting, lints and types; are header, symbols and ABI as recorded (installs abigail-tools)
	@.ci/setup lint
	@.ci/lint

bench: ## libcoop beside its peers (installs libuv1-dev, libasio-dev, libtbb-dev and runit)
	@.ci/setup bench
	@.ci/bench

soak: ## a mixed load on pools, and the tests over and over, for COOP_SOAK_SECONDS (600)
	@.ci/setup
	@.ci/soak

sanitize: ## loom, ASan, UBSan, LSan, TSan, valgrind: a quarter of an hour or more (installs clang, g++-11, valgrind)
	@.ci/setup sanitize
	@.ci/sanitize

miri: ## the type-erased jobs under miri (needs a nightly toolchain with miri)
	@.ci/miri

docs: ## the reference of coop.h, as a website in target/docs/html (installs doxygen)
	@.ci/setup docs
	@.ci/docs

install: ## headers, libraries, CMake package and coop.pc under PREFIX (/usr/local)
	@.ci/install

.PHONY: help demo test build lint bench soak sanitize miri docs install
.NOTPARALLEL:
