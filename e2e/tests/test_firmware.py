# SPDX-License-Identifier: MIT
"""Other people's drivers on our vhost-user device: what says that it is right when it
behaves, in their words and not in ours."""

import time

import pytest

from vq7rig import pattern
from vq7rig.backend import PROGRAM
from vq7rig.errors import RigError

SECTORS, TARGET = 64, 1000      # of e2e/hostile/bootsector.S


def words_sum(data):
    return sum(int.from_bytes(data[at:at + 2], "little")
               for at in range(0, len(data), 2)) & 0xFFFF


def said(vm, timeout=20):
    """The debug port's text, up to the boot sector's last line."""
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        log = vm.run / "debug.log"
        text = log.read_text(errors="replace") if log.exists() else ""
        if "done\n" in text or "failed\n" in text:
            return text
        time.sleep(0.05)
    raise RigError(f"the boot sector said nothing to the end in {timeout} s: {text!r}")


@pytest.mark.on("legacy", nightly="flavours", options=("backend=vhost-user", "boot=disk"))
@pytest.mark.parametrize("rule", [None, pytest.param("slow", marks=pytest.mark.nightly)])
def test_firmware_boots_from_it(blank, rule):
    """The firmware's own driver, legacy and modern: it reads the boot sector and starts it,
    and that reads, writes, and reads again by the firmware's means."""
    blank.host.emulator.need_ring(256)          # SeaBIOS takes no larger one
    data = pattern.content(91, 1, SECTORS, 1)
    blank.disk.write(0, (PROGRAM.parent / "bootsector.bin").read_bytes())
    blank.disk.write(1, data)
    blank.start()
    if rule:
        blank.backend.misbehave(rule)
    blank.resume()
    assert said(blank) == f"sum {words_sum(data):04x}\n" * 2 + "done\n"
    assert blank.disk.read(TARGET, SECTORS) == data
    status = blank.backend.status()
    assert status["ring_errors"] == status["limits_exceeded"] == status["failed"] == 0
    assert status["read"] >= 2 and status["write"] >= 1
