# SPDX-License-Identifier: MIT
"""A client of the kernel debugger's protocol that isn't ours."""

import re

import pytest

from kd_bench import MACHINE
from radare import Radare
from vq7rig.kd import session

pytestmark = [pytest.mark.needs("debugger"), pytest.mark.nightly]
KERNEL = 0xFFFFF80000000000


@pytest.mark.fresh
@pytest.mark.on("one", settings=MACHINE)
def test_radare2_attaches(vm):
    """It synchronizes, finds the kernel's data block, process list and memory; then it goes, and
    leaves the machine stopped for whoever comes next. (Its 6.1 shows no registers: it has no
    room for what an answer to that request holds.)"""
    with Radare("-d", f"winkd://{vm.run / session.SOCKET}") as radare:
        assert "Sync done! (1 cpus found)" in radare.greeting
        assert re.search(r"\b4 ppid:0 uid:0 s System\n", radare.ask("dp"))
        head = bytes.fromhex(radare.ask(f"p8 64 @ {KERNEL:#x}"))
        assert head == (vm.guest / "ntoskrnl.exe").read_bytes()[:64]
    with session.debugging(vm, [vm.guest]) as debugger:
        debugger.client.attach()
        assert debugger.client.read(KERNEL, 64) == head
        debugger.detach()
    assert vm.console.command("info").ok
