# Short names for what is run often. ./check makes the environment that these need.
PY := .venv/bin/python
# Debian keeps sshd and nginx where a plain user's PATH does not look.
export PATH := $(PATH):/usr/sbin:/sbin
.NOTPARALLEL:
.PHONY: fuzz fuzz-hours check lint types imports package deb wheel deb-lifecycle ansible ansible-machines test unit e2e e2e-full chaos interop bench bench-tunnel bench-baseline bench-gate scale cost crowd floods soak cov lock compiled test-compiled

check: lint types imports package ansible test

lint:
	@echo "==> lint: ruff"
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .

types:
	@echo "==> types: mypy, strict"
	@$(PY) -m mypy

imports:
	@echo "==> imports: who may use whom"
	@.venv/bin/lint-imports --no-logo

package: deb wheel

# In build/deb: the package, judged by lintian and systemd.
deb:
	@echo "==> deb: the Debian package, lintian, units"
	@tools/build-deb.sh
	@tools/check-deb.sh

# In build/dist: wheel and sdist.
wheel:
	@echo "==> wheel: wheel and sdist"
	@tools/check-wheel.sh

# The package's whole life in a fresh Debian with a systemd of its own; needs root.
deb-lifecycle:
	@tools/lifecycle.sh

ansible:
	@echo "==> ansible: the roles, linted, and what they write"
	@tools/check-ansible.sh

# The roles on three Debian machines, by molecule, with the package of build/deb; needs root.
ansible-machines:
	@tools/check-ansible.sh -m

# interop runs where FRPD_GO_FRP names the folder of the Go programs. What starts no programs
# runs beside the rest.
test:
	@echo "==> tests"
	@$(PY) -m pytest -q -n 2 --dist loadgroup tests

unit:
	@$(PY) -m pytest -q tests/unit tests/loop

e2e:
	@$(PY) -m pytest -q tests/e2e

e2e-full:
	@$(PY) -m pytest -q --full tests/e2e tests/interop

# Every fault of processes, resources and networks that we know to make: half an hour, as root.
chaos:
	@$(PY) -m pytest -q --full tests/e2e/test_chaos_*.py

interop:
	@$(PY) -m pytest -q tests/interop

cov:
	@$(PY) -m pytest -q --cov=frpd --cov-branch --cov-report=term-missing:skip-covered tests/unit tests/loop

# Coverage-guided fuzzing; needs the extra "fuzz": .venv/bin/pip install -e '.[fuzz]'.
# TARGET is a name of fuzz/registry.py, or all; SECONDS is for each.
fuzz: TARGET ?= all
fuzz: SECONDS ?= 300
fuzz:
	@$(PY) -m fuzz $(TARGET) --seconds $(SECONDS)

# About 16 hours on two cores.
fuzz-hours:
	@$(PY) -m fuzz all --seconds 3600 --jobs 2

# Measurements for the ADRs and for performance claims; each says what it measured.
bench:
	@for part in reactor yamux codec; do \
		echo "==> bench/$$part.py"; $(PY) "bench/$$part.py" || exit 1; done
	@echo "==> whole tunnels, beside frps and frpc in DIR: make bench-tunnel FRPD_GO_FRP=DIR"
	@echo "    (options: BENCH='--only bulk_up,rtt_64 --rounds 5'; more: docs/performance.md)"

bench-tunnel:
	@test -x "$(FRPD_GO_FRP)/frps" || { echo "FRPD_GO_FRP names no folder with frps and frpc"; exit 2; }
	@$(PY) -m bench.tunnel --impl 'frpd=.venv/bin/frps -c|.venv/bin/frpc -c' \
		--impl 'go=$(FRPD_GO_FRP)/frps -c|$(FRPD_GO_FRP)/frpc -c' $(BENCH)

# Whether the tree at hand is slower than the commit stored last on this machine.
bench-baseline:
	@$(PY) -m bench.gate --store $(BENCH)

bench-gate:
	@$(PY) -m bench.gate $(BENCH)

# Curves of time and memory, and where the time goes; options as for bench-tunnel.
scale cost:
	@test -x "$(FRPD_GO_FRP)/frps" || { echo "FRPD_GO_FRP names no folder with frps and frpc"; exit 2; }
	@$(PY) -m bench.$@ --impl 'frpd=.venv/bin/frps -c|.venv/bin/frpc -c' \
		--impl 'go=$(FRPD_GO_FRP)/frps -c|$(FRPD_GO_FRP)/frpc -c' $(BENCH)

# What docs/reliability.md tells of; options as for bench-tunnel: make soak BENCH='--hours 24'
crowd floods soak:
	@$(PY) -m bench.$@ $(BENCH)

# Renews requirements/*.txt, the libraries with their hashes, within the bounds of pyproject.toml.
lock:
	@tools/lock.sh

# The tree with its hot modules compiled (setup.py), in build/compiled; takes a C compiler and Python.h.
compiled:
	@rm -rf build/compiled && mkdir -p build/compiled && tools/copy-source.sh build/compiled
	@cd build/compiled && FRPD_COMPILE=1 $(abspath $(PY)) setup.py --quiet build_ext --inplace
	@echo "==> PYTHONPATH=$(CURDIR)/build/compiled in front of frps and frpc runs it"

# The whole suite on it. Not part of check: compiling takes minutes.
test-compiled: compiled
	@cd build/compiled && PYTHONPATH=$(CURDIR)/build/compiled \
		$(abspath $(PY)) -m pytest -q -n 2 --dist loadgroup $(TESTS)
