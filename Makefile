# Every target does the set-up that it needs. On Debian and Ubuntu as root it installs what is missing; without root it
# prints the command and stops.

CARGO ?= cargo
TARGET = $(abspath $(or $(CARGO_TARGET_DIR),target))
BUILD_PACKAGES := build-essential pkg-config libopus-dev
BENCH_PACKAGES := kamailio sip-tester
MEDIA_PACKAGES := rtpengine-daemon sip-tester
PEER_PACKAGES := sip-tester baresip-core sox procps kamailio python3-venv chromium iproute2 iptables opus-tools util-linux libxml2-utils coturn
BROWSER := sip-tests/browser

# Each target compiles once from clean: what a next build would be quicker by stays off the disk.
export CARGO_INCREMENTAL := 0

.PHONY: run demo test bench bench-proxy bench-media bench-mix bench-turn bench-webrtc bench-flood soak-proxy deps peers soak check-toolchain

run: deps
	$(CARGO) build --release --bin tandem
	"$(TARGET)/release/tandem" run

demo: deps
	$(CARGO) build --release --bin tandem
	"$(TARGET)/release/tandem" demo

# Cheapest first. All that runs is compiled by one command, with one set of features, the program among it: the tests
# that start it find it by TANDEM_BIN.
test: deps peers
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --quiet -- -D warnings
	$(CARGO) check --quiet --lib --no-default-features
	$(CARGO) check --quiet --manifest-path sip-tests/fuzz/Cargo.toml --target-dir target/fuzz
	$(CARGO) build --workspace --bins --tests --quiet
	TANDEM_BIN="$(TARGET)/debug/tandem" $(CARGO) test --workspace --quiet

bench: deps
	$(CARGO) bench --workspace

# Side by side with Kamailio, an hour and a half long: benches/peers/README.md. QUICK=1 for a look, BUSY=1 on a machine that is not quiet,
# ROWS="REGISTER bridge" for some rows only. It goes on where it was interrupted; FRESH=1 begins anew.
bench-proxy: deps
	@.ci/packages $(BENCH_PACKAGES)
	$(CARGO) bench --quiet --bench peers -- run $(ROWS)

# The packet path side by side with rtpengine: benches/peers/media/README.md. QUICK=1, BUSY=1, FRESH=1 and ROWS="SRTP Opus" as above.
bench-media: deps
	@.ci/packages $(MEDIA_PACKAGES)
	$(CARGO) bench --quiet --bench peers -- media $(ROWS)

# What rooms cost, beside a bare loop and relayed calls: benches/peers/mix/README.md. QUICK=1, BUSY=1, FRESH=1 and ROWS="Opus 1,000" as above.
bench-mix: deps
	@.ci/packages sip-tester
	$(CARGO) bench --quiet --bench peers -- mix $(ROWS)

# The TURN relay side by side with coturn: benches/peers/turn/README.md. QUICK=1, BUSY=1, FRESH=1 and ROWS="Tandem" as above.
bench-turn: deps
	@.ci/packages coturn
	$(CARGO) bench --quiet --bench peers -- turn $(ROWS)

# What browsers cost, side by side with Janus, as root: benches/peers/webrtc/README.md. QUICK=1, BUSY=1, FRESH=1 and ROWS="Tandem" as above.
bench-webrtc: deps
	@.ci/packages janus iproute2 util-linux
	$(CARGO) bench --quiet --bench peers -- webrtc $(ROWS)

# Half an hour at 500 calls per second with 100,000 registrations: nothing fails, nothing grows. MINUTES=3 for a short try.
soak-proxy: deps
	@.ci/packages $(BENCH_PACKAGES)
	$(CARGO) bench --quiet --bench peers -- soak

# A flood beside valid traffic, in three forms of half a minute, against the program as it is released: at most 10 % of a core.
bench-flood: deps peers
	$(CARGO) build --release --bin tandem
	TANDEM_BIN="$(TARGET)/release/tandem" FLOOD_SECONDS=30 FLOOD_LIMIT=10 \
	  $(CARGO) test -p sip-tests --test open_internet -- --nocapture a_flood

# The long forms of what `make test` runs reduced.
soak: deps peers
	CHAOS_SEEDS=20000 $(CARGO) test --release -p sip-tests --test chaos --test chaos_rooms -- --nocapture
	SOAK_HOURS=24 SOAK_LOG="$(CURDIR)/sip-tests/soak.log" $(CARGO) test -p sip-tests --test soak -- --nocapture

deps: check-toolchain
	@.ci/packages $(BUILD_PACKAGES)

peers: $(BROWSER)/node_modules/.package-lock.json
	@.ci/packages $(PEER_PACKAGES)
	@.ci/sipvicious "$(TARGET)"

# JsSIP, SIP.js, Playwright and TypeScript, as the lock file has them. npm may have come with a Node.js that is not Debian's.
$(BROWSER)/node_modules/.package-lock.json: $(BROWSER)/package-lock.json
	@command -v node >/dev/null && command -v npm >/dev/null || .ci/packages nodejs npm
	cd $(BROWSER) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error

check-toolchain:
	@command -v $(CARGO) >/dev/null || { \
	  echo "tandem: there is no Rust toolchain: install one from https://rustup.rs (1.89 or newer), then try again."; exit 1; }
