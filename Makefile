# Sallyport. The targets people use: build, test, lint, demo, demo-down, bench, bench-quick, bench-chart, bench-profile, bench-login, bench-judge, clean.

GO ?= go
TOOL = $(GO) tool -modfile=.ci/tools/go.mod

# What is built is decided by the Go tool, which knows what is up to date. Only bin/sallyport is optimised for cmd/sallyport/default.pgo,
# which has all its packages compiled for it; tests and lints go without, and so compile nothing twice.
.PHONY: build
build: bin/sallyport

.PHONY: bin/sallyport
bin/sallyport:
	@.ci/require cc
	$(GO) build -trimpath -pgo=auto -o $@ ./cmd/sallyport

.PHONY: bin/demo
bin/demo:
	$(GO) build -trimpath -o $@ ./e2e/demo

# The development Vault: minutes on a cold cache, so only when it has changed,
# and not at all where there is a vault. It is never linked into sallyport.
VAULTDEV := $(if $(filter off,$(VAULT)),,$(if $(shell command -v vault),,bin/vaultdev))

bin/vaultdev: e2e/vaultdev/go.mod e2e/vaultdev/go.sum $(wildcard e2e/vaultdev/*.go)
	cd e2e/vaultdev && $(GO) build -trimpath -ldflags='-s -w' -o ../../$@ .

# Its PKI engine, a plugin of its own for the reason that its doc gives.
bin/vaultpki: e2e/vaultpki/go.mod e2e/vaultpki/go.sum $(wildcard e2e/vaultpki/*.go)
	cd e2e/vaultpki && $(GO) build -trimpath -ldflags='-s -w' -o ../../$@ .

# The OpenTelemetry Collector's receiver, which the audit log is followed to in tests.
bin/otlpdev: e2e/otlpdev/go.mod e2e/otlpdev/go.sum $(wildcard e2e/otlpdev/*.go)
	cd e2e/otlpdev && $(GO) build -trimpath -ldflags='-s -w' -o ../../$@ .

NODE_MODULES = e2e/clients/node/node_modules/.package-lock.json

$(NODE_MODULES): e2e/clients/node/package.json e2e/clients/node/package-lock.json
	@.ci/require node
	cd e2e/clients/node && npm ci
	@touch $@

# A client for OAUTHBEARER on libpq 18, to try the demo with.
.PHONY: bin/oauth
bin/oauth: $(NODE_MODULES)
	@.ci/require cc oauth
	@mkdir -p bin
	e2e/clients/oauth/build $@

# Unit tests to end-to-end tests, against the real parts.
.PHONY: test lint
test lint: export GOFLAGS := $(shell $(GO) env GOFLAGS) -pgo=off
test: bin/vaultdev bin/vaultpki bin/otlpdev $(NODE_MODULES)
	@.ci/require cc postgresql psql python java curl oauth rsyslog nats
	$(GO) test -race -shuffle=on -timeout 20m ./...
	@# What is to allocate nothing is counted without the race detector, which allocates itself.
	$(GO) test -run Allocat ./authz/... ./gateway ./gateway/audit/... ./gateway/wire

lint:
	@.ci/require cc
	@unformatted=$$($(TOOL) gofumpt -l .) || exit 1; test -z "$$unformatted" || { echo "gofumpt -w:" $$unformatted; exit 1; }
	$(GO) vet ./...
	$(TOOL) staticcheck ./...
	$(TOOL) go-errorlint -errorf-multi ./...
	$(TOOL) revive -config .ci/revive.toml -formatter friendly ./...
	@# G304: files named by the configuration are what is read. e2e runs programs for a living.
	$(TOOL) gosec -quiet -exclude=G304 -exclude-dir=e2e ./...

# VAULT=off: the gateway makes the roles of its sessions itself.
.PHONY: demo
demo: bin/sallyport bin/demo $(VAULTDEV)
	@.ci/require postgresql psql curl
	@exec bin/demo

.PHONY: demo-down
demo-down: bin/demo
	@bin/demo down

.PHONY: bin/bench
bin/bench:
	$(GO) build -trimpath -o $@ ./e2e/bench

# The ways to PostgreSQL compared: all of it in three quarters of an hour, or the most telling rows in four minutes. Results go to
# bench/results.json. BENCH has more for the command line: -rounds, -duration, -rows, -targets.
.PHONY: bench
bench: bin/sallyport bin/bench $(VAULTDEV)
	@.ci/require cc postgresql psql pgbouncer
	@exec bin/bench -plan full $(BENCH)

.PHONY: bench-quick
bench-quick: bin/sallyport bin/bench $(VAULTDEV)
	@.ci/require postgresql psql pgbouncer
	@exec bin/bench -plan quick $(BENCH)

# The chart of the last results.
.PHONY: bench-chart
bench-chart: bin/bench
	@bin/bench -chart e2e/bench/chart.svg

# What the gateway spends its CPU time on under load, for `go tool pprof`, and for builds: cmd/sallyport/default.pgo is a copy of it, to be
# made anew when the ways of messages through the gateway have changed.
.PHONY: bench-profile
bench-profile: bin/sallyport bin/bench $(VAULTDEV)
	@.ci/require postgresql psql
	@exec bin/bench -plan profile -targets sallyport -profile bench/cpu.pprof $(BENCH)

# What a login costs by each method, through a gateway in the test's own process. Many short rounds, so that what else the machine does
# slows down all methods alike.
.PHONY: bench-login
bench-login:
	@.ci/require cc
	@$(GO) test -c -o bin/gateway.test ./gateway
	@cd gateway && for round in $$(seq 20); do \
		../bin/gateway.test -test.run '^$$' -test.bench '^Benchmark(Login|Proof)$$' -test.benchtime 100x || exit 1; done >../bin/bench-login.txt
	@$(TOOL) benchstat bin/bench-login.txt

# What judging costs by itself.
.PHONY: bench-judge
bench-judge: bin/bench
	@.ci/require cc
	@exec bin/bench -plan judge

.PHONY: clean
clean:
	rm -rf bin e2e/clients/node/node_modules
