# SPDX-License-Identifier: MIT
"""Runs a machine of its own that works on a Windows disk, Setup's or an update's, and watches it
to its end."""

import shutil
import subprocess
import time
import xml.etree.ElementTree as ET

from ..bindings import MonitorError, libvirt, words
from ..channel import SocketChannel
from ..clock import now
from ..errors import GuestError, RigError
from ..machine import escape
from ..paths import CONFIGS
from ..temps import new_temp
from .picture import is_black
from .progress import EMULATED, Progress

DISK_GIB = 24
LEAST_GIB = {"x86": 16, "x64": 20}      # Microsoft's own minimum
PICTURE_S = 30
ENDS_S, REST_S = 5.0, 0.2
VIRTIO_SECTORS = 131072
SNAPSHOT = """<domainsnapshot><disks>
  <disk name='hda' snapshot='external' type='file'><driver type='qcow2'/><source file='{path}'/>
  </disk><disk name='vda' snapshot='no'/></disks></domainsnapshot>"""


class Machine:
    """The machine at work on `disk`: `folder` gets console.log, screen.png and domain.xml. `discs`
    are the CDs in its drives, the first of which it may boot from. With `layers` (layers.Layers)
    the disk gets a new file at each restart."""

    def __init__(self, host, disk, discs, folder, tell, scale=1.0, kind=Progress, layers=None):
        self.host, self.folder, self.tell, self.layers = host, folder, tell, layers
        self._disk, self._discs = disk, discs
        self.name = f"{host.prefix}win7-{folder.name}"
        slow = (1.0 if host.accel == "kvm" else EMULATED) * scale
        self.progress = kind(now, tell, slow)
        self.dom = self.channel = self.run = None
        self._resets = self._pictured = 0

    def _domain(self):
        text = (CONFIGS / "win7-install.xml").read_text()
        for mark, path in (("@DISK@", self._disk), ("@RUN@", self.run)):
            text = text.replace(mark, escape(str(path)))
        root = ET.fromstring(text)
        devices = root.find("devices")
        for drive, disc in zip(devices.findall("disk[@device='cdrom']"), [*self._discs, None]):
            if disc is None:
                devices.remove(drive)
            else:
                drive.find("source").set("file", str(disc))
        root.set("type", self.host.accel or "qemu")
        root.find("name").text = self.name
        if self.host.qemu:
            ET.SubElement(devices, "emulator").text = self.host.qemu
        return ET.tostring(root, encoding="unicode")

    def __enter__(self):
        try:
            self.run = new_temp()       # here, since an interrupt may come at any time
            self.host.disk(self.run / "disk.img", VIRTIO_SECTORS).create()
            xml = self._domain()
            (self.folder / "domain.xml").write_text(xml)
            self.dom = self.host.create(xml, self.run)
            self.host.conn.domainEventRegisterAny(
                self.dom, libvirt.VIR_DOMAIN_EVENT_ID_REBOOT, self._on_reset, None)
            self.channel = SocketChannel.connect(str(self.run / "console.sock"))
            self.dom.resume()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.channel is not None:
            self.channel.close()
        if self.dom is not None:
            self.host.destroy(self.dom)
        if self.run is not None:
            self.host.forget(self.run)
            shutil.rmtree(self.run, ignore_errors=True)

    def _on_reset(self, *_):
        self._resets += 1

    def watch(self):
        """Until the machine has turned itself off. Raises GuestError with the last picture."""
        try:
            with open(self.folder / "console.log", "ab", buffering=0) as log:
                while self._step(log):
                    pass
                # What it said last, while we were at something else.
                while self._take(log, REST_S):
                    pass
            failure = self.host.failure_of(self.name)
            if failure is not None:
                raise failure
            self.progress.ended()
        except GuestError as bad:
            bad.args = (f"{bad}\n{self._shown()}",)
            raise

    def _step(self, log):
        """False: the machine is off."""
        data = self._take(log, 1.0)
        seen, self._resets = self._resets, 0
        for _ in range(seen):
            self.progress.reset()
            self._keep()
        if data is None or not self._active():
            return False
        self.progress.check()
        if now() - self._pictured > PICTURE_S:
            self._picture()
        return True

    def _take(self, log, seconds):
        """What COM1 says in that time; None: it is closed."""
        data = self.channel.recv(seconds)
        if data:
            log.write(data)
            self.progress.feed(data)
        return data

    def _keep(self):
        """The machine has just restarted: what is on its disk now is kept."""
        if self.layers is None or not self._active():
            return
        path = self.layers.next_name()
        try:
            self.dom.snapshotCreateXML(SNAPSHOT.format(path=escape(str(path))),
                                       libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY |
                                       libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA)
        except libvirt.libvirtError as bad:
            if not self._ends():
                raise RigError(f"the disk can't be kept as it is: {words(bad)}") from bad
            if not self.layers.holds(path):
                path.unlink(missing_ok=True)
                return
        self.layers.add(path, self.progress.phase, self.progress.resets)

    def _ends(self):
        """Whether the machine turns itself off just now. QEMU is gone before libvirt says so."""
        end = now() + ENDS_S
        while self._active():
            if now() > end:
                return False
            time.sleep(0.05)
        return True

    def _active(self):
        try:
            return bool(self.dom.isActive())
        except libvirt.libvirtError:
            return False

    def _picture(self):
        """The last one stays when the machine is gone."""
        self._pictured = now()
        try:
            self.host.qmp(self.dom, "screendump", filename=str(self.folder / "screen.png"),
                          format="png")
        except (libvirt.libvirtError, MonitorError, RigError) as bad:
            if not self._ends():    # which needs no words: it has turned itself off meanwhile
                self.tell(f"  no picture of the screen ({bad})")

    def _shown(self):
        if self._active():
            self._picture()
        picture = self.folder / "screen.png"
        said = "COM1 was silent; " if not self.progress.log else ""
        if not picture.exists():
            return f"{said}its screen: no picture was taken"
        return f"{said}its screen{', which is black' if is_black(picture) else ''}: {picture}"


def wait_written(path):
    """QEMU has let go of the disk."""
    for _ in range(50):
        done = subprocess.run(["qemu-img", "check", "-q", str(path)], capture_output=True)
        if done.returncode == 0:
            return
        time.sleep(0.2)
    raise RigError(f"{path} is damaged: {done.stderr.decode(errors='replace').strip()}")
