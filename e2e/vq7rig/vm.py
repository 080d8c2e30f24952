# SPDX-License-Identifier: MIT
"""One machine: from configuration to prompt to nothing left.

States: new -> paused -> running -> off. Any failure on the way makes it
`broken`, and a broken or ended machine refuses every further use, saying why.
"""

import contextlib
import itertools
import os
import pathlib
import shutil
import time

from . import backend, bugcheck, clock, diagnose
from .bindings import MonitorError, libvirt
from .channel import FaultInjector, SocketChannel
from .console import Console
from .coverage import counters
from .disk import Expected
from .errors import GuestError, Hang, Lacking, RigError
from .guests.ntcompat import Ntcompat
from .machine import domain_xml
from .machine_types import resolved
from .options import EXTRA_SECTORS
from .pattern import SECTOR
from .starvation import Starvation
from .temps import new_temp

NEW, PAUSED, RUNNING, OFF, BROKEN = "new", "paused", "running", "off", "broken"

_numbers = itertools.count(1)


class VM:
    """A machine of one configuration with its disk image, console and logs.

    `folder` receives the logs and stays; the disk image and the sockets are in a
    temporary folder that goes with the machine. Use as a context manager, or call
    destroy().
    """

    def __init__(self, host, config, guest, folder, disk_mib=64, hello_timeout=30.0,
                 system=None):
        self.host, self.config = host, config
        self.system = system or Ntcompat()
        self.guest = pathlib.Path(guest)
        self.folder = pathlib.Path(folder)
        self.hello_timeout = hello_timeout
        self.name = f"{host.prefix}{os.getpid()}-{next(_numbers)}"
        self.state, self.reason = NEW, ""
        self.run = new_temp()
        sectors = int(config.option("sectors", disk_mib * (1 << 20) // SECTOR))
        self.disks = [host.disk(self.run / "disk.img", sectors, config.option("format", "raw"))]
        for number in range(1, int(config.option("disks", 1))):
            self.disks.append(host.disk(self.run / f"disk{number}.img", EXTRA_SECTORS))
        self.all_expected = []          # of each disk
        self.dom = self.console = self.faults = self.backend = None
        self.counters = counters.of(self)       # of an instrumented driver, else None
        self.boot_ms = None
        self.serial = None
        self.hops = 0                   # to other QEMUs, see migration.py
        self.console_socket = str(self.run / "console.sock")

    # --- states ------------------------------------------------------------

    def _need(self, *states):
        if self.state not in states:
            why = f": {self.reason}" if self.reason else ""
            raise RigError(f"machine {self.config.name} is {self.state}, "
                           f"not {' or '.join(states)}{why}")

    def broken(self, reason):
        """Mark it as not to be used again."""
        if self.state != OFF:
            self.state = BROKEN
        self.reason = self.reason or (str(reason).splitlines() or [type(reason).__name__])[0]

    @property
    def usable(self):
        return self.state == RUNNING and not self.console.crashed

    # --- life --------------------------------------------------------------

    def prepare(self):
        """Make folders and the disk image; the host may write to it now."""
        self._need(NEW)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as bad:
            raise RigError(f"can't make {self.folder}: {bad.strerror}") from bad
        for disk in self.disks:
            disk.create()
        self.system.prepare(self.run, self.config, self.host)
        self.all_expected = [Expected(disk) for disk in self.disks]
        return self

    @property
    def disk(self):
        """The first disk."""
        return self.disks[0]

    @property
    def expected(self):
        """What the first disk must hold; None before it exists."""
        return self.all_expected[0] if self.all_expected else None

    def start(self):
        """Create it paused and attach the console. Raises RigError."""
        if self.expected is None:
            self.prepare()
        self._need(NEW)
        config = resolved(self.config, self.host.emulator)
        xml = domain_xml(config, self.name, self.guest, self.run,
                         self.host.accel or "qemu", self.host.qemu)
        xml = self.system.place(xml, config, self.run)
        try:
            if self.host.emulator:
                self.host.emulator.need(xml)
            xml = self.host.place(xml, self.run)
            (self.folder / "domain.xml").write_text(xml)
            self._start_backend()
            self._began = time.monotonic()
            self.dom = self.host.create(xml, self.run)
            self.faults = FaultInjector(SocketChannel.connect(self.console_socket))
            self.console = Console(self.faults, self.folder / "console.log", self.qemu_failure,
                                   Starvation(lambda: self.host.process_of(self.name)).seconds)
            self.console.lossy_end = self.host.lossy_ports
            self.console.explained = self._looked_at
            if self.counters is not None:
                self.console.before_sending = self.counters.before
        except BaseException as bad:
            self.broken(bad)
            raise
        self.state = PAUSED
        return self

    def _start_backend(self):
        if self.config.option("backend"):
            if not self.host.embedded:
                raise Lacking("the vhost-user back end needs files shared with QEMU: the embedded "
                              "driver")
            self.backend = backend.Backend(self.run, self.disk.path, self.folder / "backend.log",
                                           backend.properties(self.config))
            self.backend.start()

    def boot(self):
        """Let it run and wait for the prompt. Raises Hang, GuestCrash, RigError."""
        self._need(PAUSED)
        self.state = RUNNING
        self.resume()
        try:
            self.console.wait_boot(self.hello_timeout)
        except (GuestError, RigError) as bad:
            self.broken(bad)
            raise self._explained(bad) from bad
        self.boot_ms = round((time.monotonic() - self._began) * 1000)
        return self

    def resume(self):
        with self._libvirt("continue the machine"):
            self.dom.resume()

    @contextlib.contextmanager
    def _libvirt(self, what):
        """libvirt's refusal is a RigError that says why QEMU is gone, if it is."""
        try:
            with self.host.answered(self.name):
                yield
        except (libvirt.libvirtError, MonitorError) as bad:
            self.broken(bad)
            raise self.qemu_failure() or RigError(f"can't {what}: {bad}") from bad

    def qemu_failure(self):
        """A RigError if QEMU has ended by itself or was killed, None if the guest ended it."""
        return self.host.failure_of(self.name)

    def _explained(self, bad):
        """Add the kernel's own log to a hang: an agent that doesn't start is said there only."""
        if self.backend is not None:
            self.backend.check()
        if isinstance(bad, Hang) and not self.system.has_screen:
            said = diagnose.of_kernel(self.run / "debug.log") or "  | (nothing)"
            bad.args = (f"{bad}\nthe kernel's log ended with:\n{said}",)
        return bad

    def _looked_at(self, hang):
        """A hang of a guest that has a screen, with a picture of it; or the bug check that its
        kernel stands at, of which Windows says nothing on the console."""
        if not self.system.has_screen:
            return hang
        shown = f"\nits screen: {self.screenshot(self.folder / 'screen.png')}"
        try:
            with self.stopped():
                found = bugcheck.of(self)
            crash = found.crash() if found else bugcheck.waiting(self)
        except RigError as bad:
            crash, shown = None, f"{shown}\nits kernel's memory can't be looked at: {bad}"
        if crash is None:
            hang.args = (f"{hang}{shown}",)
            return hang
        crash.args = (f"{crash}{shown}\nseen when {hang}",)
        self.console.crashed = True
        return crash

    def now(self):
        """The guest's time, in which it is judged: it stands still where a debugger stops it."""
        return self.console.now() if self.console is not None else clock.now()

    def active(self):
        """Does libvirt still have the domain?"""
        try:
            return bool(self.dom.isActive())
        except libvirt.libvirtError:
            return False

    def wait_off(self, timeout=10.0):
        """Wait until the domain has ended by itself. Raises Hang."""
        self._need(RUNNING)
        timeout = max(timeout, self.system.off_s)
        began = self.now()
        while self.active():
            if self.now() - began > timeout:
                raise self._looked_at(Hang("the machine to turn itself off", timeout, "",
                                           self.console.log_path, "still running"))
            time.sleep(0.05)
        failure = self.qemu_failure()
        if failure:
            self.broken(failure)
            raise failure
        self.state = OFF

    def reset(self):
        """The reset button; returns after the next prompt."""
        self._need(RUNNING)
        self._count()
        with self._libvirt("reset the machine"):
            self.dom.reset(0)
        return self.console.wait_boot(self.hello_timeout)

    def destroy(self):
        """End it and remove what it used; keeps the logs. May be called at any time."""
        with contextlib.ExitStack() as steps:       # each is done, whatever another one raises
            steps.callback(self._forget)
            if self.backend is not None:
                steps.callback(self.backend.stop)   # after QEMU, whose disk it is
            if self.dom is not None:
                dom = self.dom
                steps.callback(self.host.destroy, dom)
                steps.callback(setattr, self, "dom", None)
                steps.callback(self._count)

    def _count(self):
        if self.counters is not None:
            self.counters.read()

    def _forget(self):
        if self.console is not None:
            self.console.close()
            self.console = None
        self._collect()
        self.host.forget(self.run)
        shutil.rmtree(self.run, ignore_errors=True)
        if self.state != BROKEN:
            self.state = OFF

    def _collect(self):
        logs = [(self.run / "debug.log", "debug.log"),
                (self.run / "console.raw.log", "console.raw.log"),
                (self.host.log_of(self.name), "qemu.log")]
        for source, name in logs:
            if source is not None and source.exists() and self.folder.exists():
                try:
                    shutil.move(str(source), self.folder / name)
                except OSError:
                    pass            # a full disk must not keep the rest from being removed

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.destroy()

    def screenshot(self, path):
        """A picture of its screen. Returns the path, or why there is none."""
        try:
            self.host.qmp(self.dom, "screendump", filename=str(path), format="png")
        except (libvirt.libvirtError, MonitorError, RigError) as bad:
            return f"no picture ({bad})"
        return path

    def kernel_log(self):
        """What the guest's kernel has said on the debug port."""
        try:
            return (self.run / "debug.log").read_text(encoding="ascii", errors="replace")
        except OSError:
            return ""

    # --- QEMU's view -------------------------------------------------------

    def qmp(self, command, **arguments):
        self._need(PAUSED, RUNNING)
        with self._libvirt(f"ask QEMU {command}"):
            return self.host.qmp(self.dom, command, **arguments)

    def hmp(self, command):
        """A command of QEMU's monitor for people; returns what is said."""
        self._need(PAUSED, RUNNING)
        with self._libvirt(f"ask QEMU {command!r}"):
            return self.host.hmp(self.dom, command)

    @contextlib.contextmanager
    def stopped(self):
        """The guest stands still meanwhile."""
        self._need(PAUSED, RUNNING)
        if self.state == RUNNING:
            with self._libvirt("pause the machine"):
                self.dom.suspend()
        try:
            yield
        finally:
            if self.state == RUNNING:
                self.resume()

    @contextlib.contextmanager
    def slow_disk(self, operations):
        """The disk does so many operations a second and no more, so that requests pile up.

        A test that fails in here has its own error to show, and its machine isn't used
        again: only one that passes gets its speed back.
        """
        self._need(PAUSED, RUNNING)
        self.host.limit_disk(self.dom, "vda", operations)
        yield
        self.host.limit_disk(self.dom, "vda", 0)
