# SPDX-License-Identifier: MIT
"""The connection to libvirt, and what can be known of the host through it.

By default it is libvirt's embedded driver, which lives in this process: no
daemon, all state below one folder of the build tree.
"""

import hashlib
import json
import os
import pathlib
import shutil
import tempfile
import threading
import time
import urllib.parse

from . import orphans
from .ends import Ends
from .errors import RigError, UsageError
from .paths import E2E

# libvirt's errors come as exceptions; its own log would go to our stderr. It reads
# this when it is imported.
os.environ.setdefault("LIBVIRT_LOG_OUTPUTS", "4:file:/dev/null")

try:
    import libvirt
    import libvirt_qemu
except ImportError:                 # said by Host.open and by `check`
    libvirt = libvirt_qemu = None

INSTALL = "run `ci/setup.sh rig`, or install the rig packages of ci/packages-debian.txt"
QEMU_CONF = """\
stdio_handler = "file"
security_driver = "none"
namespaces = []
cgroup_controllers = []
remember_owner = 0
user = "+{uid}"
group = "+{gid}"
"""
# A UNIX socket's path has at most 107 bytes; libvirt's monitor socket is
# <root>/lib/qemu/domain-<id>-<name>/monitor.sock.
MAX_ROOT = 107 - len("/lib/qemu/domain-9999-vq7-1234567-999/monitor.sock")

_loop_lock = threading.Lock()
_loop_running = False


def default_root():
    """The persistent folder of the embedded driver: QEMU's capabilities are cached there."""
    root = E2E / "libvirt"
    # libvirt doesn't escape a comma where it asks a QEMU for its capabilities.
    if len(os.fsencode(root)) > MAX_ROOT or "," in str(root):
        temp = short_temp()
        root = pathlib.Path("/tmp" if "," in temp else temp) \
            / f"vq7-libvirt-{os.getuid()}-{_tree()}"
    return root


def _tree():
    return hashlib.sha256(os.fsencode(E2E)).hexdigest()[:8]


def temp_prefix():
    """How the names of this build folder's temporary folders begin."""
    return f"vq7-{_tree()}-"


def remove_temps():
    """Remove what a killed rig left. Its machines have ended, and libvirt lets only one
    process use the build folder's embedded driver."""
    for folder in pathlib.Path(short_temp()).glob(temp_prefix() + "*"):
        if folder.lstat().st_uid == os.getuid():
            shutil.rmtree(folder, ignore_errors=True)


def short_temp():
    """The folder for temporary files, or /tmp where its name is too long for sockets."""
    folder = tempfile.gettempdir()
    return folder if len(os.fsencode(folder)) <= 30 else "/tmp"


def _start_event_loop():
    """libvirt calls back only while its event loop runs; it must be there before `open`."""
    global _loop_running
    with _loop_lock:
        if _loop_running:
            return
        libvirt.registerErrorHandler(lambda *_: None, None)     # errors come as exceptions
        libvirt.virEventRegisterDefaultImpl()
        threading.Thread(target=_run_events, name="libvirt events", daemon=True).start()
        orphans.adopt()
        _loop_running = True


def _run_events():
    while True:
        try:
            libvirt.virEventRunDefaultImpl()
        except libvirt.libvirtError:
            time.sleep(0.1)


class MonitorError(RigError):
    """libvirt couldn't pass a command to QEMU; QEMU's own refusal is a plain RigError."""


class Host:
    """An open connection. Use as a context manager, or call close()."""

    def __init__(self, uri=None, root=None):
        self.root = pathlib.Path(root or default_root()).absolute()
        self.embedded = uri is None
        self.uri = uri or f"qemu:///embed?root={urllib.parse.quote(str(self.root))}"
        self.conn = None
        self.accel = None
        self._ends = None
        self._pids = {}                 # name of a domain -> process of its QEMU

    def open(self):
        if libvirt is None:
            raise RigError("libvirt's Python bindings are missing for this python3", INSTALL)
        if not self.uri.startswith("qemu:///"):
            raise UsageError(f"--connect {self.uri}: the rig reads disk images and consoles "
                             "itself, so it must be a qemu:/// URI of this machine")
        if self.embedded:
            if not shutil.which("qemu-system-x86_64"):
                raise RigError("qemu-system-x86_64 is not installed", INSTALL)
            self._write_conf()
        _start_event_loop()
        try:
            self.conn = libvirt.open(self.uri)
        except libvirt.libvirtError as bad:
            raise RigError(f"can't connect to {self.uri}: {bad}", _remedy(bad)) from bad
        self._ends = Ends(libvirt)
        self._ends.listen(self.conn)
        self._end_domains()             # left by a rig that was killed
        if self.embedded:
            orphans.end_all(self.root)
        if self.embedded and self.root == default_root().absolute():
            remove_temps()
        return self

    def _end_domains(self):
        """End every domain of ours: all of an embedded root, else those this process named."""
        mine = "vq7-" if self.embedded else f"vq7-{os.getpid()}-"
        for dom in self.conn.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
            if dom.name().startswith(mine):
                self.destroy(dom)

    def _write_conf(self):
        conf = self.root / "etc" / "qemu.conf"
        text = QEMU_CONF.format(uid=os.getuid(), gid=os.getgid())
        try:
            conf.parent.mkdir(parents=True, exist_ok=True)
            if not conf.exists() or conf.read_text() != text:
                conf.write_text(text)
        except OSError as bad:
            raise RigError(f"can't write {conf}: {bad.strerror}") from bad

    def close(self):
        """Also ends what nobody has got hold of, as when `create` was interrupted."""
        conn = self.conn
        if conn is not None:
            try:
                self._end_domains()
            finally:
                self.conn = None
                conn.close()

    def __enter__(self):
        return self.open()

    def __exit__(self, *_):
        self.close()

    def version(self):
        """QEMU's version, as libvirt knows it."""
        try:
            number = self.conn.getVersion()
        except libvirt.libvirtError as bad:
            full = self.embedded and shutil.disk_usage(self.root).free < 1 << 20
            raise RigError(f"libvirt can't run QEMU: {bad}",
                           f"no space is left for {self.root}: free some" if full
                           else INSTALL) from bad
        return f"{number // 1000000}.{number // 1000 % 1000}.{number % 1000}"

    def create(self, xml):
        """Create a domain, paused. Returns it; raises RigError with libvirt's words."""
        try:
            dom = self.conn.createXML(xml, libvirt.VIR_DOMAIN_START_PAUSED)
        except libvirt.libvirtError as bad:
            raise RigError(f"libvirt can't start the machine: {bad}", _remedy(bad)) from bad
        self._pids[dom.name()] = self._pid_of(dom.name())
        return dom

    def _pid_of(self, name):
        """Process id of a domain's QEMU, if that is a child of this process."""
        try:
            return int((self.root / "run" / "qemu" / f"{name}.pid").read_text())
        except (OSError, ValueError):
            return None

    def failure_of(self, name):
        """Why QEMU ended, as a RigError, for a domain that is gone; None: the guest's will."""
        return self._ends.failure(name, self._pids.get(name), self.log_of(name))

    def destroy(self, dom):
        """End a domain, whatever state it is in. Quiet if it has ended already."""
        try:
            dom.destroy()
        except libvirt.libvirtError as bad:
            if bad.get_error_code() not in (libvirt.VIR_ERR_NO_DOMAIN,
                                            libvirt.VIR_ERR_OPERATION_INVALID):
                raise RigError(f"can't end the machine {dom.name()}: {bad}") from bad

    def log_of(self, name):
        """Path of libvirt's log of a domain's QEMU, None where it isn't ours to read."""
        path = self.root / "log" / "qemu" / f"{name}.log"
        return path if path.exists() else None

    def limit_disk(self, dom, target, operations):
        """At most so many operations a second of a disk; 0: no limit. Raises RigError."""
        try:
            dom.setBlockIoTune(target, {"total_iops_sec": operations},
                               libvirt.VIR_DOMAIN_AFFECT_LIVE)
        except libvirt.libvirtError as bad:
            raise RigError(f"libvirt can't limit the disk {target}: {bad}") from bad

    def qmp(self, dom, command, **arguments):
        """Execute a QMP command and return its `return`. Raises RigError."""
        request = json.dumps({"execute": command, "arguments": arguments})
        try:
            reply = json.loads(libvirt_qemu.qemuMonitorCommand(dom, request, 0))
        except libvirt.libvirtError as bad:
            raise MonitorError(f"QMP {command}: {bad}") from bad
        if "return" not in reply:
            raise RigError(f"QMP {command}: {reply.get('error', {}).get('desc', reply)}")
        return reply["return"]


def _remedy(bad):
    text = str(bad)
    if "libvirt-qemu" in text:
        return ("libvirt wants the user libvirt-qemu when root runs it: install "
                "libvirt-daemon-system, or run as another user")
    if "pid file" in text or "already" in text:
        return "another rig may be running here: end it, or give VQ7_BUILD another folder"
    if "linux kernel" in text or "ELF" in text:
        return "the guest's ntcompat.elf is no kernel: run `make guest`, or look at --guest"
    if "Permission denied" in text:
        return "check that this user may read the build folder"
    return None
