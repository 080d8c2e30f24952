# SPDX-License-Identifier: MIT
"""Does KVM work here? Only running something under it tells.

`/dev/kvm` may open and a guest under it never execute an instruction. So a disk
whose boot sector prints one letter is started through libvirt with a time limit.
The answer is cached until the machine is booted again or QEMU changes.
"""

import json
import os

from . import scrap
from .bindings import libvirt
from .clock import now
from .errors import RigError

LIMIT = 2.0         # seconds; TCG needs one, and a KVM that is slower is of no use

# Some KVMs only interpret, and stop at the first SSE instruction: so there is one.
BOOT = bytes.fromhex(
    "0f20e0660d000600000f22e0"      # mov eax, cr4 / or eax, 600h / mov cr4, eax
    "0f20c024fb0f22c0"              # mov eax, cr0 / and al, 0fbh / mov cr0, eax
    "31c08ed80f57c00f11060070"      # ds = 0 / xorps xmm0, xmm0 / movups [7000h], xmm0
    "baf803b04beef4ebfd")           # mov dx, 3f8h / mov al, 'K' / out dx, al / hlt / jmp $-1


def accelerator(host):
    """(`kvm` or `qemu`, one line that says why). `host` is open."""
    refusal = _refusal(host)
    if refusal:
        return "qemu", f"TCG: {refusal}"
    cache = host.root / "kvm-probe.json"
    key = _key(host)
    try:
        known = json.loads(cache.read_text())
        if key and known["key"] == key:
            return known["accel"], known["note"]
    except (OSError, ValueError, KeyError):
        pass
    accel, note = _run(host)
    try:
        cache.write_text(json.dumps({"key": key, "accel": accel, "note": note}))
    except OSError:
        pass            # the next run probes again
    return accel, note


def _refusal(host):
    """Why KVM needn't be tried; "" if it must be."""
    if host.embedded and not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return ("/dev/kvm may not be opened by this user" if os.path.exists("/dev/kvm")
                else "there is no /dev/kvm")
    try:
        host.conn.getDomainCapabilities(host.emulator.path, "x86_64", None, "kvm")
    except libvirt.libvirtError as bad:
        return f"libvirt has no KVM there: {bad}"
    return ""


def _key(host):
    """None where it can't be known what the answer depends on, as on another machine."""
    if not host.local:
        return None
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        boot = file.read().strip()
    seen = os.stat(host.emulator.path)
    return f"{BOOT.hex()} {boot} {host.uri} {host.emulator.path} {seen.st_mtime_ns} {os.getuid()}"


def _run(host):
    try:
        with scrap.Machine(host, host.emulator.path, "kvm", BOOT) as vm:
            channel = vm.console()
            try:
                vm.dom.resume()
                if _says_k(channel):
                    return "kvm", "KVM: a small guest ran"
            finally:
                channel.close()
    except RigError as bad:
        return "qemu", f"TCG: KVM refuses to start: {bad}"
    return "qemu", f"TCG: /dev/kvm opens, but a small guest got nowhere in {LIMIT:.0f} s"


def _says_k(channel):
    deadline = now() + LIMIT
    while True:
        left = deadline - now()
        came = channel.recv(max(0.0, left))
        if came is None or b"K" in came:
            return bool(came)
        if left <= 0:
            return False
