# Everything that developers and CI run. `make` alone tells what there is.

.DEFAULT_GOAL := help
.NOTPARALLEL:

# Each test that cannot run here adds a line with the reason.
SKIPPED := $(CURDIR)/target/skipped.txt

# Where GLib's development files are, the tests run on its main loop too; without GTK's, fileops-gtk is left out.
FEATURES = $(if $(shell scripts/has-gnome glib-2.0 2.66 >/dev/null && echo yes),--features fileops-tests/glib)
NO_GTK = $(shell scripts/has-gnome gtk4 4.8)
WORKSPACE = --workspace $(if $(NO_GTK),--exclude fileops-gtk)

.PHONY: help
help: ## tell what there is
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 24

# ---- the two commands of the README

.PHONY: demo
demo: setup-build ## copy a real tree with live progress, verify it, remove it (SRC=... DST=... for your own)
	cargo build --release --locked -p fileops-demo
	scripts/demo

.PHONY: demo-headless
demo-headless: demo ## the demo without windows; so far it has none

.PHONY: test
# Records of the tests' operations stay out of the user's own.
test: export XDG_STATE_HOME := $(CURDIR)/target/state
test: setup-test ## run all tests, and tell which were skipped and why
	@mkdir -p target
	@: >"$(SKIPPED)"
	@$(if $(NO_GTK),echo "fileops-gtk: $(NO_GTK)" >>"$(SKIPPED)")
	FILEOPS_SKIPPED="$(SKIPPED)" scripts/test $(WORKSPACE) --locked $(FEATURES)
	@if [ -s "$(SKIPPED)" ]; then \
	    sort "$(SKIPPED)" | sed 's/^/skipped: /'; \
	    echo "$$(wc -l <"$(SKIPPED)") skipped"; \
	fi

# ---- what a commit must pass

.PHONY: check
check: setup-test fmt-check clippy doc deny translations test ## all that CI runs

.PHONY: fmt-check
fmt-check: rust
	cargo fmt --all --check

.PHONY: clippy
clippy: rust
	cargo clippy $(WORKSPACE) --all-targets --locked $(FEATURES) -- -D warnings

# Libraries only: the program `fileops` would be written over the library of that name.
.PHONY: doc
doc: rust
	RUSTDOCFLAGS="-D warnings" cargo doc $(WORKSPACE) --lib --no-deps --locked

.PHONY: deny
deny: rust ## check licences and sources of the dependencies
	scripts/deny

.PHONY: translations
translations: ## check that po/ has what the source says, and all of it in each language
	scripts/translations --check

# ---- others

.PHONY: bench
bench: setup-bench ## measure beside cp, rsync and others (BENCH="--quick", "--only tmpfs"; see bench/README.md)
	cargo build --release --locked -p fileops-demo -p fileops-tests --bins
	@# Not --locked: its lock file is its own, and follows when the library takes another dependency.
	cargo build --release --manifest-path bench/awaiting/Cargo.toml
	python3 bench/run.py $(BENCH)

.PHONY: fmt
fmt: rust ## format the source
	cargo fmt --all

.PHONY: clean
clean: rust ## remove all that was built
	cargo clean

# ---- what the others need

# The programs are run from here, wherever else cargo is told to build.
demo bench: export CARGO_TARGET_DIR := $(CURDIR)/target

.PHONY: setup-build setup-test setup-bench
setup-build setup-test setup-bench: setup-%: rust
	@scripts/setup-debian $*

.PHONY: rust
rust:
	@command -v cargo >/dev/null || { \
	    echo "Rust is missing: install 1.85 or newer with rustup; Debian 12's is too old." >&2; \
	    exit 1; \
	}
