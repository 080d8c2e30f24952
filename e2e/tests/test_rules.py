# SPDX-License-Identifier: MIT
"""The rules that ntcompat enforces: drivers that break one each, and legal ones.

`ntcrules.sys` and `wdfrules.sys` run the case that the kernel command line names
(guest_driver/ntcompat/tests/rules). A few cases run always, all of them with
`-m rules`.
"""

import re
import time

import pytest

from vq7rig.errors import GuestCrash, RigError
from vq7rig.machine import Config
from vq7rig.paths import ROOT
from vq7rig.vm import VM

pytestmark = pytest.mark.needs("rules")

NAMES = {
    0x08: "IRQL_NOT_DISPATCH_LEVEL", 0x0A: "IRQL_NOT_LESS_OR_EQUAL",
    0x0F: "SPIN_LOCK_ALREADY_OWNED", 0x10: "SPIN_LOCK_NOT_OWNED", 0x18: "REFERENCE_BY_POINTER",
    0x19: "BAD_POOL_HEADER", 0x1E: "KMODE_EXCEPTION_NOT_HANDLED",
    0x20: "KERNEL_APC_PENDING_DURING_EXIT", 0x35: "NO_MORE_IRP_STACK_LOCATIONS",
    0x44: "MULTIPLE_IRP_COMPLETE_REQUESTS", 0x4E: "PFN_LIST_CORRUPT",
    0x50: "PAGE_FAULT_IN_NONPAGED_AREA", 0x7E: "SYSTEM_THREAD_EXCEPTION_NOT_HANDLED",
    0x7F: "UNEXPECTED_KERNEL_MODE_TRAP", 0x93: "INVALID_KERNEL_HANDLE",
    0xBE: "ATTEMPTED_WRITE_TO_READONLY_MEMORY", 0xC2: "BAD_POOL_CALLER",
    0xC4: "DRIVER_VERIFIER_DETECTED_VIOLATION", 0xC8: "IRQL_UNEXPECTED_VALUE",
    0xC9: "DRIVER_VERIFIER_IOMANAGER_VIOLATION",
    0xCE: "DRIVER_UNLOADED_WITHOUT_CANCELLING_PENDING_OPERATIONS",
    0xD1: "DRIVER_IRQL_NOT_LESS_OR_EQUAL", 0xDA: "SYSTEM_PTE_MISUSE",
    0xE1: "WORKER_THREAD_RETURNED_AT_BAD_IRQL", 0xE2: "MANUALLY_INITIATED_CRASH",
    0xE4: "WORKER_INVALID", 0xE6: "DRIVER_VERIFIER_DMA_VIOLATION",
    0xF7: "DRIVER_OVERRAN_STACK_BUFFER",
    0xFC: "ATTEMPTED_EXECUTE_OF_NOEXECUTE_MEMORY", 0x10D: "WDF_VIOLATION",
    0x133: "DPC_WATCHDOG_VIOLATION", 0x4000008A: "THREAD_TERMINATE_HELD_MUTEX",
    0xDEAD0001: "NTCOMPAT_UNIMPLEMENTED",
}

ACCESS_VIOLATION, DIVIDE, ILLEGAL = 0xC0000005, 0xC0000094, 0xC000001D

# name: bug check code, its parameter 1 (None: an address or not documented), a part
# of what is printed. 0 is parameter 1 where the rule has no number of Microsoft's.
NT = {
    "irql-wait": (0xC4, 0x3B, "a wait at DISPATCH_LEVEL"),
    "irql-delay": (0x0A, None, "KeDelayExecutionThread"),
    "irql-pageable-call": (0xC4, None, "ZwOpenKey"),
    "irql-set-event-high": (0x0A, None, "above DISPATCH_LEVEL"),
    "irql-raise-down": (0xC4, 0x30, "KfRaiseIrql to a lower IRQL"),
    "irql-lower-up": (0xC4, 0x31, "KeLowerIrql to a higher IRQL"),
    "irql-dpc-raises": (0x08, None, "DPC returned at another IRQL"),
    "irql-dpc-lowers": (0x08, None, "DPC returned at another IRQL"),
    "irql-dpc-waits": (0xC4, 0x3B, "a wait at DISPATCH_LEVEL"),
    "irql-driver-entry": (0xC8, 1 << 16 | 2, "DriverEntry returned"),
    "dpc-endless": (0x133, 0, "a DPC runs for too long"),
    "dpc-uninitialized": (0xC4, 0, "DPC object is not initialized"),
    "spin-recursive": (0x0F, None, "acquired again while held"),
    "spin-not-held": (0x10, None, "not held"),
    "spin-release-low": (0xC4, 0x32, "at the wrong IRQL"),
    "spin-at-dpc-level-low": (0xC4, 0x41, "below DISPATCH_LEVEL"),
    "spin-acquire-high": (0xC4, 0x40, "above the IRQL it raises to"),
    "spin-queued-other-handle": (0x10, None, "not held"),
    "spin-thread-exit": (0x0A, None, "thread returned above PASSIVE_LEVEL"),
    "mutex-not-owned": (0x1E, 0xC0000046, "does not own it"),
    "mutex-thread-exit": (0x4000008A, None, ""),
    "semaphore-limit": (0x1E, 0xC0000047, "above its limit"),
    "fast-mutex-recursive": (0xC4, 0x34, "holds already"),
    "fast-mutex-not-held": (0xC4, 0x35, "doesn't hold it"),
    "wait-uninitialized": (0xC4, 0x3B, "is not initialized"),
    "pool-overrun": (0x19, 0x21, "overrun"),
    "pool-overrun-large": (0x19, 0x21, "overrun"),
    "pool-underrun": (0x19, 0x20, "underrun"),
    "pool-beyond-pages": (0x50, None, ""),
    "pool-double-free": (0xC2, 0x07, "free already"),
    "pool-double-free-large": (0xC2, 0x07, "free already"),
    "pool-wrong-tag": (0xC2, 0x0A, "another tag"),
    "pool-free-inside": (0xC2, 0x46, "never allocated"),
    "pool-free-stack": (0xC2, 0x46, "never allocated"),
    "pool-use-after-free": (0x19, 0x03, "written after it had been freed"),
    "pool-use-after-free-large": (0x50, None, ""),
    "pool-leak": (0xC4, 0x62, "without freeing its pool"),
    "pool-leak-large": (0xC4, 0x62, "without freeing its pool"),
    "pool-zero-bytes": (0xC4, 0x00, "zero bytes"),
    "pool-paged-high": (0xC2, 0x08, "IRQL that is too high"),
    "pool-nonpaged-high": (0xC2, 0x08, "IRQL that is too high"),
    "mdl-free-locked": (0xC4, 0xB8, "freed while its pages are locked"),
    "mdl-lock-twice": (0xC4, 0xB0, "built already"),
    "mdl-unlock-twice": (0xC4, 0x7C, "not locked"),
    "mdl-unlock-nonpaged": (0xC4, 0x7D, "nonpaged pool"),
    "mdl-map-unlocked": (0xC4, 0xB3, "not locked"),
    "mdl-unmap-twice": (0xC4, 0xB6, "isn't mapped"),
    "mdl-free-locked-pool": (0x4E, 0x9A, "still locks"),
    "io-space-ram": (0xC4, 0x83, "RAM that isn't locked"),
    "io-space-other-size": (0xDA, 0x400, "another length"),
    "io-space-not-mapped": (0xDA, 0x400, "MmMapIoSpace didn't return"),
    "io-space-use-unmapped": (0x50, None, ""),
    "io-space-leak": (0xC4, 0x62, "I/O mappings"),
    "contiguous-free-twice": (0xC2, 0x60, "contiguous memory"),
    "object-over-dereference": (0x18, None, ""),
    "object-with-open-handle": (0x18, None, "while handles are open"),
    "object-not-one": (0x18, None, "no object"),
    "handle-leak": (0xC4, 0, "without closing its handles"),
    "handle-close-bad": (0x93, 0xFFFFFFFF80003FF0, "doesn't exist"),
    "handle-close-twice": (0x93, None, "doesn't exist"),
    "handle-reference-bad": (0xC4, 0x3C, "doesn't exist"),
    "thread-critical-exit": (0x20, 0, ""),
    "thread-critical-leave": (0xC4, 0, "without KeEnterCriticalRegion"),
    "irp-complete-twice": (0x44, None, ""),
    "irp-complete-pending": (0xC9, 0x06, "with STATUS_PENDING"),
    "irp-pending-not-marked": (0xC9, 0x23D, "not marked pending"),
    "irp-marked-not-pending": (0xC9, 0x23E, "STATUS_PENDING not returned"),
    "irp-other-status": (0xC9, 0x224, "not the one in the IRP"),
    "irp-forgotten": (0xC9, 0x226, "without completing its IRP"),
    "irp-no-stack": (0x35, None, ""),
    "irp-dispatch-raised": (0xC9, 0x05, "IRQL changed"),
    "irp-complete-high": (0xC9, 0x0E, "above DISPATCH_LEVEL"),
    "irp-complete-cancel-set": (0xC9, 0x07, "cancel routine is set"),
    "irp-free-in-flight": (0xC9, 0x20B, "while a driver has it"),
    "irp-free-twice": (0xC9, 0x01, "freed before"),
    "irp-leak": (0xC4, 0x62, "has not freed its IRPs"),
    "irp-send-freed": (0xC9, 0x03, "not an IRP"),
    "irp-send-high": (0xC9, 0x10, "above DISPATCH_LEVEL"),
    "irp-pnp-status": (0xC9, 0x20E, "must start as STATUS_NOT_SUPPORTED"),
    "device-left": (0xCE, None, "has not deleted its device objects"),
    "device-delete-twice": (0xC9, 0x240, "deleted twice"),
    "device-delete-attached": (0xC9, 0, "attached to it"),
    "device-delete-before-detach": (0xC9, 0x201, "before IoDetachDevice"),
    "device-detach-twice": (0xC9, 0x202, "nothing is attached"),
    "remove-lock-released-twice": (0xC4, 0, "more often than acquired"),
    "remove-lock-high": (0xC4, 0, "IRQL"),
    "work-item-twice": (0xE4, 0x1, "queued already"),
    "work-item-freed": (0xE4, 0x2, "freed that is queued"),
    "work-item-raises": (0xE1, None, "raised IRQL"),
    "work-item-ex-twice": (0xE4, 0x1, "queued already"),
    "fault-read-passive": (0x50, None, ""),
    "fault-write-passive": (0x50, None, ""),
    "fault-read-dispatch": (0xD1, None, ""),
    "fault-read-null": (0x7E, ACCESS_VIOLATION, ""),
    "fault-null-dispatch": (0xD1, 8, ""),
    "fault-copy-unmapped": (0x50, None, ""),
    "fault-non-canonical": (0x7E, ACCESS_VIOLATION, ""),
    "fault-write-code": (0xBE, None, ""),
    "fault-write-constant": (0xBE, None, ""),
    "fault-execute-data": (0xFC, None, ""),
    "fault-execute-pool": (0xFC, None, ""),
    "fault-call-null": (0x7E, ACCESS_VIOLATION, ""),
    "fault-divide": (0x7E, DIVIDE, ""),
    "fault-invalid-opcode": (0x7E, ILLEGAL, ""),
    "fault-breakpoint": (0x1E, 0x80000003, "DbgBreakPoint"),
    "fault-assert": (0xC4, 0, "assertion failed"),
    "fault-nt-assert": (0x7E, 0xC0000420, ""),
    "fault-fast-fail": (0xF7, 2, ""),
    "fault-recursion": (0x7F, 8, ""),
    "missing-import": (0xDEAD0001, None, "*** ExUuidCreate"),
    "bug-check": (0xE2, 1, ""),
}

# Parameter 1 as in Microsoft's wdfbugcodes.h.
WDF = {
    "not-implemented": (0x10D, 0x3, "WdfIoTargetCreate is not implemented"),
    "handle-wrong-type": (0x10D, 0x5, "is a WDFDRIVER, not a WDFSPINLOCK"),
    "handle-null": (0x10D, 0x4, "WdfSpinLockAcquire: the handle is NULL"),
    "handle-not-one": (0x10D, 0x5, "is no handle of an object"),
    "object-deleted-twice": (0x10D, 0x7, "deleted twice"),
    "object-used-deleted": (0x10D, 0x5, "is no handle of an object"),
    "object-over-dereference": (0x10D, 0x7, "dereferenced more often"),
    "object-delete-driver": (0x10D, 0x7, "deleted by the framework only"),
    "object-leak": (0x10D, 0x7, "leaves 2 objects or contexts behind"),
    "spin-high": (0x10D, 0xE, "WdfSpinLockAcquire called at IRQL 3"),
    "spin-recursive": (0x10D, 0x2, "held by this thread"),
    "spin-not-held": (0x10D, 0xB, "isn't held by this thread"),
    "wait-lock-high": (0x10D, 0xE, "WdfWaitLockAcquire called at IRQL 2"),
    "request-completed-twice": (0x10D, 0x6, "is completed already"),
    "request-used-completed": (0x10D, 0x5, "WdfRequestSetInformation"),
    "request-pending-status": (0x10D, 0x6, "completed with STATUS_PENDING"),
    "request-too-much-information": (0x10D, 0x6, "the buffer has 0 bytes"),
    "request-deleted": (0x10D, 0x7, "deleted by the framework only"),
    "request-cancelable": (0x10D, 0x6, "while marked cancelable"),
    "queue-stop-in-callback": (0x10D, 0xA, "called from a callback"),
}

# wdfrules.sys, called vq7test.sys, has a device; then the agent unloads it.
UNLOAD = {
    "unload-leak-object": (0x10D, 0x7, "leaves 2 objects or contexts behind"),
    "unload-leak-handle": (0xC4, 0, "without closing its handles"),
    "unload-leak-pool": (0xC4, 0x62, "without freeing its pool"),
    "unload-leak-adapter": (0xE6, 0x11, "a DMA adapter is not put back"),
    "unload-leak-buffer": (0xE6, 0x7, "common buffers are not freed"),
}

CONTROLS = {
    "ntcrules": ["control-irql", "control-locks", "control-pool", "control-memory",
                 "control-objects", "control-irps", "control-devices"],
    "wdfrules": ["control-statuses", "control-objects", "control-requests",
                 "control-queue-power"],
}

# What runs in every suite.
SHORT = {"irql-wait", "pool-overrun", "pool-leak", "io-space-leak", "irp-complete-twice",
         "fault-read-dispatch", "missing-import", "wdfrules-not-implemented",
         "wdfrules-request-completed-twice", "unload-leak-object", "unload-leak-buffer"}

# The fault is in the system's own memcpy; the driver is on the stack.
BLAMED = {"fault-copy-unmapped": "ntoskrnl.exe"}

WDF_VIOLATION = 0x10D

BOOT_TIMEOUT = 30.0         # with TCG on a loaded machine; dpc-endless needs 5 s more


def _cases(table, driver):
    for name, *expected in table:
        ident = f"{driver}-{name}" if driver == "wdfrules" else name
        marks = [pytest.mark.rules] + ([] if ident in SHORT else [pytest.mark.nightly])
        yield pytest.param(driver, name, *expected, id=ident, marks=marks)


BROKEN = [*_cases(((n, *e) for n, e in NT.items()), "ntcrules"),
          *_cases(((n, *e) for n, e in WDF.items()), "wdfrules")]
AT_UNLOAD = [*_cases(((n, *e) for n, e in UNLOAD.items()), "vq7test")]
# Those that need no device run one after the other, in one machine.
WITH_DEVICE = ("control-requests", "control-queue-power")
IN_ENTRY = {driver: [name for name in names if name not in WITH_DEVICE]
            for driver, names in CONTROLS.items()}


@pytest.fixture
def machine(pool, artefacts, tmp_path):
    """machine(driver, case): one that has been started and not yet booted."""
    made = []

    def make(driver, case):
        pool.release()                  # one machine at a time
        archive = pool.guest / ("guest_unload.cpio" if driver == "vq7test" else "guest_rules.cpio")
        if not archive.exists():
            raise RigError(f"{archive} is missing", "build the target rules_archive")
        guest = tmp_path / "guest"
        guest.mkdir()
        (guest / "ntcompat.elf").symlink_to(pool.guest / "ntcompat.elf")
        (guest / "guest.cpio").symlink_to(archive)
        # The INFs of the archive give each driver the block device of one flavour.
        config = Config(flavour="legacy" if driver == "wdfrules" else "modern",
                        settings=(f"{driver}.Case={case}",))
        made.append(VM(pool.host, config, guest, artefacts, disk_mib=1,
                       hello_timeout=BOOT_TIMEOUT))
        return made[-1].prepare().start()

    yield make
    for vm in made:
        vm.destroy()


def wait_for(vm, text):
    """Until the kernel's log has it."""
    deadline = time.monotonic() + 10
    while text not in vm.kernel_log() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert text in vm.kernel_log(), vm.kernel_log()


def check_stop(vm, driver, case, crash, expected):
    """The STOP code, its first parameter, its name, the rule, and the driver at fault."""
    code, first, text = expected
    screen, log = str(crash), vm.kernel_log()
    assert f": case {case} begins" in log
    assert crash.code == code
    stop = re.search(r"\*\*\* STOP: 0x([0-9A-F]{8}) \(0x([0-9A-F]{16}),.*\)\n(\w+)", screen)
    assert stop, screen
    if first is not None:
        assert int(stop[2], 16) == first
    assert stop[3] == NAMES[code]
    # WDFLDR.SYS says which rule it was in the kernel's log.
    assert text in (log if code == WDF_VIOLATION else screen)
    blamed = re.search(r"^\*\*\* (\S+) - Address ", screen, re.M)
    assert blamed and blamed[1] == BLAMED.get(case, f"{driver}.sys"), screen
    if case in BLAMED:
        assert f" {driver}.sys+0x" in screen.partition("STACK:")[2]


@pytest.mark.parametrize("driver, case, code, first, text", BROKEN)
def test_broken_rule_stops_the_guest(machine, driver, case, code, first, text):
    vm = machine(driver, case)
    with pytest.raises(GuestCrash) as crash:
        vm.boot()
    check_stop(vm, driver, case, crash.value, (code, first, text))


@pytest.mark.parametrize("driver, case, code, first, text", AT_UNLOAD)
def test_what_is_left_at_unload_stops_the_guest(machine, driver, case, code, first, text):
    """It is the agent that asks for the unload, and the driver that is blamed."""
    vm = machine(driver, case)
    vm.boot()
    with pytest.raises(GuestCrash) as crash:
        vm.console.command("driver unload")
    check_stop(vm, driver, case, crash.value, (code, first, text))


@pytest.mark.rules
@pytest.mark.parametrize("command", ["driver unload", pytest.param("poweroff",
                                                                   marks=pytest.mark.nightly)])
def test_a_held_request_is_announced(machine, command):
    """EvtIoStop comes for a request that the driver holds, when its device leaves D0. It gives
    it back to the queue, which cancels it at removal."""
    vm = machine("vq7test", "control-io-stop")
    vm.boot()
    wait_for(vm, "wdfrules: keeps its request")
    vm.console.command(command)
    wait_for(vm, "control: ok (control-io-stop): suspend")
    if command == "driver unload":
        wait_for(vm, "the request returned 0xc0000120")
        vm.console.command("info")


@pytest.mark.rules
@pytest.mark.parametrize("driver", CONTROLS)
def test_legal_driver_runs_to_its_end(machine, driver):
    """No rule is broken: each case ends well and the agent is reached."""
    vm = machine(driver, "controls")
    vm.boot()
    for case in IN_ENTRY[driver]:
        wait_for(vm, f"control: ok ({case})")


@pytest.mark.rules
@pytest.mark.parametrize("case", WITH_DEVICE)
def test_legal_driver_with_a_device_runs_to_its_end(machine, case):
    vm = machine("wdfrules", case)
    vm.boot()
    wait_for(vm, f"control: ok ({case})")


@pytest.mark.rules
def test_every_case_is_tested():
    """The tables here and those of the drivers have the same names."""
    folder = ROOT / "guest_driver/ntcompat/tests/rules"

    def names(pattern):
        text = "".join(path.read_text() for path in sorted(folder.glob(pattern)))
        return set(re.findall(r'\{"([a-z-]+)",', text))

    assert names("*.cpp") == NT.keys() | set(CONTROLS["ntcrules"])
    assert names("wdf/*.cpp") == WDF.keys() | UNLOAD.keys() | set(CONTROLS["wdfrules"]) | \
        {"control-io-stop"}
