# SPDX-License-Identifier: MIT
"""A machine that may come to harm: for what has to be tried before it is relied on."""

import contextlib
import itertools
import os
import shutil

from .channel import SocketChannel
from .machine import escape
from .temps import new_temp

ALIAS = "ua-scrap"
SECTOR, SECTORS = 512, 2048
RING = 64               # what the disk's ring is asked to have: no QEMU's default

XML = """<domain type='{accel}'>
  <name>{name}</name>
  <memory unit='MiB'>32</memory>
  <os><type arch='x86_64'>hvm</type><boot dev='hd'/></os>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>{emulator}</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw' queue_size='{ring}'/><source file='{run}/boot.img'/>
      <target dev='vda' bus='virtio'/><alias name='{alias}'/>
    </disk>
    <serial type='unix'>
      <source mode='bind' path='{run}/console.sock'/>
      <target type='isa-serial' port='0'/>
    </serial>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    <audio id='1' type='none'/>
    <video><model type='none'/></video>
  </devices>
</domain>"""

_numbers = itertools.count(1)


class Machine:
    """A small machine with one virtio disk, paused. Use as a context manager."""

    def __init__(self, host, emulator, accel="qemu", boot=b""):
        self.host, self._emulator, self._accel, self._boot = host, emulator, accel, boot
        self.name = f"{host.prefix}{os.getpid()}-s{next(_numbers)}"
        self.dom = self.run = None

    def __enter__(self):
        self.run = new_temp()
        try:
            disk = self.host.disk(self.run / "boot.img", SECTORS)
            disk.create()
            if self._boot:
                disk.write(0, self._boot.ljust(SECTOR - 2, b"\0") + b"\x55\xaa")
            xml = XML.format(name=self.name, accel=self._accel, alias=ALIAS, ring=RING,
                             run=escape(str(self.run)), emulator=escape(self._emulator))
            self.dom = self.host.create(self.host.place(xml, self.run), self.run)
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_):
        self._remove()

    def _remove(self):
        try:
            if self.dom is not None:
                self.host.destroy(self.dom)
        finally:
            self.host.forget(self.run)
            shutil.rmtree(self.run, ignore_errors=True)

    def console(self):
        """A channel to COM1; the caller closes it."""
        return SocketChannel.connect(str(self.run / "console.sock"))

    def qmp(self, command, **arguments):
        return self.host.qmp(self.dom, command, **arguments)

    def hmp(self, command):
        return self.host.hmp(self.dom, command)

    @contextlib.contextmanager
    def stopped(self):
        """It never runs while something is tried on it."""
        yield

    def failure(self):
        """Why QEMU ended, as a RigError; None if it didn't."""
        return self.host.failure_of(self.name)
