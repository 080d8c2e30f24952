# SPDX-License-Identifier: MIT
"""A machine without QEMU: the rig's VM class with the fake agent behind it.

As a pytest plugin (`-p fake_machine`) it lets the e2e suite itself be tested;
VQ7_FAKE_FAULTS names the faults of its guest, VQ7_FAKE_KD gives it a kernel debugger's
target on COM2, which says nothing if it is `dead`.
"""

import contextlib
import os
import pathlib
import time

from fake_agent import FakeAgent
from kd_target import KdPort
from vq7rig import features, pool
from vq7rig.bindings import MonitorError
from vq7rig.channel import FaultInjector, SocketChannel
from vq7rig.console import Console
from vq7rig.disk import Disk
from vq7rig.errors import RigError
from vq7rig.libvirt_host import Host
from vq7rig.machine import domain_xml
from vq7rig.vm import PAUSED, VM


class FakeHost:
    """Stands in for the libvirt connection."""
    accel, qemu, emulator, prefix, embedded = "qemu", None, None, "vq7-", True

    def ensure(self):
        pass

    def log_of(self, _name):
        return None

    def failure_of(self, _name):
        return None

    def source(self, _fact):
        return "qmp"

    def disk(self, path, sectors, _kind="raw"):
        return Disk(path, sectors)

    def forget(self, _run):
        pass

    def destroy(self, dom):
        dom.end()

    def answered(self, _name):
        return contextlib.nullcontext()

    def hmp(self, _dom, command):
        raise MonitorError(f"HMP {command}: a fake machine has no monitor")

    def dump_memory(self, _dom, _path):
        raise RigError("a fake machine has no memory")


class FakeDomain:
    def __init__(self, agent, image):
        self.agent, self.image, self.alive = agent, image, True
        agent.on_power = self.power

    def power(self, what):
        if what == "reset":
            self.agent.hello()
        else:
            self.end()

    def resume(self):
        self.agent.start()

    def reset(self, _flags):
        self.agent.hello()

    def isActive(self):     # noqa: N802, libvirt's name
        return self.alive

    def suspend(self):
        pass

    def end(self):
        if self.alive:
            self.alive = False
            self.agent.stop()
            os.close(self.image)


class FakeVM(VM):
    faults_of_guest = tuple(filter(None, os.environ.get("VQ7_FAKE_FAULTS", "").split(",")))

    def start(self):
        if self.expected is None:
            self.prepare()
        (self.folder / "domain.xml").write_text(
            domain_xml(self.config, self.name, self.guest, self.run))
        self._began = time.monotonic()
        image = os.open(self.disk.path, os.O_RDWR)
        self.agent = FakeAgent(self.config, image, self.disk.capacity, self.faults_of_guest)
        self.dom = FakeDomain(self.agent, image)
        self.faults = FaultInjector(SocketChannel(self.agent.host_end))
        self.console = Console(self.faults, self.folder / "console.log")
        if debugger := os.environ.get("VQ7_FAKE_KD"):
            self.com2 = KdPort(self.run / "kd.sock", debugger != "dead")
        self.state = PAUSED
        return self

    @contextlib.contextmanager
    def slow_disk(self, _):
        yield

    def qmp(self, command, **arguments):
        transport, offered, _, _ = self.agent.facts()
        names = [name for name, bit in features.BITS.items() if offered >> bit & 1]
        if command == "x-query-virtio":
            return [{"name": "virtio-blk", "path": "/fake"}]
        if command == "x-query-virtio-queue-status":
            return {"vring-num": self.config.queue_size}
        if command == "x-query-virtio-status":
            known = {"transports": names, "dev-features": []}
            if not self.agent.loaded:
                known_status = []
            else:
                known_status = ["ACKNOWLEDGE", "DRIVER", "DRIVER_OK"] \
                    + ["FEATURES_OK"] * (transport == "modern")
            return {"host-features": known, "guest-features": known, "broken": False,
                    "started": True, "status": {"statuses": [
                        f"VIRTIO_CONFIG_S_{name}: text" for name in known_status]}}
        raise AssertionError(f"unexpected QMP {command}")


def make(config, folder, faults=(), **changes):
    """A booted fake machine."""
    vm = FakeVM(FakeHost(), config, pathlib.Path("/guest"), folder, **changes)
    vm.faults_of_guest = faults
    return vm.start()


def pytest_configure():
    pool.VM = FakeVM
    Host.open = lambda self: setattr(self, "accel", "qemu") or self
    Host.close = lambda self: None
    Host.facts = lambda self: {"qemu": "none"}
    Host.failure_of = lambda self, name: None
    Host.destroy = lambda self, dom: dom.end()
    Host.dump_memory, Host.hmp = FakeHost.dump_memory, FakeHost.hmp
