# libdcf_thunderbolt: build, try, test, install. `make help` lists the targets.

PREFIX  ?= /usr/local
BINDIR  ?= $(PREFIX)/bin
LIBDIR  ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DATADIR ?= $(PREFIX)/share
MANDIR  ?= $(DATADIR)/man
UNITDIR ?= $(PREFIX)/lib/systemd/system
DESTDIR ?=
CARGO   ?= cargo
CC      ?= cc
CFLAGS  ?= -O2

VERSION := $(shell sed -n 's/^version *= *"\(.*\)"/\1/p' Cargo.toml | head -n 1)
MAJOR   := $(firstword $(subst ., ,$(VERSION)))

TARGET  := $(or $(CARGO_TARGET_DIR),target)
RELEASE := $(TARGET)/release
LIB     := libdcf_thunderbolt
HEADERS := $(wildcard include/*.h)
MAN3    := $(TARGET)/man/man3
EXAMPLES := $(TARGET)/examples
PROGRAMS := $(patsubst c_examples/%.c,$(EXAMPLES)/%,$(wildcard c_examples/*.c))
BENCH := $(TARGET)/bench
BENCH_PROGRAMS := $(patsubst bench/c/%.c,$(BENCH)/%,$(wildcard bench/c/*.c))
SOAK := $(TARGET)/soak
SOAK_SECONDS ?= 3600
# A random seed by default.
SOAK_SEED ?=
# The drivers of the soak and of bench-check are not measured. As debug builds with the features of the tests, they
# share most crates with the tests, and need no link-time optimization.
TEST_BUILD = $(CARGO) build --locked --quiet --workspace --features thunderbolt_transport/async
DEBUG := $(TARGET)/debug
REPORTS = --html $(BENCH)/report.html --markdown $(BENCH)/report.md --json $(BENCH)/report.json
WARNINGS := -Wall -Wextra -Wpedantic -Werror

DEMO_NEEDS := gcc libc6-dev iproute2 util-linux coreutils rust
LISP_NEEDS := sbcl cl-cffi cl-bordeaux-threads cl-trivial-gray-streams cl-trivial-garbage
TEST_NEEDS := $(DEMO_NEEDS) lld nftables procps g++ binutils valgrind cmake pkg-config abigail-tools python3 \
	$(LISP_NEEDS) cl-fiveam ecl
LINT_NEEDS := gcc libc6-dev rust rustfmt clippy shellcheck
DOCS_NEEDS := mandoc
DIST_NEEDS := gcc libc6-dev binutils rust lld
DEB_NEEDS := gcc libc6-dev rust lld dpkg-dev debhelper
DEB_TEST_NEEDS := mmdebstrap iproute2 util-linux
BENCH_NEEDS := gcc libc6-dev iproute2 util-linux valgrind rust
SOAK_NEEDS := gcc libc6-dev iproute2 util-linux rust
# libFuzzer is C++.
FUZZ_NEEDS := gcc g++ libc6-dev iproute2 util-linux rust
FUZZ_SECONDS ?= 600
FUZZ_TARGET ?= all
# Other tools to compare with. Tools that cannot be installed are left out.
BENCH_PEERS := $(shell cat bench/peers/packages)

# The targets that `make help` lists.
.PHONY: bench-contestants $(shell sed -n 's/^\([a-z-]*\):.*\#\# .*/\1/p' $(firstword $(MAKEFILE_LIST)))

# One call, because cargo chooses features for all packages of a call. With two calls, most crates would be compiled twice.
build: ## the library, shared and static, in target/release, and its man pages (the default)
	$(CARGO) build --locked --release --package dcf_thunderbolt --package dcf_thunderbolt_static $(if $(wildcard cli),--package dcf_tb)
	@ln -sf $(LIB).so $(RELEASE)/$(LIB).so.$(MAJOR)
	@$(MAKE) --no-print-directory man

man: $(MAN3)/dcf_thunderbolt.3 ## the man pages of the C API, in target/man

$(MAN3)/dcf_thunderbolt.3: include/dcf_thunderbolt.h $(wildcard reference/src/*.rs)
	$(CARGO) run --locked --quiet --release --package dcf_reference -- include/dcf_thunderbolt.h $(MAN3)

examples: build ## the C examples, in target/examples
	@$(MAKE) --no-print-directory $(PROGRAMS)

# The examples find the library relative to themselves, so the tree may be moved.
$(EXAMPLES)/%: c_examples/%.c $(wildcard c_examples/*.h) $(HEADERS)
	@mkdir -p $(EXAMPLES)
	$(CC) -std=c11 $(WARNINGS) $(CFLAGS) -Iinclude -pthread -o $@ $< \
		-L$(RELEASE) -Wl,-rpath,'$$ORIGIN/../release' $(LDFLAGS) -ldcf_thunderbolt

# These load the library at run time.
$(EXAMPLES)/dlopen_host $(EXAMPLES)/dcf_plugin_host: $(EXAMPLES)/%: c_examples/%.c $(HEADERS)
	@mkdir -p $(EXAMPLES)
	$(CC) -std=c11 $(WARNINGS) $(CFLAGS) -Iinclude -o $@ $< \
		-Wl,-rpath,'$$ORIGIN/../release' $(LDFLAGS) -ldl

demo: ## two hosts on one cable: messages, round trips, a file (installs what it needs)
	@scripts/require-packages $(DEMO_NEEDS)
	@$(MAKE) --no-print-directory --silent examples
	@scripts/demo $(EXAMPLES)

test: ## every test (installs what it needs)
	@scripts/require-packages $(TEST_NEEDS)
	@$(MAKE) --no-print-directory --silent examples
	@scripts/test

models: ## every thread order of the hand-written concurrency, by loom (a minute)
	@scripts/require-packages rust gcc libc6-dev
	@scripts/models

fuzz: ## fuzz the parsers and the C ABI, ten minutes per target (FUZZ_SECONDS, FUZZ_TARGET=calls)
	@scripts/require-packages $(FUZZ_NEEDS)
	@scripts/fuzz $(FUZZ_TARGET) $(FUZZ_SECONDS) $(TARGET)

fuzz-check: ## the same for twenty seconds each, for CI
	@$(MAKE) --no-print-directory fuzz FUZZ_SECONDS=20

sanitize: ## C tests and Rust tests of one host under AddressSanitizer
	@scripts/require-packages $(FUZZ_NEEDS)
	@scripts/sanitize $(TARGET)

bench: bench-peers bench-programs ## speed against C and other tools, 20 minutes (BENCH_ARGS="--rows rtt")
	@scripts/bench $(TARGET) $(REPORTS) $(BENCH_ARGS)

bench-quick: bench-programs ## the same rows in two minutes: without the other tools, shorter samples
	@for name in iperf3 jq; do scripts/require-packages $$name || true; done
	@scripts/bench $(TARGET) $(REPORTS) --quick $(BENCH_ARGS)

bench-check: bench-contestants ## check that the benchmark works: one short round, for CI
	@$(TEST_BUILD) --bin dcf-bench --bin rust-send
	@RUNNER=$(DEBUG)/dcf-bench scripts/bench $(TARGET) --check $(BENCH_ARGS)

bench-peers: ## install the other tools that are available
	@for name in $(BENCH_PEERS); do scripts/require-packages $$name || true; done

bench-programs: bench-contestants ## the programs of the benchmark, in target/bench (installs what it needs)
	@$(CARGO) build --locked --quiet --release --package dcf_bench

bench-contestants:
	@scripts/require-packages $(BENCH_NEEDS)
	@$(MAKE) --no-print-directory --silent build
	@$(MAKE) --no-print-directory --silent $(BENCH_PROGRAMS)
	@bench/peers/build $(BENCH)
	@if scripts/require-packages $(LISP_NEEDS); then bench/lisp/build $(BENCH); \
	else echo 'leaving out the rows of Common Lisp' >&2; fi

# The yardsticks do not link the library.
$(BENCH)/%: bench/c/%.c $(wildcard bench/c/*.h) $(HEADERS)
	@mkdir -p $(BENCH)
	$(CC) -std=c11 $(WARNINGS) $(CFLAGS) -Iinclude -pthread -o $@ $< \
		-L$(RELEASE) -Wl,-rpath,'$$ORIGIN/../release' $(LDFLAGS) -Wl,--as-needed -ldcf_thunderbolt

soak: soak-program ## an hour of work on two hosts with random faults (SOAK_SECONDS, SOAK_SEED, SOAK_ARGS)
	@scripts/soak $(TARGET) --seconds $(SOAK_SECONDS) $(if $(SOAK_SEED),--seed $(SOAK_SEED)) $(SOAK_ARGS)

soak-check: soak-program ## the same for two minutes with fixed faults, for CI
	@scripts/soak $(TARGET) --seconds 120 --seed $(or $(SOAK_SEED),1) $(SOAK_ARGS)

soak-program: ## the programs of the soak (installs what it needs)
	@scripts/require-packages $(SOAK_NEEDS)
	@$(MAKE) --no-print-directory --silent build
	@$(MAKE) --no-print-directory --silent $(SOAK)/soak_host
	@$(TEST_BUILD) --bin dcf-soak

$(SOAK)/soak_host: $(wildcard soak/c/*.c) $(wildcard soak/c/*.h) tests/c/check.h include/dcf_thunderbolt.h
	@mkdir -p $(SOAK)
	$(CC) -std=c11 -D_GNU_SOURCE $(WARNINGS) $(CFLAGS) -Iinclude -Itests/c -pthread -o $@ $(filter %.c,$^) \
		-L$(RELEASE) -Wl,-rpath,'$$ORIGIN/../release' $(LDFLAGS) -ldcf_thunderbolt

lint: ## formatting, clippy with and without async, the C examples as C99, shellcheck
	@scripts/require-packages $(LINT_NEEDS)
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --locked --package thunderbolt_transport --all-targets --features async -- -D warnings
	for f in c_examples/*.c; do $(CC) -std=c99 $(WARNINGS) -Iinclude -fsyntax-only $$f || exit 1; done
	shellcheck -x $(filter-out scripts/test-pool,$(wildcard scripts/*)) .ci/run bench/instructions bench/lisp/build bench/peers/build bench/peers/peer

docs: $(MAN3)/dcf_thunderbolt.3 ## the book, in target/doc/book; the Rust documentation and the C reference beside it
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --workspace --features thunderbolt_transport/async --no-deps
	@# The types for tokio are behind a feature.
	@for type in AsyncTransport AsyncDataStream; do \
		test -s $(TARGET)/doc/thunderbolt_transport/struct.$$type.html || { echo "the documentation lacks $$type" >&2; exit 1; }; \
	done
	@scripts/require-packages $(DOCS_NEEDS)
	@mkdir -p $(TARGET)/doc/c
	@for page in $$(cd $(MAN3) && find . -type f -name '*.3'); do \
		mandoc -T html -O man=%N.html,toc -W error "$(MAN3)/$$page" >"$(TARGET)/doc/c/$${page%.3}.html" || exit; \
	done
	@ln -sf dcf_thunderbolt.html $(TARGET)/doc/c/index.html
	@scripts/book $(TARGET)

# For a new minor version. The old baselines stay, and are compared too.
abi-baseline: ## abi/dcf_thunderbolt-MAJOR.MINOR.abi, the baseline of abidiff
	@scripts/require-packages abigail-tools
	@scripts/abi-witness include $(TARGET)/abi-witness.so
	abidw --no-show-locs --no-comp-dir-path --no-corpus-path --out-file abi/dcf_thunderbolt-$(basename $(VERSION)).abi $(TARGET)/abi-witness.so

deps: ## install everything that the targets need
	@scripts/require-packages $(sort $(TEST_NEEDS) $(LINT_NEEDS) $(DOCS_NEEDS) $(DIST_NEEDS) $(DEB_NEEDS) $(BENCH_NEEDS) $(SOAK_NEEDS) $(FUZZ_NEEDS) \
		$(if $(filter 0,$(shell id -u)),$(DEB_TEST_NEEDS)))

# Builds only missing files, so that `make && sudo make install` builds nothing as root.
$(RELEASE)/$(LIB).so $(RELEASE)/$(LIB).a:
	$(MAKE) build

deb: ## Debian packages, in target/deb (installs what it needs)
	@scripts/require-packages $(DEB_NEEDS)
	@scripts/deb $(TARGET)/deb $(TARGET)

deb-test: ## the packages in a clean Debian: installed, used, purged (needs root)
	@scripts/require-packages $(DEB_TEST_NEEDS)
	@scripts/deb-test $(TARGET)/deb

dist: ## one dcf-tb to copy to other machines, in target/dist: static and stripped
	@scripts/require-packages $(DIST_NEEDS)
	@scripts/dist $(TARGET)/dist $(TARGET)

INSTALL = DESTDIR="$(DESTDIR)" PREFIX="$(PREFIX)" BINDIR="$(BINDIR)" LIBDIR="$(LIBDIR)" \
	INCLUDEDIR="$(INCLUDEDIR)" DATADIR="$(DATADIR)" MANDIR="$(MANDIR)" UNITDIR="$(UNITDIR)" \
	VERSION="$(VERSION)" BUILT="$(RELEASE)" MAN3="$(MAN3)" scripts/install

install: $(RELEASE)/$(LIB).so $(RELEASE)/$(LIB).a $(MAN3)/dcf_thunderbolt.3 ## install everything under $(DESTDIR)$(PREFIX)
	@$(INSTALL) install

uninstall: $(MAN3)/dcf_thunderbolt.3 ## remove the installed files
	@$(INSTALL) uninstall

clean: ## remove everything that was built
	$(CARGO) clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile
