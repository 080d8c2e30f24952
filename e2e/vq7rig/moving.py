# SPDX-License-Identifier: MIT
"""A running machine that goes on in another QEMU: saved to a file and restored from it."""

import contextlib
import pathlib
import xml.etree.ElementTree as ET

from .bindings import libvirt, words
from .errors import Lacking, RigError


def emulator_of(vm):
    """The program that its QEMU is."""
    return ET.fromstring(vm.dom.XMLDesc(0)).findtext("devices/emulator")


def save_and_restore(vm, emulator=None):
    """End the machine's QEMU and go on in another, of the binary `emulator` if it is given.

    The guest may be in the middle of anything, a command too. Raises RigError.
    """
    if not vm.host.embedded:
        raise Lacking("a machine is saved to a file beside its sockets: the embedded driver")
    saved = pathlib.Path(vm.run / "saved")
    xml = vm.dom.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE | libvirt.VIR_DOMAIN_XML_MIGRATABLE)
    if emulator:
        xml = xml.replace(f"<emulator>{emulator_of(vm)}</emulator>",
                          f"<emulator>{emulator}</emulator>")
    with vm.console.standing_still():
        _move(vm, saved, xml)
        vm.resume()


def _move(vm, saved, xml):
    try:
        with going(vm, "move the machine"):
            vm.dom.saveFlags(str(saved), None, libvirt.VIR_DOMAIN_SAVE_PAUSED)
            vm.host.conn.restoreFlags(str(saved), xml, libvirt.VIR_DOMAIN_SAVE_PAUSED)
            vm.dom = vm.host.taken_over(vm.name)
            vm.faults.move(vm.console_socket)
    finally:
        saved.unlink(missing_ok=True)


@contextlib.contextmanager
def going(vm, what):
    """The machine's QEMU ends in here and another goes on, or the machine is broken. Raises
    RigError where libvirt fails."""
    vm.faults.leave()
    try:
        with vm.host.answered(vm.name):
            yield
    except BaseException as bad:
        vm.faults.leave(False)          # or who reads the console would wait for another
        vm.broken(bad)
        if isinstance(bad, libvirt.libvirtError):
            raise RigError(f"libvirt can't {what}: {words(bad)}") from bad
        raise
