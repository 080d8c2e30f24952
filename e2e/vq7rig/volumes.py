# SPDX-License-Identifier: MIT
"""Machines of a hypervisor that shares no files with this rig.

Disk images, kernel and initrd are storage volumes, serial ports are libvirt's streams
(relay.py). So it doesn't matter as which user QEMU runs, nor on which machine.
"""

import hashlib
import os
import pathlib
import time
import xml.etree.ElementTree as ET

from .bindings import libvirt, words
from .disk import Disk, SECTOR
from .dump import sparse
from .errors import Lacking, RigError
from .machine import escape
from .relay import FileRelay, SocketRelay

CHUNK = 256 * 1024
POOL = """<pool type='dir'><name>{name}</name>
  <target><path>{path}</path><permissions><mode>0711</mode></permissions></target></pool>"""
VOLUME = """<volume><name>{name}</name><capacity unit='bytes'>{size}</capacity>
  <allocation unit='bytes'>0</allocation>
  <target><format type='raw'/><permissions><mode>0600</mode></permissions></target></volume>"""
SYSTEM_IMAGES = "/var/lib/libvirt/images"
FOLDERS = ("dir", "fs", "netfs")        # kinds of pools in which a file is a volume


class VolumeDisk(Disk):
    """A disk image that is a storage volume."""

    def __init__(self, volumes, path, sectors):
        super().__init__(path, sectors)
        self._volumes, self._volume = volumes, None

    def create(self):
        self._volume = self._volumes.create(self.path, self.capacity * SECTOR)

    def write(self, sector, data):
        self._volumes.upload(self._volume, sector * SECTOR, data)

    def read(self, sector, count):
        return self._volumes.download(self._volume, sector * SECTOR, count * SECTOR)


class Volumes:
    """The volumes and relays of one connection."""

    def __init__(self, conn, prefix, pool=None, session=False):
        self._conn, self._prefix, self._named, self._session = conn, prefix, pool, session
        self._pool = None
        self._volumes = {}              # local path -> volume
        self._relays = {}               # folder of a machine -> {alias: Relay}

    # --- the pool --------------------------------------------------------------

    def open(self):
        """Find or make the pool, and remove what a killed rig left in it."""
        try:
            self._pool = self._existing() if self._named else self._own()
            self._clear()
        except libvirt.libvirtError as bad:
            raise RigError(f"libvirt gives no storage pool: {words(bad)}",
                           "make one there and name it: --pool NAME") from bad

    def _existing(self):
        pool = self._conn.storagePoolLookupByName(self._named)
        if not pool.isActive():
            raise RigError(f"the storage pool {self._named} isn't active",
                           f"virsh pool-start {self._named}")
        pool.refresh()
        return pool

    def _own(self):
        name = self._prefix.rstrip("-")
        try:
            pool = self._conn.storagePoolLookupByName(name)     # a killed rig's
        except libvirt.libvirtError:
            path = f"{self._images()}/{name}"
            pool = self._conn.storagePoolDefineXML(POOL.format(name=name, path=escape(path)))
        if not pool.isActive():
            pool.build(0)
            pool.create(0)
        pool.refresh(0)                 # a killed rig's dump isn't known as a volume
        return pool

    def _images(self):
        if not self._session:
            return SYSTEM_IMAGES
        data = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
        return f"{data}/libvirt/images"

    def _clear(self):
        for volume in self._pool.listAllVolumes():
            if volume.name().startswith(self._prefix):
                volume.delete()

    def close(self):
        """Remove everything of ours."""
        for run in list(self._relays):
            self.forget(run)
        if self._pool is None:
            return
        try:
            self._clear()
            if not self._named:
                self._remove_pool()
        except libvirt.libvirtError as bad:
            raise RigError(f"can't remove the volumes: {words(bad)}") from bad

    def _remove_pool(self):
        _when_idle(self._pool.destroy)
        self._pool.delete(0)
        self._pool.undefine()

    # --- volumes ---------------------------------------------------------------

    def disk(self, path, sectors):
        return VolumeDisk(self, path, sectors)

    def create(self, path, size):
        """A volume of zeros that stands for a local path."""
        path = pathlib.Path(path)
        name = f"{self._prefix}{path.parent.name}-{path.name}"
        try:
            volume = self._pool.createXML(VOLUME.format(name=escape(name), size=size))
        except libvirt.libvirtError as bad:
            raise RigError(f"libvirt can't make the volume {name}: {words(bad)}") from bad
        self._volumes[str(path)] = volume
        return volume

    def upload(self, volume, offset, data):
        stream = self._conn.newStream()
        try:
            volume.upload(stream, offset, len(data))
            for at in range(0, len(data), CHUNK):
                rest = data[at:at + CHUNK]
                while rest:
                    rest = rest[stream.send(rest):]
            stream.finish()
        except libvirt.libvirtError as bad:
            raise RigError(f"libvirt can't write the volume {volume.name()}: {words(bad)}") from bad

    def download(self, volume, offset, length):
        got, holes = bytearray(length), [0]

        def data(_stream, piece, _opaque):
            got[holes[0]:holes[0] + len(piece)] = piece
            holes[0] += len(piece)

        def hole(_stream, size, _opaque):
            holes[0] += size

        stream = self._conn.newStream()
        try:
            volume.download(stream, offset, length,
                            libvirt.VIR_STORAGE_VOL_DOWNLOAD_SPARSE_STREAM)
            stream.sparseRecvAll(data, hole, None)
            stream.finish()
        except libvirt.libvirtError as bad:
            raise RigError(f"libvirt can't read the volume {volume.name()}: {words(bad)}") from bad
        if holes[0] != length or len(got) != length:
            raise RigError(f"the volume {volume.name()} is shorter than {offset + length} bytes")
        return bytes(got)

    def fetch(self, name, write, path):
        """A file that the hypervisor itself writes, `write(its path there)`, brought to a local
        path, where its zeros take no space. Raises Lacking where the pool has no files."""
        pool = ET.fromstring(self._pool.XMLDesc(0))
        if pool.get("type") not in FOLDERS:
            raise Lacking(f"the storage pool {self._pool.name()} is of the type "
                          f"{pool.get('type')}, and QEMU's dump needs a folder")
        name = f"{self._prefix}{name}"
        write(f"{pool.findtext('target/path')}/{name}")
        _when_idle(lambda: self._pool.refresh(0))
        volume = self._pool.storageVolLookupByName(name)
        try:
            self._download_all(volume, path)
        finally:
            volume.delete()

    def _download_all(self, volume, path):
        stream = self._conn.newStream()
        with open(path, "wb", buffering=0) as file:
            writer = sparse.Writer(file)
            volume.download(stream, 0, 0, libvirt.VIR_STORAGE_VOL_DOWNLOAD_SPARSE_STREAM)
            stream.sparseRecvAll(lambda _stream, piece, _opaque: writer.put(piece),
                                 lambda _stream, size, _opaque: writer.skip(size), None)
            stream.finish()
            writer.end()

    def _of_file(self, path):
        """The volume for a local file: the image made for it, or an upload of its content."""
        volume = self._volumes.get(path)
        if volume is None:
            try:
                content = pathlib.Path(path).read_bytes()
            except OSError as bad:
                raise RigError(f"can't read {path}: {bad.strerror}") from bad
            same = f"{hashlib.sha256(content).hexdigest()[:16]}/{os.path.basename(path)}"
            volume = self._volumes.get(same)
            if volume is None:
                volume = self.create(same, len(content))
                self.upload(volume, 0, content)
        return volume.path()

    # --- machines --------------------------------------------------------------

    def place(self, text, run):
        """The XML of a machine with volumes for files and streams for serial ports."""
        root = ET.fromstring(text)
        for tag in ("kernel", "initrd"):
            node = root.find(f"os/{tag}")
            if node is not None:
                node.text = self._of_file(node.text)
        for source in root.iterfind("devices/disk/source[@file]"):
            source.set("file", self._of_file(source.get("file")))
        relays = self._relays.setdefault(str(run), {})
        for number, serial in enumerate(root.findall("devices/serial")):
            source = serial.find("source")
            if serial.get("type") == "unix" and source.get("mode") == "bind":
                relay = SocketRelay(source.get("path"))
            elif serial.get("type") == "file":
                relay = FileRelay(source.get("path"))
            else:
                continue
            relays[_through_stream(serial, number)] = relay
        return ET.tostring(root, encoding="unicode")

    def attach(self, dom, run):
        for alias, relay in self._relays.get(str(run), {}).items():
            relay.open(self._conn, dom, alias)

    def forget(self, run):
        """A machine's folder isn't used any more."""
        for relay in self._relays.pop(str(run), {}).values():
            relay.close()
        for path in [path for path in self._volumes if path.startswith(f"{run}/")]:
            volume = self._volumes.pop(path)
            try:
                volume.delete()
            except libvirt.libvirtError as bad:
                raise RigError(f"can't remove the volume {volume.name()}: {words(bad)}") from bad


def _when_idle(call):
    """Of a pool, once libvirt has done with what was uploaded or downloaded."""
    for attempt in range(20):
        try:
            return call()
        except libvirt.libvirtError:
            if attempt == 19:
                raise
            time.sleep(0.1)


def _through_stream(serial, number):
    """Make a serial port one whose stream libvirt gives out. Returns its name."""
    for tag in ("source", "log", "alias"):
        for node in serial.findall(tag):
            serial.remove(node)
    serial.set("type", "pty")
    alias = f"ua-port{number}"
    ET.SubElement(serial, "alias", {"name": alias})
    return alias
