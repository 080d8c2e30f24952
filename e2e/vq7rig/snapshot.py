# SPDX-License-Identifier: MIT
"""Snapshots of a running machine, with its memory, in its qcow2 image, and the way back."""

from .bindings import libvirt, words
from .errors import Lacking, RigError
from .moving import going


def take(vm, name):
    """The machine stands still meanwhile. Raises RigError."""
    if not vm.host.embedded:
        raise Lacking("a snapshot is reverted to beside the machine's sockets: the embedded driver")
    with vm.console.standing_still():
        try:
            vm.dom.snapshotCreateXML(f"<domainsnapshot><name>{name}</name></domainsnapshot>")
        except libvirt.libvirtError as bad:
            raise RigError(f"libvirt takes no snapshot: {words(bad)}") from bad


def revert(vm, name):
    """The machine, its memory and its disk are what they were, and it goes on from there: in
    the same QEMU, or in another one, as libvirt likes."""
    process = vm.host.process_of(vm.name)
    with going(vm, "revert to the snapshot"), vm.console.standing_still():
        vm.dom.revertToSnapshot(vm.dom.snapshotLookupByName(name),
                                libvirt.VIR_DOMAIN_SNAPSHOT_REVERT_RUNNING)
        vm.dom = vm.host.taken_over(vm.name)
        if vm.host.process_of(vm.name) != process:
            vm.faults.move(vm.console_socket)
        else:
            vm.faults.leave(False)
