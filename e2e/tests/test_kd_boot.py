# SPDX-License-Identifier: MIT
"""A debugger that is there when the kernel boots, in raw packets: what it is told, and in which
order, with `/debug` and with `/break`."""

import struct

import pytest

from kd_raw import ACKNOWLEDGE, FIRST, STATE_CHANGE, Raw
from vq7rig.inflight import background
from vq7rig.kd import session
from vq7rig.machine import Config

BOOT = ["ntoskrnl.exe", "hal.dll"]
DRIVERS = ["WDFLDR.SYS", "vq7test.sys", "vq7agent.sys"]
EXCEPTION, LOAD_SYMBOLS, BREAK = 0x3030, 0x3031, "break"


def told(state):
    """The name of an image that is loaded, or BREAK."""
    kind, = struct.unpack_from("<I", state)
    if kind == EXCEPTION:
        assert struct.unpack_from("<I", state, 32) == (0x80000003,)
        return BREAK
    assert kind == LOAD_SYMBOLS and state[64] == 0
    length, = struct.unpack_from("<I", state, 32)
    path = state[240:240 + length]
    assert len(path) == length and path.endswith(b"\0")
    return path[:-1].decode().rpartition("\\")[2]


@pytest.mark.nightly
@pytest.mark.parametrize("option, expected", [("/debug", BOOT + DRIVERS),
                                              ("/break", [*BOOT, BREAK, *DRIVERS])])
def test_boot(pool, option, expected):
    vm = pool.new(Config(flavour="modern", settings=(option,)))
    vm.start()
    raw = Raw(vm.run / session.SOCKET)
    try:
        with background(pool.boot) as booted:
            is_data, kind, id_, state = raw.packet()
            assert (is_data, kind, id_) == (True, STATE_CHANGE, FIRST | 0x800), "a kernel's first"
            raw.control(ACKNOWLEDGE, FIRST)
            raw.theirs ^= 1
            events = [told(state)]
            raw.go()
            while len(events) < len(expected):
                assert not booted.done()
                events.append(told(raw.stop()))
                raw.go()
            assert events == expected
            booted.result(60)
    finally:
        raw.socket.close()
    assert vm.console.command("info")["driver"] == "loaded"
