# SPDX-License-Identifier: MIT
# The front door. `make help` lists the targets; CMake and the rig do the work.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
# Not beside the sources; without it pytest would compile all tests for each run of the rig.
export PYTHONPYCACHEPREFIX := $(CURDIR)/build/pycache
unexport PYTHONDONTWRITEBYTECODE
PYTHON := /usr/bin/python3
RIG := cd e2e && $(PYTHON) -m vq7rig
# Processes that share the tests; 1 for one after the other, as pytest's --pdb wants it.
JOBS := auto
# Below `make`, CMake's own output is only wanted when something fails.
QUIET := ci/quiet.sh

.PHONY: help e2e test guest guest-x64 guest-x86 unit coverage check format rig-test smoke clean \
	vm-modern vm-legacy vm-transitional kd windbg gdb guest-dwarf dump nightly nightly-e2e guest-coverage \
	coverage-e2e fuzz-e2e faults-e2e nightly-rig-test setup-build \
	setup-rig setup-check setup-gdb setup-kit setup-wine nt-kit guest-image hostile hostile-test bench bench-compare FORCE

help:
	@echo 'VQ7: virtio for Windows 7, and the rig that proves it'
	@echo
	@echo '  make e2e              the main job: build the guest, boot it in QEMU with legacy,'
	@echo '                        transitional and modern virtio devices, drive I/O, judge it'
	@echo '  make e2e GUEST=nt IMAGE=x.iso   the same on another NT: docs/guests.md'
	@echo '  make test             what CI runs: checks, unit tests, rig tests, an e2e smoke'
	@echo
	@echo '  make vm-modern        boot one machine and talk to the guest (quit with Ctrl-])'
	@echo '  make vm-legacy        the same with a legacy-only device'
	@echo '  make vm-transitional  the same with a transitional device'
	@echo '  make vm-win7          the same with Windows 7: IMAGE=win7.qcow2; vm-nt: another NT'
	@echo
	@echo '  make kd               debug a machine at a prompt with the commands of WinDbg'
	@echo '  make e2e E2E_ARGS=--debugger   keeps the machine of the first failure for a debugger'
	@echo '  make dump             dump the memory of the machine that another terminal has'
	@echo '  make windbg           boot a machine for WinDbg, and say what to type there'
	@echo '  make gdb              debug a machine with gdb, or a crash: CORE=core.elf'
	@echo
	@echo '  make guest            the driver, the agent and ntcompat: build/guest/x64, x86'
	@echo '  make nt-kit           what a Windows 7 or another NT needs: build/nt-kit, nt-kit.iso'
	@echo '  make win7-image       Windows 7, unattended: ISO=win7.iso OUT=win7.qcow2'
	@echo '  make unit             unit tests of the library and the agent on the host'
	@echo '  make coverage         line and branch coverage of lib/, held against a floor'
	@echo '  make coverage-e2e     the lines of driver and library that the e2e tests execute'
	@echo '  make check            formatting and lint;  make format  formats'
	@echo '  make bench            the library beside the floor: ns a buffer, ratio, row by row'
	@echo '  make bench-compare    the ratios against those of the first `make bench`, or of BASE=rev'
	@echo '  make nightly          the long run: e2e, sanitizers, stress, fuzzing, mutation testing'
	@echo '  make fuzz-e2e         a hostile device at random, for SECONDS=60, of SEED=n'
	@echo '  make faults-e2e       faults of host and operator at random, likewise'
	@echo '  make clean            removes build/'
	@echo
	@echo 'Options: E2E_ARGS="-k reset"  passes arguments to the rig (as --qemu, --connect) and to'
	@echo 'pytest;  JOBS=1  runs the tests one after the other, else each CPU has a share;'
	@echo 'VQ7_NO_SETUP=1  installs nothing;  MACHINE=q35 OPTIONS="cpus=2 page-per-vq=on"  for vm-*,'
	@echo 'kd, gdb and windbg, which take FLAVOUR=legacy or CELL=q35-legacy, and WAIT=1, too.'
	@echo 'Missing Debian packages are installed first.'

setup-build setup-rig setup-check setup-gdb setup-kit setup-wine: setup-%:
	@[ -n "$(VQ7_NO_SETUP)" ] || ci/setup.sh $*

# ---- guest -------------------------------------------------------------------

guest: guest-x64 guest-x86

guest-x64 guest-x86: guest-%: setup-build
	@$(QUIET) guest-$* cmake -S guest_driver -B build/guest/$*/obj -G Ninja \
		-DCMAKE_TOOLCHAIN_FILE="$(CURDIR)/guest_driver/cmake/$*.cmake" \
		-DCMAKE_BUILD_TYPE=None -DVQ7_OUT="$(CURDIR)/build/guest/$*"
	@$(QUIET) guest-$* cmake --build build/guest/$*/obj

# PFX=own.pfx: signed by your own certificate; the variable VQ7_PFX_PASSWORD has its password.
nt-kit: setup-kit guest
	@$(PYTHON) -B guest_driver/package/nt_kit.py --guest build/guest --out build \
		$(if $(PFX),--pfx $(PFX))

# ISO=win7.iso OUT=win7.qcow2 [EDITION=Professional] [KEY=...] [ARCH=x86] [VERIFIER=1]
from_here = "$(if $(filter /%,$(1)),,$(CURDIR)/)$(1)"

.PHONY: win7-image
win7-image: setup-rig setup-kit
	@[ -n "$(ISO)" ] && [ -n "$(OUT)" ] || { \
		echo "win7-image: ISO= and OUT= are wanted: make win7-image ISO=win7.iso OUT=win7.qcow2" >&2; exit 2; }
	@$(RIG) win7-image --look --iso $(call from_here,$(ISO))
	@[ -e build/nt-kit/vq7.cer ] || $(MAKE) --no-print-directory nt-kit
	@$(RIG) win7-image --iso $(call from_here,$(ISO)) --out $(call from_here,$(OUT)) \
		$(if $(EDITION),--edition "$(EDITION)") $(if $(KEY),--key "$(KEY)") \
		$(if $(ARCH),--arch $(ARCH)) $(if $(VERIFIER),--verifier)

# The same images of ntcompat and the driver with DWARF, which gdb reads; nobody boots them.
DWARF := build/guest/x64/dwarf

guest-dwarf: setup-build
	@$(QUIET) guest-dwarf cmake -S guest_driver -B $(DWARF)/obj -G Ninja \
		-DCMAKE_TOOLCHAIN_FILE="$(CURDIR)/guest_driver/cmake/x64.cmake" \
		-DCMAKE_BUILD_TYPE=None -DVQ7_DWARF=ON -DVQ7_OUT="$(CURDIR)/$(DWARF)"
	@$(QUIET) guest-dwarf cmake --build $(DWARF)/obj --target guest_images

# ---- the vhost-user back end, and its own tests ----------------------------------

hostile: setup-build
	@$(QUIET) hostile cmake -S e2e/hostile -B build/hostile/obj -G Ninja \
		-DVQ7_OUT="$(CURDIR)/build/hostile"
	@$(QUIET) hostile cmake --build build/hostile/obj --target vq7-hostile

hostile-test: hostile
	@$(QUIET) hostile-test cmake --build build/hostile/obj
	@ctest --test-dir build/hostile/obj --output-on-failure

# ---- host tests ----------------------------------------------------------------

# The driver's tests, most of what there is to compile, by the compiler of the guest, which takes
# half of gcc's time for them.
unit: setup-build setup-rig
	@$(QUIET) unit cmake -S . -B build/unit -G Ninja -DVQ7_UNIT_PARTS=library
	@$(QUIET) unit cmake --build build/unit
	@$(QUIET) unit-driver cmake -S . -B build/unit-driver -G Ninja -DVQ7_UNIT_PARTS=driver \
		-DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++
	@$(QUIET) unit-driver cmake --build build/unit-driver
	@ctest --test-dir build/unit --output-on-failure -j2
	@ctest --test-dir build/unit-driver --output-on-failure -j2

coverage: setup-build setup-check
	@ci/coverage.sh

# ---- speed ---------------------------------------------------------------------

BENCH_BASELINE := build/bench/baseline.json

build/bench/virtqueue_split_bench: setup-build FORCE
	@$(QUIET) bench cmake -S unit/bench -B build/bench -G Ninja
	@$(QUIET) bench cmake --build build/bench

bench: build/bench/virtqueue_split_bench
	@$(PYTHON) unit/bench/bench.py run $< --save build/bench/latest.json
	@[ -e $(BENCH_BASELINE) ] || cp build/bench/latest.json $(BENCH_BASELINE)

# BASE=<git revision>: the library of then, measured by the benchmark of now.
bench-compare: build/bench/virtqueue_split_bench
ifdef BASE
	@rm -rf build/bench/base && mkdir -p build/bench/base
	@git archive $(BASE) lib | tar -x -C build/bench/base
	@$(QUIET) bench-base cmake -S unit/bench -B build/bench/base/obj -G Ninja \
		-DVQ7_LIB=$(CURDIR)/build/bench/base/lib
	@$(QUIET) bench-base cmake --build build/bench/base/obj
	@$(PYTHON) unit/bench/bench.py run build/bench/base/obj/virtqueue_split_bench \
		--save build/bench/base/baseline.json
	@$(PYTHON) unit/bench/bench.py compare $< --baseline build/bench/base/baseline.json
else
	@$(PYTHON) unit/bench/bench.py compare $< --baseline $(BENCH_BASELINE)
endif

FORCE:

check: setup-check
	@ci/check.sh

format: setup-check
	@ci/check.sh --fix

rig-test: setup-rig setup-kit hostile
	@cd e2e && $(PYTHON) -m pytest -q -n $(JOBS) --dist loadgroup rig_tests

# ---- end to end ----------------------------------------------------------------

# GUEST=nt IMAGE=x.iso ARCH=x86 LACKS="poweroff": another guest than ntcompat, docs/guests.md.
SYSTEM = $(if $(GUEST),--system $(GUEST)) \
	$(if $(IMAGE),--image "$(if $(filter /%,$(IMAGE)),,$(CURDIR)/)$(IMAGE)") \
	$(if $(ARCH),--arch $(ARCH)) $(if $(LACKS),--lacks "$(LACKS)") \
	$(if $(filter no,$(UPDATE)),--no-update)

# What is missing of another guest is said before anything is built. UPDATE=no: Windows 7 keeps the
# driver that is in its image; else it gets this build's.
NEEDED = $(if $(filter-out ntcompat,$(GUEST)),guest-image $(RENEWED),guest)
RENEWED = $(if $(filter win7,$(GUEST)),$(if $(filter no,$(UPDATE)),,nt-kit))

guest-image: setup-rig
	@$(RIG) guest $(SYSTEM)

e2e: setup-rig $(NEEDED) hostile
	@$(RIG) run --jobs $(JOBS) $(SYSTEM) $(E2E_ARGS)

smoke: setup-rig $(NEEDED) hostile
	@$(RIG) run --jobs $(JOBS) -m "smoke and not nightly" $(SYSTEM) $(E2E_ARGS)

# Other people's guests: where they can't be had, it says so, and their tests are skipped.
nightly-e2e: setup-rig setup-gdb guest guest-dwarf hostile
	@[ -n "$(VQ7_NO_SETUP)" ] || ci/other_guests.sh build/other-guests || true
	@$(RIG) run --jobs $(JOBS) -m "nightly or not nightly" $(E2E_ARGS)

# The driver with clang's counters, the long set with it, and which lines that has executed.
# Tests of debuggers and of rules that other drivers break say nothing of this one.
COVERED := build/coverage/guest
COVERAGE_LEFT_OUT := test_kd or test_gdb or test_dump or test_debugging or test_rules
# Of the long set those that reach what the others don't: all of it takes an hour and adds nothing.
COVERAGE_LONG := test_liar or test_low_memory or test_timeouts or test_devices_odd or \
	test_config_events or test_parameters or test_hotplug or (test_hostile and pc-modern)

guest-coverage: setup-build
	@$(QUIET) guest-coverage cmake -S guest_driver -B $(COVERED)/obj -G Ninja \
		-DCMAKE_TOOLCHAIN_FILE="$(CURDIR)/guest_driver/cmake/x64.cmake" \
		-DCMAKE_BUILD_TYPE=None -DVQ7_COVERAGE=ON -DVQ7_OUT="$(CURDIR)/$(COVERED)"
	@$(QUIET) guest-coverage cmake --build $(COVERED)/obj --target guest_archive library_archive ntcompat_loader

coverage-e2e: setup-rig guest-coverage hostile
	@failed=0; \
	($(RIG) run --jobs $(JOBS) --guest "$(CURDIR)/$(COVERED)" \
		--results "$(CURDIR)/build/coverage/results" -k "not ($(COVERAGE_LEFT_OUT))" \
		$(E2E_ARGS)) || failed=$$?; \
	rm -rf build/coverage/results-long; \
	$(if $(E2E_ARGS),,($(RIG) run --jobs $(JOBS) --guest "$(CURDIR)/$(COVERED)" \
		--results "$(CURDIR)/build/coverage/results-long" -m nightly \
		-k "($(COVERAGE_LONG)) and not ($(COVERAGE_LEFT_OUT))") || failed=$$?;) \
	$(RIG) coverage && exit $$failed

# STEP=n: that step of the seed alone, as a finding says it.
fuzz-e2e: setup-rig guest-x64 hostile
	@$(RIG) fuzz $(SECONDS:%=--seconds %) $(SEED:%=--seed %) $(STEP:%=--step %) $(E2E_ARGS)

faults-e2e: setup-rig guest-x64
	@$(RIG) faults $(SECONDS:%=--seconds %) $(SEED:%=--seed %) $(STEP:%=--step %) $(E2E_ARGS)

# Where no 32-bit Wine can be had, it says so, and its tests are skipped.
nightly-rig-test: setup-rig setup-kit setup-wine guest
	@[ -n "$(VQ7_NO_SETUP)" ] || ci/wine32.sh build/wine32 || true
	@cd e2e && $(PYTHON) -m pytest -q rig_tests -m nightly

nightly: setup-build setup-rig setup-check
	@ci/nightly.sh

vm-modern vm-legacy vm-transitional: vm-%: setup-rig $(if $(filter-out ntcompat,$(GUEST)),$(RENEWED),guest-x64)
	@$(RIG) vm $* $(SYSTEM) $(if $(MACHINE),--machine $(MACHINE)) $(OPTIONS:%=--option %)

# FLAVOUR=legacy, MACHINE=q35, or both as a cell of the report's table, CELL=q35-legacy;
# OPTIONS="cpus=2"; WAIT=1: stop before drivers are loaded.
ifneq ($(CELL),)
MACHINE = $(firstword $(subst -, ,$(CELL)))
FLAVOUR = $(patsubst $(MACHINE)-%,%,$(CELL))
endif
DEBUGGED = $(or $(FLAVOUR),modern) $(if $(MACHINE),--machine $(MACHINE)) \
	$(OPTIONS:%=--option %) $(if $(WAIT),--wait)

# ATTACH=127.0.0.1:4440: a machine that runs already, the socket that `make windbg` names.
# DUMP=memory.dmp: a dump, as the folder of a test that crashed has it.
kd: setup-rig guest-x64
	@$(RIG) kd $(if $(DUMP),--dump $(abspath $(DUMP)),$(if $(ATTACH),--attach $(ATTACH),$(DEBUGGED)))

# Of the machine that vm-*, kd or windbg has in another terminal.
dump:
	@$(RIG) dump

# CORE=core.elf: of a crash, as the folder of a test that crashed has it.
gdb: setup-rig setup-gdb guest-x64 guest-dwarf
	@$(RIG) gdb $(if $(CORE),--core $(abspath $(CORE)),$(DEBUGGED))

windbg: setup-rig $(if $(filter-out ntcompat,$(GUEST)),guest-image $(RENEWED),guest-x64)
	@$(RIG) windbg $(SYSTEM) $(DEBUGGED) $(if $(LISTEN),--listen $(LISTEN))

# Another guest by name: IMAGE=, and FLAVOUR=legacy for another device than a modern one.
vm-win7 vm-nt: vm-%:
	@$(MAKE) --no-print-directory vm-$(or $(FLAVOUR),modern) GUEST=$*

# Any other flavour: the rig names those it knows.
vm-%:
	@$(RIG) vm $*

# One after the other: a failure shows its own output last.
test:
	@$(MAKE) --no-print-directory check
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory coverage
	@$(MAKE) --no-print-directory guest
	@$(MAKE) --no-print-directory hostile-test
	@$(MAKE) --no-print-directory rig-test
	@$(MAKE) --no-print-directory smoke

clean:
	rm -rf build
