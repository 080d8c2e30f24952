# SPDX-License-Identifier: MIT
"""Faults of a host and of its operator, each a function that does it to a machine under load.

A fault is undone when its function returns, but for those of LAST: after these the machine
has started again, or its disk isn't the one it was started with.
"""

import os
import random
import signal
import time
from dataclasses import dataclass
from typing import Callable

from .blkdebug import EIO, ENOSPC, bad_sectors, stopped_by_error
from .errors import Lacking, RigError
from .hotplug import Plug, wait_devices
from .migration import migrate
from .moving import save_and_restore
from .pressure import page_out

SPAN = 2048             # sectors that the loads work on
ROOM = 16384            # sectors of the disk
BAD = 3                 # sectors that are bad at a time
FULL_EVERY = 64         # sectors between those for which there is no room
LATE_MS, LATE_TRIES = 400, 16   # the driver's time-out where a late device is wanted

FAILED = "STATUS_IO_DEVICE_ERROR"
# After a device was pulled; the second from a driver that has closed its queues already.
PULLED = {"STATUS_DEVICE_REMOVED", "STATUS_INVALID_DEVICE_STATE", "STATUS_CANCELLED"}


@dataclass(frozen=True)
class Kind:
    """`values`: of each word of a rule, what it may be. `names`: what requests may fail with."""
    do: Callable
    values: dict
    names: frozenset = frozenset()


def pause(course, ms):
    with course.vm.console.standing_still():
        course.vm.dom.suspend()
        time.sleep(ms / 1000)
        course.vm.resume()


def move(course):
    save_and_restore(course.vm)


def hop(course):
    """Into a second QEMU on the same host."""
    migrate(course.vm)


def slow(course, iops, ms):
    """So many operations a second."""
    course.vm.host.limit_disk(course.vm.dom, "vda", iops)
    time.sleep(ms / 1000)
    course.vm.host.limit_disk(course.vm.dom, "vda", 0)


def bad_reads(course, seed, ms):
    _bad(course, "read", seed, ms)


def bad_writes(course, seed, ms):
    _bad(course, "write", seed, ms)


def _bad(course, kind, seed, ms):
    sectors = random.Random(seed).sample(range(SPAN), BAD)
    course.bad |= {(kind, sector) for sector in sectors}
    with course.failing(), bad_sectors(course.vm, *((each, kind) for each in sectors), errno=EIO):
        time.sleep(ms / 1000)


def full(course, ms):
    """QEMU stops the machine for want of space, and somebody lets it go on, again and again."""
    rules = [(sector, "write") for sector in range(0, SPAN, FULL_EVERY)]
    until = time.monotonic() + ms / 1000
    with bad_sectors(course.vm, *rules, errno=ENOSPC, once=True):
        while time.monotonic() < until:
            _go_on(course)
            time.sleep(0.02)
        _go_on(course)
    time.sleep(0.1)         # for one that was on its way
    _go_on(course)


def _go_on(course):
    if stopped_by_error(course.vm):
        course.count("stops for want of space")
        course.vm.resume()


def resize(course, more, ms):
    """More room, and the old size again: the device tells both to the driver."""
    dom = course.vm.dom
    dom.blockResize("vda", (ROOM + more) // 2)
    time.sleep(ms / 1000)
    dom.blockResize("vda", ROOM // 2)


def stop(course, times, ms):
    """QEMU doesn't run, as on a host that is starved."""
    process = course.process()
    for _ in range(times):
        with course.vm.console.standing_still():
            os.kill(process, signal.SIGSTOP)
            try:
                time.sleep(ms / 1000)
            finally:
                os.kill(process, signal.SIGCONT)
        time.sleep(ms / 2000)


def pressure(course, times, ms):
    """The host takes back what memory it can."""
    process = course.process()
    for _ in range(times):
        try:
            course.count("KiB paged out", max(0, page_out(process)))
        except Lacking:                 # of users that may not; said by the tests
            course.count("page-outs not permitted")
        time.sleep(ms / 1000)


def clock(course, ms):
    """The machine stands still, and its real-time clock doesn't: that is ahead of the
    guest's own then. Ticks that it owes are forgotten."""
    with course.vm.console.standing_still():
        course.vm.dom.suspend()
        time.sleep(ms / 1000)
        course.vm.qmp("rtc-reset-reinjection")
        course.vm.resume()


def noise(course, seed, size):
    """Bytes that somebody sends to the console: any, or lines that are no requests."""
    chance = random.Random(seed)
    data = chance.randbytes(size)
    if chance.random() < 0.5:
        data = b"\r\n".join(b"@" + data[at:at + 60].hex().encode()
                            for at in range(0, size, 60))
    end = chance.choice((b"\r\n", b""))
    course.vm.faults.send(data + end, 2.0)


def client(course, ms):
    """Whoever has the console goes, and another one comes."""
    faults = course.vm.faults
    faults.leave()
    try:
        faults.hang_up()
        time.sleep(ms / 1000)
        faults.move(course.vm.console_socket)
    except BaseException:
        faults.leave(False)
        raise


def in_the_load(_course, **_words):
    """The load does it itself (`then=powercycle`, the driver's time-out)."""


def late(course, ms):
    """A device that is slower than the driver's time-out, which is short in such a step."""
    slow(course, 2, ms)


def reload(course):
    """The driver leaves nothing behind, and finds what is there."""
    course.end_loads()
    course.count_driver()
    course.vm.console.command("driver unload")
    course.vm.console.command("driver load")


def eject(course):
    """Asked for under load, which the driver may refuse, and again after it."""
    plug = Plug(course.vm)
    course.leaving = True
    plug.ask_out()
    time.sleep(0.2)
    course.end_loads()
    if plug.is_in():
        try:
            plug.ask_out()
            course.count("ejections refused")
        except RigError:
            if plug.is_in():            # else it went at the first request, just now
                raise
    plug.wait_out()
    _plug_in(course, plug)


def pull(course):
    """By surprise."""
    plug = Plug(course.vm)
    course.leaving = course.pulled = True
    plug.pull_out()
    course.end_loads()
    plug.wait_out()
    course.adopt()
    _plug_in(course, plug)


def _plug_in(course, plug):
    wait_devices(course.vm, 0)
    plug.plug_in()
    wait_devices(course.vm, 1)
    course.leaving = course.pulled = False
    course.spent = True         # libvirt's overrides are for the devices of a start


def reset(course, ms):
    """The machine's button."""
    course.end_loads()
    course.count_driver()
    course.cut_off(lambda: course.vm.dom.reset(0), ms / 1000)


ERROR = frozenset({FAILED})
TIMES = {"ms": range(1, 400)}
KINDS = {
    "pause": Kind(pause, TIMES),
    "move": Kind(move, {}),
    "migrate": Kind(hop, {}),
    "slow": Kind(slow, {"iops": (1, 20, 300), "ms": range(100, 1500)}),
    "late": Kind(late, {"ms": range(900, 2000)}),
    "bad-reads": Kind(bad_reads, {"seed": range(1 << 30), "ms": range(50, 500)}, ERROR),
    "bad-writes": Kind(bad_writes, {"seed": range(1 << 30), "ms": range(50, 500)}, ERROR),
    "full": Kind(full, {"ms": range(100, 1000)}),
    "resize": Kind(resize, {"more": range(1024, 16384, 1024), "ms": range(1, 200)}),
    "powercycle": Kind(in_the_load, {"after": range(1, 200), "hold": (0, 1, 10, 100)}),
    "stop": Kind(stop, {"times": range(1, 6), "ms": range(20, 400)}),
    "pressure": Kind(pressure, {"times": range(1, 6), "ms": range(1, 100)}),
    "clock": Kind(clock, {"ms": (10, 100, 1000, 2500)}),
    "noise": Kind(noise, {"seed": range(1 << 30), "size": (1, 10, 100, 1000, 4000)}),
    "client": Kind(client, {"ms": range(1, 500)}),
    "reload": Kind(reload, {}),
    "eject": Kind(eject, {}),
    "pull": Kind(pull, {}, frozenset(PULLED)),
    "reset": Kind(reset, {"ms": range(1, 300)}),
}
LAST = ("reload", "eject", "pull", "reset")
