# SPDX-License-Identifier: MIT
"""Devices that lie in their registers, where QEMU's front end stands before any back end of
ours: capabilities, BARs, status, queues, features, ISR, configuration. The guest's kernel
changes what the driver reads (`lie add`); the driver is the real one.

Each lie is told from the start of the driver on. Whatever comes of it, there is no bug check
and no hang, and with the truth told again the driver starts and serves.
"""

import dataclasses

import pytest

from vq7rig.errors import CommandError
from vq7rig.registers import Device, devices
from vq7rig.workload import Workload

pytestmark = pytest.mark.needs("faults", "unload", "kernel log")

# Expected outcomes
REFUSED = "refused"     # the device isn't started, and the log has the words
WORKS = "works"         # it is, and serves
POLLED = "polled"       # it serves, without its interrupts
EITHER = "either"       # as the moment has it
COMMON, NOTIFY, ISR, DEVICE = 1, 2, 3, 4        # cfg_type (Virtio 1.2, 4.1.4)
ALWAYS = 0
SELF = "self"           # a value: where the capability itself is


@dataclasses.dataclass(frozen=True)
class Lie:
    """`place`: a structure's cfg_type; "capability", and that or "msix"; "config"; "legacy"."""

    name: str
    place: object
    at: int
    width: int
    value: object
    outcome: str
    said: str = ""          # in the kernel's log
    op: str = "set"
    skip: int = 0
    times: int = ALWAYS
    more: tuple = ()        # further (at, width, value) of the same place


def start(status):
    """What the log has of a device that can't be started."""
    return f"cannot start 00:04.0 (block device), status {status}"


def prepare(status):
    """And of one whose registers can't be found."""
    return f"cannot prepare 00:04.0, status {status}"


# Statuses by which library and driver say what is wrong.
NOT_THERE, UNSUPPORTED, WRONG = "0xc0000225", "0xc00000bb", "0xc0000182"
RESTLESS, NO_VECTOR = "0xc000009c", "0xc000009a"
BUSY, TOO_SHORT, CHANGED = "0x80000011", "0x80000005", "0xc000000d"


def modern():
    """The modern interface: common configuration (4.1.4.3), ISR status, the disk's own."""
    return [
        Lie("status-never-0", COMMON, 20, 1, 0x0F, REFUSED, "does not reset, status 0xc00000b5",
            "or"),
        Lie("status-0-after-900-ms", COMMON, 20, 1, 0x0F, WORKS, op="or", times=88),
        Lie("status-all-ones", COMMON, 20, 1, 0xFF, REFUSED, "does not reset, status 0xc00000c0"),
        Lie("features-ok-refused", COMMON, 20, 1, 0xF7, REFUSED, start(UNSUPPORTED), "and"),
        Lie("no-queues", COMMON, 18, 2, 0, REFUSED, start(NOT_THERE)),
        Lie("65535-queues", COMMON, 18, 2, 0xFFFF, WORKS),
        Lie("queue-size-0", COMMON, 24, 2, 0, REFUSED, start(NOT_THERE)),
        Lie("queue-size-1", COMMON, 24, 2, 1, REFUSED, start(WRONG)),
        Lie("queue-size-3", COMMON, 24, 2, 3, REFUSED, start(WRONG)),
        Lie("queue-size-65535", COMMON, 24, 2, 0xFFFF, REFUSED, start(WRONG)),
        Lie("queue-size-changes", COMMON, 24, 2, 0x40, REFUSED, start(CHANGED), skip=1),
        Lie("queue-size-is-not-taken", COMMON, 24, 2, 0x40, REFUSED, start(WRONG), skip=2),
        Lie("queue-enabled-already", COMMON, 28, 2, 1, REFUSED, start(BUSY)),
        Lie("config-vector-refused", COMMON, 16, 2, 0xFFFF, REFUSED, start(NO_VECTOR)),
        Lie("queue-vector-refused", COMMON, 26, 2, 0xFFFF, REFUSED, start(NO_VECTOR)),
        Lie("notify-offset", COMMON, 30, 2, 0xFFFF, REFUSED, start(WRONG)),
        Lie("features-change-between-reads", COMMON, 4, 4, 0x10000000, WORKS, op="xor", times=1),
        Lie("no-version-1", COMMON, 4, 4, 1, REFUSED, start(UNSUPPORTED), "xor", skip=1, times=1),
        Lie("generation-never-still", COMMON, 21, 1, 1, REFUSED, start(RESTLESS), "count"),
        Lie("generation-moves-thrice", COMMON, 21, 1, 1, WORKS, op="count", times=3),
        Lie("capacity-all-ones", DEVICE, 0, 4, 0xFFFFFFFF, WORKS,
            more=((4, 4, 0xFFFFFFFF),)),
        Lie("capacity-0", DEVICE, 0, 4, 0, WORKS),
        Lie("block-size-0", DEVICE, 20, 4, 0, REFUSED, start(WRONG)),
        Lie("block-size-3", DEVICE, 20, 4, 3, REFUSED, start(WRONG)),
        Lie("block-size-520", DEVICE, 20, 4, 520, REFUSED, start(WRONG)),
        Lie("block-size-1-gib", DEVICE, 20, 4, 1 << 30, REFUSED, start(WRONG)),
        Lie("seg-max-0", DEVICE, 12, 4, 0, WORKS),
    ]


def capabilities():
    """The list, and what leads to the registers (4.1.4)."""
    return [
        Lie("no-list", "config", 0x06, 2, 0xFFEF, REFUSED, prepare(NOT_THERE), "and"),
        Lie("empty-list", "config", 0x34, 1, 0, REFUSED, prepare(NOT_THERE)),
        Lie("list-in-the-header", "config", 0x34, 1, 0x10, REFUSED, prepare(WRONG)),
        Lie("list-at-its-end", "config", 0x34, 1, 0xFC, REFUSED, prepare(NOT_THERE)),
        Lie("another-vendor", "config", 0x00, 2, 0xFFFF, REFUSED, prepare(UNSUPPORTED)),
        Lie("another-id", "config", 0x02, 2, 0x1080, REFUSED, prepare(UNSUPPORTED)),
        Lie("bars-at-0", "config", 0x20, 4, 0, REFUSED, prepare(NOT_THERE),
            more=((0x24, 4, 0),)),
        Lie("loop", ("capability", COMMON), 1, 1, SELF, REFUSED, prepare(WRONG)),
        Lie("short-capability", ("capability", COMMON), 2, 1, 8, REFUSED, prepare(WRONG)),
        Lie("no-room-for-a-multiplier", ("capability", NOTIFY), 2, 1, 16, REFUSED, prepare(WRONG)),
        Lie("beyond-the-space", ("capability", COMMON), 2, 1, 0xFF, REFUSED, prepare(WRONG)),
        Lie("another-type", ("capability", COMMON), 3, 1, 9, REFUSED, prepare(NOT_THERE)),
        Lie("reserved-bar", ("capability", COMMON), 4, 1, 7, REFUSED, prepare(NOT_THERE)),
        Lie("bar-that-is-not-there", ("capability", COMMON), 4, 1, 2, REFUSED,
            prepare(NOT_THERE)),
        Lie("behind-the-bar", ("capability", COMMON), 8, 4, 0xFFFFF000, REFUSED, prepare(WRONG)),
        Lie("misaligned", ("capability", COMMON), 8, 4, 2, REFUSED, prepare(WRONG)),
        Lie("too-short", ("capability", COMMON), 12, 4, 16, REFUSED, prepare(WRONG)),
        Lie("too-long", ("capability", COMMON), 12, 4, 0xFFFFFFFF, REFUSED, prepare(WRONG)),
        Lie("no-notify-region", ("capability", NOTIFY), 12, 4, 0, REFUSED, prepare(WRONG)),
        Lie("odd-multiplier", ("capability", NOTIFY), 16, 4, 3, REFUSED, prepare(WRONG)),
        Lie("isr-outside", ("capability", ISR), 8, 4, 0x7FFFFFFF, REFUSED, prepare(WRONG)),
        Lie("configuration-of-4-bytes", ("capability", DEVICE), 12, 4, 4, REFUSED,
            start(TOO_SHORT)),
        Lie("msix-is-off", ("capability", "msix"), 2, 2, 0x7FFF, REFUSED, start(WRONG), "and"),
        Lie("command-register-all-ones", "config", 0x04, 2, 0xFFFF, REFUSED,
            "bus mastering cannot be switched on"),
        Lie("no-configuration", ("capability", DEVICE), 3, 1, 9, REFUSED, start(TOO_SHORT)),
    ]


def legacy():
    """The legacy interface, in ports (4.1.4.10; with MSI-X)."""
    return [
        Lie("status-never-0", "legacy", 18, 1, 0x07, REFUSED, "does not reset, status 0xc00000b5",
            "or"),
        Lie("status-0-after-900-ms", "legacy", 18, 1, 0x07, WORKS, op="or", times=88),
        Lie("status-all-ones", "legacy", 18, 1, 0xFF, REFUSED,
            "does not reset, status 0xc00000c0"),
        Lie("queue-size-0", "legacy", 12, 2, 0, REFUSED, start(NOT_THERE)),
        Lie("queue-size-3", "legacy", 12, 2, 3, REFUSED, start(WRONG)),
        Lie("queue-size-65535", "legacy", 12, 2, 0xFFFF, REFUSED, start(WRONG)),
        # After 64 readings that count the queues, and the one by which it was chosen.
        Lie("queue-size-changes", "legacy", 12, 2, 512, REFUSED, start(CHANGED), skip=65),
        Lie("queue-set-up-already", "legacy", 8, 4, 1, REFUSED, start(BUSY)),
        Lie("config-vector-refused", "legacy", 20, 2, 0xFFFF, REFUSED, start(NO_VECTOR)),
        Lie("queue-vector-refused", "legacy", 22, 2, 0xFFFF, REFUSED, start(NO_VECTOR)),
        Lie("features-change-between-reads", "legacy", 0, 4, 0x10000000, WORKS, op="xor",
            times=1),
        Lie("capacity-never-still", "legacy", 24, 4, 1, REFUSED, start(RESTLESS), "count"),
        Lie("capacity-0", "legacy", 24, 4, 0, WORKS),
        Lie("block-size-3", "legacy", 24 + 20, 4, 3, REFUSED, start(WRONG)),
        Lie("bar-at-0", "config", 0x10, 4, 1, REFUSED, prepare(NOT_THERE)),
        Lie("revision-1", "config", 0x08, 1, 1, REFUSED, prepare(NOT_THERE)),
    ]


def interrupts(place, at):
    """The ISR status of a line: nobody's, gone, always of the configuration as well."""
    return [
        Lie("isr-0", place, at, 1, 0, POLLED),
        Lie("isr-all-ones", place, at, 1, 0xFF, POLLED),
        Lie("isr-config", place, at, 1, 2, WORKS, op="or"),
    ]


def anywhen(place, at, reads):
    """DEVICE_NEEDS_RESET (2.1.2) in each reading of the status in turn."""
    return [Lie(f"needs-reset-in-reading-{n}", place, at, 1, 0x40, EITHER, op="or", skip=n,
                times=1) for n in range(reads)]


class Liar:
    """The first disk of a machine, whose driver is unloaded between lies."""

    def __init__(self, vm):
        self.vm = vm
        self.slot = devices(vm)[0][1]
        device = Device(vm, devices(vm)[0])
        with device.open():
            self.structures = device.structures()
        self.generation = 0

    def _words(self, lie, at, width, value):
        space = "config"
        if isinstance(lie.place, tuple):
            capability = self.structures[lie.place[1]][0]
            value = capability if value == SELF else value
            at += capability
        elif lie.place == "legacy":
            space = "bar0"
        elif lie.place != "config":
            _, bar, offset = self.structures[lie.place]
            space, at = f"bar{bar}", at + offset
        return (f"lie add slot={self.slot} space={space} at={at} width={width} op={lie.op} "
                f"value={value} skip={lie.skip} times={lie.times}")

    def tell(self, lie):
        for at, width, value in ((lie.at, lie.width, lie.value), *lie.more):
            self.vm.console.command(self._words(lie, at, width, value))

    def told(self):
        return all(" hits=0" not in line for line in self.vm.console.command("lie list").lines)

    def write(self):
        self.generation += 1
        self.vm.console.command(f"blk write 0 8 seed=9 gen={self.generation}")
        self.vm.expected.wrote(0, 8, 9, self.generation)
        self.vm.console.command(f"blk verify 0 8 seed=9 gen={self.generation}")

    def serves(self):
        """All that is so while the lie is told."""
        self.write()
        assert "state=running" in self.vm.console.command("devices").lines[0]
        # Memory that the device can take as it lies isn't copied.
        assert self.vm.console.command("stats").num("bounced") == 0

    def serves_polled(self):
        self.vm.console.command("stats clear")
        self.vm.console.command("device timeout ms=400")
        self.write()
        stats = self.vm.console.command("stats")
        assert stats.num("lost_interrupts") > 0 and stats.num("interrupts_not_ours") > 0

    def try_something(self):
        """Whether it serves or not, it says so."""
        try:
            self.write()
        except CommandError as failed:
            assert failed.name in ("STATUS_DEVICE_NOT_READY", "STATUS_DEVICE_PROTOCOL_ERROR")
            self.generation -= 1

    def check(self, lie):
        console = self.vm.console
        start = len(self.vm.kernel_log())
        console.command("driver unload")
        self.tell(lie)
        answer = console.command("driver load", check=False)    # fails where no device starts
        count = answer.num("devices") if answer.ok else 0
        if lie.outcome == REFUSED:
            assert count == 0, f"{lie.name}: the device was started"
            assert lie.said in self.vm.kernel_log()[start:], lie.name
        elif lie.outcome != EITHER:
            assert count == 1, f"{lie.name}: the device was not started"
        if count:
            {WORKS: self.serves, POLLED: self.serves_polled, EITHER: self.try_something}[
                lie.outcome]()
        assert self.told(), f"{lie.name}: the driver did not hear of it"
        console.command("lie clear")
        if count:
            console.command("driver unload")
        assert console.command("driver load").num("devices") == 1, lie.name

    def done(self):
        load = Workload(ops=60, depth=8, seed=91, start=64, span=4096)
        assert self.vm.console.command(load.command()).num("errors") == 0
        self.vm.console.command("blk flush")
        self.vm.expected.ran(load)
        self.vm.expected.check()


def check_all(vm, lies):
    liar = Liar(vm)
    for lie in lies:
        liar.check(lie)
    liar.done()


@pytest.mark.on("one")
def test_some_registers_lie(vm):
    """One of each kind; the whole table is for the night."""
    table = {lie.name: lie for lie in modern() + capabilities()}
    check_all(vm, [table[name] for name in ("features-ok-refused", "queue-size-3", "loop")])


def each(lies):
    """A test a lie, so that one can be told alone."""
    return pytest.mark.parametrize("lie", lies, ids=[lie.name for lie in lies])


@pytest.mark.nightly
@pytest.mark.on("one")
@each(modern() + anywhen(COMMON, 20, 8))
def test_modern_registers_lie(vm, lie):
    check_all(vm, [lie])


@pytest.mark.nightly
@pytest.mark.on("one")
@each(capabilities())
def test_capabilities_lie(vm, lie):
    check_all(vm, [lie])


@pytest.mark.nightly
@pytest.mark.on("legacy")
@each(legacy() + anywhen("legacy", 18, 6))
def test_legacy_registers_lie(vm, lie):
    check_all(vm, [lie])


INTERRUPT_STATUS = {("modern", "line"): interrupts(ISR, 0),
                    ("legacy", "line"): interrupts("legacy", 19)}


@pytest.mark.nightly
@pytest.mark.on("interrupts_of_pc")
@pytest.mark.parametrize("number", range(3), ids=[lie.name for lie in interrupts(ISR, 0)])
def test_interrupt_status_lies(vm, config, number):
    """Of a line. With messages nobody reads it."""
    lies = INTERRUPT_STATUS.get((config.flavour, config.interrupt))
    if lies:
        check_all(vm, [lies[number]])
