# Everything that a developer or a machine does here. `make` alone lists it.

# The program needs no C; the race detector does.
export CGO_ENABLED ?= 0

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
TOOLS   := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/atelier-tools
# What the tests must not skip for want of a program. Each name but versitygw is installed by scripts/install-test-needs.
NEEDS   := initdb,sshd,git-lfs,chromium,podman,bwrap,mvn,docker-registry,versitygw,apksigner,javac,npm
# What cannot be installed is required where the machine offers it.
NEEDS   := $(NEEDS)$(shell [ -w /sys/fs/cgroup/memory -a -w /sys/fs/cgroup/cpu -a -w /sys/fs/cgroup/pids ] && echo ,cgroups)

.PHONY: help build test check bench soak fuzz format

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## bin/atelier, stripped
	go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/atelier ./cmd/atelier

test: check $(TOOLS)/versitygw ## install what the tests need, then run all of them under the race detector
	scripts/install-test-needs
	PATH="$(TOOLS):$$PATH" ATELIER_TEST_REQUIRE=$(NEEDS) CGO_ENABLED=1 go test -race -timeout 30m ./...

check: $(TOOLS)/golangci-lint ## formatting, vet and linters
	$(TOOLS)/golangci-lint fmt --diff
	go vet ./...
	$(TOOLS)/golangci-lint run ./...

format: $(TOOLS)/golangci-lint ## format all files
	$(TOOLS)/golangci-lint fmt

bench: ## the performance bars, as ratios (docs/performance.md)
	go run ./bench

# The seed of a soak. A failure comes again with the same one, as far as the machine lets it.
SEED ?= $(shell date +%s)

soak: ## what a server survives, for minutes: make soak SEED=7 (docs/soak.md)
	ATELIER_SOAK_SEED=$(SEED) ATELIER_TEST_REQUIRE=initdb go test -count=1 -parallel 16 -timeout 2h -run '^TestSoak' -v ./test/crash | grep --line-buffered -E '^ *--- |^(ok|FAIL|panic)|_test.go:'

fuzz: ## every fuzz target for 20 seconds
	scripts/fuzz 20s

# The S3 server of the tests. It is no part of the tools' module, since the libraries of both would have to agree.
$(TOOLS)/versitygw: Makefile
	GOBIN=$(TOOLS) go install github.com/versity/versitygw/cmd/versitygw@v1.8.0

$(TOOLS)/golangci-lint: tools/go.mod
	mkdir -p $(TOOLS)
	go build -C tools -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint
