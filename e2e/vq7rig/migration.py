# SPDX-License-Identifier: MIT
"""A running machine that goes on in a second QEMU on the same host.

Under KVM it stands still for the last of its pages only. TCG may lose a page that is written
while pages are sent (kvm-unit-tests' migration test has a case for it; here a guest crashed
within three moves), so there it is stopped first, with whatever it has in flight.

The embedded driver can't be at both ends of libvirt's own migration: a process has one of
it. So both QEMUs are its domains, the second waits (`-incoming defer`), and QEMU's own
commands move the machine.
"""

import time
import xml.etree.ElementTree as ET

from .bindings import libvirt, words
from .errors import Lacking, RigError
from .moving import going
from .options import Q

LIMIT_S = 60.0
QUICK_MBYTES = 4096             # a second: the guest's pages are to be moved, not to be waited for


def migrate(vm, emulator=None):
    """Go on in another QEMU, of the binary `emulator` if it is given. Raises RigError."""
    if not vm.host.embedded or vm.backend is not None:
        raise Lacking("both QEMUs open the disk's image: the embedded driver's can, and "
                      "QEMU's own disk")
    number = vm.hops + 1
    base = vm.name.partition("-hop")[0]
    name, folder = f"{base}-hop{number}", vm.run / f"hop{number % 2}"
    folder.mkdir(exist_ok=True)
    (folder / "console.sock").unlink(missing_ok=True)
    try:
        _move(vm, name, folder, _waiting(vm, name, folder, emulator), number)
    except libvirt.libvirtError as bad:
        vm.broken(bad)
        raise RigError(f"libvirt can't migrate the machine: {words(bad)}") from bad


def _waiting(vm, name, folder, emulator):
    """The XML of the QEMU that waits."""
    root = ET.fromstring(vm.dom.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE
                                        | libvirt.VIR_DOMAIN_XML_MIGRATABLE))
    root.find("name").text = name
    for tag in ("uuid", "seclabel"):
        for each in root.findall(tag):
            root.remove(each)
    if emulator:
        root.find("devices/emulator").text = emulator
    for serial in root.iterfind("devices/serial"):
        source = serial.find("source")
        if serial.get("type") == "unix":
            source.set("path", str(folder / source.get("path").rpartition("/")[2]))
        else:
            source.set("append", "on")          # the other one writes to it, too
        for log in serial.findall("log"):
            log.set("append", "on")
    commands = root.find(f"{Q}commandline")
    if commands is None:
        commands = ET.SubElement(root, f"{Q}commandline")
    if not any(each.get("value") == "-incoming" for each in commands):
        for word in ("-incoming", "defer"):
            ET.SubElement(commands, f"{Q}arg", {"value": word})
    return ET.tostring(root, encoding="unicode")


def _move(vm, name, folder, xml, number):
    host, old, socket = vm.host, vm.dom, folder / "migration.sock"
    new = host.create(xml, folder)
    try:
        host.qmp(new, "migrate-incoming", uri=f"unix:{socket}")
        host.qmp(old, "migrate-set-parameters", **{"max-bandwidth": QUICK_MBYTES << 20})
        with going(vm, "migrate the machine"), vm.console.standing_still():
            if host.accel != "kvm":
                old.suspend()
            host.qmp(old, "migrate", uri=f"unix:{socket}")
            _wait(host, old)
            vm.console_socket = str(folder / "console.sock")
            vm.faults.move(vm.console_socket)
            vm.dom, vm.name, vm.hops = new, name, number
            vm.resume()
            host.destroy(old)
    except BaseException:
        if vm.dom is not new:
            host.destroy(new)
        raise
    finally:
        socket.unlink(missing_ok=True)


def _wait(host, dom):
    """Until all of it is there."""
    until = time.monotonic() + LIMIT_S
    while (state := host.qmp(dom, "query-migrate"))["status"] != "completed":
        if state["status"] in ("failed", "cancelled"):
            raise RigError(f"QEMU can't migrate the machine: {state.get('error-desc', 'no word')}")
        if time.monotonic() > until:
            raise RigError(f"QEMU's migration didn't end in {LIMIT_S:.0f} s: {state}")
        time.sleep(0.01)
