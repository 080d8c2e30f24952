# SPDX-License-Identifier: MIT
"""The connection to libvirt, and what can be known of the host through it.

By default it is libvirt's embedded driver, which lives in this process: no
daemon, all state below one folder of the build tree.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import urllib.parse
import xml.etree.ElementTree as ET

from . import emulator, guardian, orphans
from .bindings import INSTALL, MonitorError, libvirt, libvirt_qemu, start_event_loop, words
from .dump import sparse
from .ends import Ends
from .errors import Lacking, RigError, UsageError
from .paths import E2E
from .temps import remove_temps, short_temp, tree
from .unanswered import answered

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
MAX_ROOT = 107 - len("-gw63/lib/qemu/domain-9999-vq7-1234567-999/monitor.sock")


# A daemon that says nothing for their product is gone, or hangs, and calls to it end.
KEEP_ALIVE_S, KEEP_ALIVE_COUNT = 5, 6

# Whatever libvirt has kept beside a definition goes with it.
UNDEFINE = 0 if libvirt is None else (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA)


def default_root(worker=None):
    """The persistent folder of the embedded driver: QEMU's capabilities are cached there."""
    root = E2E / "libvirt"
    # libvirt doesn't escape a comma where it asks a QEMU for its capabilities.
    if len(os.fsencode(root)) > MAX_ROOT or "," in str(root):
        temp = short_temp()
        root = pathlib.Path("/tmp" if "," in temp else temp) \
            / f"vq7-libvirt-{os.getuid()}-{tree()}"
    return root.with_name(f"{root.name}-{worker}") if worker else root


def end_leftovers():
    """End what killed rigs of this build folder left, of its workers too."""
    root = default_root().absolute()
    for each in (root, *root.parent.glob(f"{root.name}-gw*")):
        orphans.end_all(each)
    remove_temps()


class Host:
    """An open connection. Use as a context manager, or call close()."""

    def __init__(self, uri=None, root=None, qemu=None, pool=None, worker=None):
        self._worker = worker           # name of the worker that uses it, see workers.py
        self.pool = pool                # a storage pool to use there, instead of our own
        self._volumes = None            # where no files are shared with QEMU: all but embedded
        self.qemu = qemu                # path of another QEMU than libvirt's own
        self.emulator = None            # what is known of QEMU, see emulator.ask
        self.root = pathlib.Path(root or default_root(worker)).absolute()
        self.embedded = uri is None
        self.uri = uri or f"qemu:///embed?root={urllib.parse.quote(str(self.root))}"
        self.conn = None
        self.accel = None
        self._ends = self._guardian = None
        self._pids = {}                 # name of a domain -> process of its QEMU
        self._defined = {}              # folder of a machine -> domain, where those are kept

    def open(self):
        if libvirt is None:
            raise RigError("libvirt's Python bindings are missing for this python3", INSTALL)
        self._check_uri()
        self._check_qemu()
        if self.embedded:
            self._write_conf()
        start_event_loop()
        self._connect()
        if self.embedded and self.root == default_root().absolute():
            end_leftovers()
        elif self.embedded:
            orphans.end_all(self.root)
        if self.embedded:
            self._guardian = guardian.start(self.root, self.qemu)
        try:
            self.emulator = emulator.ask(self)
        except BaseException:
            self.close()
            raise
        return self

    def _connect(self):
        try:
            self.conn = libvirt.open(self.uri)
        except libvirt.libvirtError as bad:
            raise RigError(f"can't connect to {self.uri}: {words(bad)}",
                           _remedy(bad) if self.embedded else _daemon_remedy(bad)) from bad
        if not self.embedded:
            self.conn.setKeepAlive(KEEP_ALIVE_S, KEEP_ALIVE_COUNT)
        self._ends = Ends(libvirt)
        self._ends.listen(self.conn)
        self._end_domains()             # left by a rig that was killed
        self._undefine()
        if not self.embedded:
            from .volumes import Volumes        # needs numpy, as disk() does
            self._volumes = Volumes(self.conn, self.prefix, self.pool,
                                    self._local_session())
            self._volumes.open()

    def ensure(self):
        """Connect again if the connection was lost, as a daemon's is when it starts again."""
        if self.conn is not None and not self.conn.isAlive():
            self.conn = self._volumes = None
            self._connect()

    def _check_uri(self):
        parts = urllib.parse.urlsplit(self.uri)
        if parts.scheme.partition("+")[0] != "qemu" or parts.path not in (
                "/system", "/session", "/embed"):
            raise UsageError(f"--connect {self.uri}: it must be a URI of libvirt's QEMU driver, "
                             "as qemu:///system, qemu:///session or qemu+ssh://host/system")
        if parts.path == "/session" and not self.local and not self.pool:
            raise UsageError(f"--connect {self.uri}: where another machine's user keeps images "
                             "can't be known; make a storage pool there and name it: --pool NAME")

    def _local_session(self):
        return urllib.parse.urlsplit(self.uri).path == "/session"

    def facts(self):
        """What a run's report says of QEMU and libvirt."""
        number = self.conn.getLibVersion()
        return {"qemu": f"{self.emulator.version}, {self.emulator.path}", "connection": self.uri,
                "libvirt": f"{number // 1000000}.{number // 1000 % 1000}.{number % 1000}"}

    def _check_qemu(self):
        """What is clear without libvirt; it says the rest (emulator.ask)."""
        if self.qemu is None:
            if self.embedded and not shutil.which("qemu-system-x86_64"):
                raise RigError("qemu-system-x86_64 is not installed", INSTALL)
            return
        if not os.path.isabs(self.qemu):
            raise UsageError(f"--qemu {self.qemu}: it must be an absolute path")
        if self.local and not os.path.isfile(self.qemu):
            raise UsageError(f"--qemu {self.qemu}: there is no such file")
        if self.local and not os.access(self.qemu, os.X_OK):
            raise UsageError(f"--qemu {self.qemu}: it may not be executed")
        orphans.also_named(self.qemu)

    def _end_domains(self):
        """End every domain of this build folder's rig."""
        for dom in self._domains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
            self.destroy(dom)

    def _undefine(self):
        for dom in self._domains(libvirt.VIR_CONNECT_LIST_DOMAINS_PERSISTENT):
            dom.undefineFlags(UNDEFINE)

    def _domains(self, which):
        return [dom for dom in self.conn.listAllDomains(which)
                if dom.name().startswith(self.prefix)]

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
                if self._volumes is not None:
                    self._volumes.close()       # and the streams
                self._undefine()
            except libvirt.libvirtError as bad:
                raise RigError(f"libvirt can't clean up: {words(bad)}") from bad
            finally:
                self.conn = self._volumes = None
                conn.close()
                if self._guardian is not None:
                    guardian.stop(self._guardian)
                    self._guardian = None

    def __enter__(self):
        return self.open()

    def __exit__(self, *_):
        self.close()

    @property
    def local(self):
        """Is the hypervisor this machine?"""
        return not urllib.parse.urlsplit(self.uri).netloc

    @property
    def lossy_ports(self):
        """May the last words of a machine's serial port be lost? A pseudo terminal's are."""
        return not self.embedded

    @property
    def prefix(self):
        """How the names of this rig's domains and volumes begin: no other rig's do there."""
        if self.embedded:
            return "vq7-"
        ours = f"{socket.gethostname()} {os.getuid()} {tree()}"
        own = f"{self._worker}-" if self._worker else ""
        return f"vq7-{hashlib.sha256(ours.encode()).hexdigest()[:8]}-{own}"

    def source(self, fact):
        """Where to find a fact on a virtio device, see features.SOURCES. Raises Lacking."""
        return self.emulator.source(fact) if self.emulator else "qmp"

    def disk(self, path, sectors, kind="raw"):
        """The image that a machine's XML names by this path."""
        if kind != "raw":
            if not self.embedded:
                raise Lacking(f"an image of the format {kind} is read from the file that QEMU has: "
                              "the embedded driver")
            from .qcow2 import Qcow2Disk
            return Qcow2Disk(path, sectors)
        if self._volumes is not None:
            return self._volumes.disk(path, sectors)
        from .disk import Disk          # numpy may be missing; check.need_python says it
        return Disk(path, sectors)

    def place(self, xml, run):
        """The XML with what the hypervisor has in place of our files."""
        return self._volumes.place(xml, run) if self._volumes is not None else xml

    def forget(self, run):
        """A machine's folder isn't used any more."""
        if self._volumes is not None:
            self._volumes.forget(run)
        dom = self._defined.pop(str(run), None)
        if dom is not None:
            try:
                dom.undefineFlags(UNDEFINE)
            except libvirt.libvirtError as bad:
                raise RigError(f"can't remove the machine {dom.name()}: {words(bad)}") from bad

    def space_remedy(self):
        """What to do if it is want of space that keeps libvirt from working."""
        full = self.embedded and shutil.disk_usage(self.root).free < 1 << 20
        return f"no space is left for {self.root}: free some" if full else None

    def create(self, xml, run):
        """Create a domain, paused. Returns it; raises RigError with libvirt's words.

        `run` is the folder of its sockets and files.
        """
        try:
            with self.answered(ET.fromstring(xml).findtext("name")):
                if self.embedded:
                    dom = self.conn.createXML(xml, libvirt.VIR_DOMAIN_START_PAUSED)
                else:
                    dom = self._define(xml, run)
        except libvirt.libvirtError as bad:
            refused = bad.get_error_code() == libvirt.VIR_ERR_CONFIG_UNSUPPORTED
            if refused and (self.qemu or not self.embedded):
                raise Lacking(f"{self.emulator}: {words(bad)}") from bad
            raise RigError(f"libvirt can't start the machine: {words(bad)}", _remedy(bad)) from bad
        self._pids[dom.name()] = self._pid_of(dom.name())
        if self._volumes is not None:
            try:
                self._volumes.attach(dom, run)
            except RigError:
                self.destroy(dom)
                raise
        return dom

    def answered(self, name):
        """Around a call that waits for the QEMU of a domain."""
        def end():
            with contextlib.suppress(libvirt.libvirtError, OSError):
                if not self.embedded:
                    self.conn.lookupByName(name).destroy()
                elif pid := self._pid_of(name):
                    os.kill(pid, signal.SIGKILL)

        return answered(end)

    def taken_over(self, name):
        """The domain of a machine that goes on in another QEMU."""
        self._ends.forget(name)
        self._pids[name] = self._pid_of(name)
        return self.conn.lookupByName(name)

    def _define(self, xml, run):
        """Started, but kept by libvirt beyond its end, until its streams are closed (`forget`).

        A daemon that frees a domain while it closes a stream of that domain's console may
        stop for ever: libvirt 9.0 takes two locks in one order in virChrdevFree, and in the
        other where a stream ends. With createXML it does so whenever a machine ends.
        """
        dom = self._defined[str(run)] = self.conn.defineXML(xml)
        dom.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED
                            | libvirt.VIR_DOMAIN_START_AUTODESTROY)  # should this rig be killed
        return dom

    def process_of(self, name):
        """Process id of a machine's QEMU; None where it isn't a child of this process."""
        return self._pids.get(name)

    def _pid_of(self, name):
        """Process id of a domain's QEMU, if that is a child of this process."""
        if not self.embedded:
            return None
        try:
            return int((self.root / "run" / "qemu" / f"{name}.pid").read_text())
        except (OSError, ValueError):
            return None

    def failure_of(self, name):
        """Why QEMU ended, as a RigError, for a domain that is gone; None: the guest's will."""
        if not self.conn.isAlive():
            return RigError(f"the connection to {self.uri} was lost")
        machine = urllib.parse.urlsplit(self.uri).hostname or "this machine"
        return self._ends.failure(name, self._pids.get(name), self.log_of(name),
                                  f"{self._logs()}/{name}.log of {machine}")

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
        path = self._logs() / f"{name}.log" if self.local else None
        return path if path is not None and os.access(path, os.R_OK) else None

    def _logs(self):
        if self.embedded:
            return self.root / "log" / "qemu"
        if self._local_session():
            cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
            return pathlib.Path(cache) / "libvirt" / "qemu" / "log"
        return pathlib.Path("/var/log/libvirt/qemu")

    def limit_disk(self, dom, target, operations):
        """At most so many operations a second of a disk; 0: no limit. Raises RigError."""
        try:
            dom.setBlockIoTune(target, {"total_iops_sec": operations},
                               libvirt.VIR_DOMAIN_AFFECT_LIVE)
        except libvirt.libvirtError as bad:
            raise RigError(f"libvirt can't limit the disk {target}: {bad}") from bad

    def dump_memory(self, dom, path):
        """Physical memory and registers as an ELF core, in a file with holes where they are
        zeros. The machine stands still meanwhile. Raises RigError.

        Not by QMP: libvirt 9.0 falls over the event at the end of a dump that isn't its own.
        """
        def write(where):
            dom.coreDumpWithFormat(str(where), libvirt.VIR_DOMAIN_CORE_DUMP_FORMAT_RAW,
                                   libvirt.VIR_DUMP_MEMORY_ONLY)

        try:
            if self._volumes is not None:
                self._volumes.fetch(f"{dom.name()}.core", write, path)
                return
            with sparse.receiving(path) as pipe:
                write(pipe)
        except libvirt.libvirtError as bad:
            raise RigError(f"libvirt can't dump the memory: {words(bad)}",
                           self.space_remedy()) from bad

    def hmp(self, dom, command):
        """Execute a command for people and return what is said. Raises RigError."""
        try:
            with self.answered(dom.name()):
                said = libvirt_qemu.qemuMonitorCommand(
                    dom, command, libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP)
        except libvirt.libvirtError as bad:
            raise MonitorError(f"HMP {command}: {bad}") from bad
        return said.replace("\r\n", "\n")

    def qmp(self, dom, command, **arguments):
        """Execute a QMP command and return its `return`. Raises RigError."""
        request = json.dumps({"execute": command, "arguments": arguments})
        try:
            with self.answered(dom.name()):
                reply = json.loads(libvirt_qemu.qemuMonitorCommand(dom, request, 0))
        except libvirt.libvirtError as bad:
            raise MonitorError(f"QMP {command}: {bad}") from bad
        if "return" not in reply:
            raise RigError(f"QMP {command}: {reply.get('error', {}).get('desc', reply)}")
        return reply["return"]


def _daemon_remedy(bad):
    text = str(bad)
    if "Permission denied" in text or "authentication" in text:
        return "be root, or in the group libvirt"
    if "No such file" in text or "refused" in text:
        return "no daemon of libvirt listens there: start libvirtd"
    return None


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
