# SPDX-License-Identifier: MIT
"""Does KVM work here? Only running something under it tells.

`/dev/kvm` may open and a guest under it never execute an instruction. So a disk
whose boot sector prints one letter is started through libvirt with a time limit.
The answer is cached until the machine is booted again or QEMU changes.
"""

import json
import os
import shutil
import tempfile
import time

from .clock import now
from .errors import RigError
from .libvirt_host import short_temp, temp_prefix

LIMIT = 2.0         # seconds; TCG needs one, and a KVM that is slower is of no use

# Some KVMs only interpret, and stop at the first SSE instruction: so there is one.
BOOT = bytes.fromhex(
    "0f20e0660d000600000f22e0"      # mov eax, cr4 / or eax, 600h / mov cr4, eax
    "0f20c024fb0f22c0"              # mov eax, cr0 / and al, 0fbh / mov cr0, eax
    "31c08ed80f57c00f11060070"      # ds = 0 / xorps xmm0, xmm0 / movups [7000h], xmm0
    "baf803b04beef4ebfd")           # mov dx, 3f8h / mov al, 'K' / out dx, al / hlt / jmp $-1

XML = """<domain type='kvm'>
  <name>vq7-{pid}-probe</name>
  <memory unit='MiB'>32</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type><boot dev='hd'/></os>
  <on_crash>destroy</on_crash>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/><source file='{run}/boot.img'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <serial type='file'><source path='{run}/out'/></serial>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    <video><model type='none'/></video>
  </devices>
</domain>"""


def accelerator(host):
    """(`kvm` or `qemu`, one line that says why). `host` is open."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        there = os.path.exists("/dev/kvm")
        return "qemu", ("TCG: /dev/kvm may not be opened by this user" if there
                        else "TCG: there is no /dev/kvm")
    cache = host.root / "kvm-probe.json"
    key = _key()
    try:
        known = json.loads(cache.read_text())
        if known["key"] == key:
            return known["accel"], known["note"]
    except (OSError, ValueError, KeyError):
        pass
    accel, note = _run(host)
    try:
        cache.write_text(json.dumps({"key": key, "accel": accel, "note": note}))
    except OSError:
        pass            # the next run probes again
    return accel, note


def _key():
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        boot = file.read().strip()
    qemu = shutil.which("qemu-system-x86_64")
    return f"{BOOT.hex()} {boot} {os.stat(qemu).st_mtime_ns if qemu else 0} {os.getuid()}"


def _run(host):
    run = tempfile.mkdtemp(prefix=temp_prefix(), dir=short_temp())
    dom = None
    try:
        with open(f"{run}/boot.img", "wb") as image:
            image.write(BOOT.ljust(510, b"\0") + b"\x55\xaa" + bytes(1 << 20))
        try:
            dom = host.create(XML.format(pid=os.getpid(), run=run))
            dom.resume()
        except RigError as bad:
            return "qemu", f"TCG: KVM refuses to start: {bad}"
        deadline, late = now() + LIMIT, False
        while not late:
            time.sleep(0.05)
            late = now() > deadline     # asked first: what has come by then counts
            with open(f"{run}/out", "rb") as out:
                if b"K" in out.read():
                    return "kvm", "KVM: a small guest ran"
        return "qemu", f"TCG: /dev/kvm opens, but a small guest got nowhere in {LIMIT:.0f} s"
    finally:
        if dom is not None:
            host.destroy(dom)
        shutil.rmtree(run, ignore_errors=True)
