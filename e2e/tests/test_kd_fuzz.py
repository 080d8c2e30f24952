# SPDX-License-Identifier: MIT
"""Any bytes on COM2: nothing stops or crashes the guest but the commands that mean to."""

import os
import random
import struct
import time

import pytest

from kd_bench import MACHINE, connected
from kd_raw import FIRST, RESET, Raw
from vq7rig.clock import now
from vq7rig.kd import session

pytestmark = [pytest.mark.needs("debugger"), pytest.mark.nightly]
SECONDS = float(os.environ.get("VQ7_KD_FUZZ_SECONDS", "60"))
SEED = int(os.environ.get("VQ7_KD_FUZZ_SEED", "20261126"))
KERNEL = 0xFFFFF80000000000
GAP = 0.7                               # seconds after which a packet cut short has ended
ANSWER = b"iiii" + struct.pack("<HHII", RESET, 0, 0, 0)
ADDRESSES = (0, 0x1000, KERNEL, KERNEL + 0x1FF0, 1 << 47, 0xFFFF800000000000, (1 << 64) - 4,
             0xFFFFF78000000000, 0x7FFFFFEFFFF)
# Each kind of request that changes nothing, with what its union may hold; not among them is
# what goes on, restarts, crashes, or writes registers, memory, ports and breakpoints.
WRONG_SPACE = 9
REQUESTS = {
    0x3130: lambda r: struct.pack("<QII", at(r), length(r), r.getrandbits(32)),
    0x313D: lambda r: struct.pack("<QII", at(r), length(r), 0),
    0x3132: lambda r: b"",
    0x3135: lambda r: struct.pack("<I", r.choice((0, 33, r.getrandbits(32) | 64))),
    0x3137: lambda r: struct.pack("<QI", r.choice((0, 1, 2, 3, 4, 1 << 40)), length(r)),
    0x3138: lambda r: struct.pack("<QI", 1, length(r)),
    0x3144: lambda r: struct.pack("<IIIIQI", 1, WRONG_SPACE, *rest(r, 2), r.getrandbits(64), 0),
    0x3145: lambda r: struct.pack("<IIIIQI", 1, WRONG_SPACE, *rest(r, 2), r.getrandbits(64), 0),
    0x3146: lambda r: r.randbytes(40),
    0x3147: lambda r: struct.pack("<II", 77, 0),
    0x3148: lambda r: struct.pack("<II", r.choice((0, 77, 1 << 31)), 0),
    0x3150: lambda r: b"",
    0x3152: lambda r: struct.pack("<III", r.getrandbits(32), 0, 0),
    0x3156: lambda r: struct.pack("<QQI", at(r), r.getrandbits(18), r.choice((0, 1, 5, 1 << 31))),
    0x3157: lambda r: struct.pack("<5I", r.choice((4, 0, 77)), *rest(r, 3), length(r)),
    0x3158: lambda r: struct.pack("<5I", 77, *rest(r, 3), length(r)),
    0x3159: lambda r: b"",
    0x315B: lambda r: struct.pack("<QIHH", at(r), length(r), r.choice((0, 3, 4)), 1),
    0x315C: lambda r: struct.pack("<QQII", at(r), 1, r.choice((0, 1, 9)), 7),
    0x315F: lambda r: struct.pack("<III", *rest(r, 3)),
}
UNKNOWN = (*range(0x313F, 0x3144), 0x3151, 0x3154, 0x3155, 0x315D, 0x315E, 0x3161, 0, 0x3030)


def at(r):
    return r.choice((r.choice(ADDRESSES), r.getrandbits(64), KERNEL + r.getrandbits(20)))


def length(r):
    return r.choice((0, 1, 8, 4000, 0xFFFFFFFF, r.getrandbits(12)))


def rest(r, count):
    return [r.choice((0, 1, 8, 0x4D0, 0xFFFFFFFF, r.getrandbits(32))) for _ in range(count)]


def request(r):
    api = r.choice((*REQUESTS, *UNKNOWN))
    union = REQUESTS[api](r) if api in REQUESTS else r.randbytes(40)
    head = struct.pack("<IHHII", api, r.getrandbits(16), r.choice((0, 0, 0, 1, 0xFFFF)), 0, 0)
    whole = (head + union).ljust(56, b"\0") + r.randbytes(r.choice((0, 0, 0, 5, 1000, 3944)))
    return whole[:r.choice((len(whole),) * 8 + (55, 16, 4))] if api != 0x3138 else whole


def packet(r, payload, id_):
    """Whole most of the time; else of a wrong type, id, sum or end, cut short or with bytes
    more. What is damaged fails its check sum, since one byte alone is."""
    kind = r.choice((2,) * 12 + (3, 7, 11, 4, r.getrandbits(16)))
    id_ = r.choice((id_,) * 8 + (id_ ^ 1, 0, r.getrandbits(32)))
    raw = b"0000" + struct.pack("<HHII", kind, len(payload), id_, sum(payload)) + payload + b"\xaa"
    way = r.randrange(12)
    if way == 0:
        where = r.randrange(len(raw))
        return raw[:where] + bytes((raw[where] ^ 1 << r.randrange(8),)) + raw[where + 1:]
    if way == 1:
        return raw[:r.randrange(len(raw))]
    return raw + noise(r) if way == 2 else raw * 2 if way == 3 else raw


def noise(r):
    """Of what packets begin with, too; a break-in's byte is one that means to."""
    return r.choice((r.randbytes(r.randrange(40)), b"0000" * r.randrange(9), b"iiii" * 3, b"\xaa",
                     b"iiii" + r.randbytes(12), b"0000" + r.randbytes(12),
                     b"iiii" + struct.pack("<HHII", r.choice((4, 5, 7)), 0, FIRST, 0)))


def throw(raw, r, bytes_):
    """What the target says meanwhile is taken and not looked at."""
    raw.socket.settimeout(0)
    while bytes_:
        try:
            raw.socket.recv(1 << 16)
        except BlockingIOError:
            pass
        try:
            bytes_ = bytes_[raw.socket.send(bytes_):]
        except BlockingIOError:
            pass
    raw.socket.settimeout(20)


def attach_again(raw):
    """Whatever it was told: silence, a break-in and a RESET; its state follows the answer."""
    time.sleep(GAP)
    raw.socket.sendall(b"b")
    raw.control(RESET)
    said, until = b"", now() + 20
    while ANSWER not in said:
        assert now() < until, f"no answer to a RESET; it said {said[-200:]}"
        said += raw.socket.recv(1 << 16)
    raw.received = said.partition(ANSWER)[2]
    raw.mine = raw.theirs = FIRST
    raw.stop()


@pytest.mark.fresh
@pytest.mark.on("one", settings=MACHINE)
def test_any_bytes(vm, note):
    """While it runs, and while it is stopped; in between it must do its work."""
    connected.close()
    r, until, rounds, sent = random.Random(SEED), now() + SECONDS, 0, 0
    raw = Raw(vm.run / session.SOCKET)
    try:
        while now() < until:
            for _ in range(20):                 # runs: no 'b', which would stop it
                data = r.choice((noise(r), packet(r, request(r), FIRST))).replace(b"b", b"a")
                throw(raw, r, data)
                sent += len(data)
            vm.console.command("info")
            attach_again(raw)                   # stopped
            for n in range(60):
                data = packet(r, request(r), FIRST | n & 1) if r.random() < 0.7 else noise(r)
                throw(raw, r, data)
                sent += len(data)
            attach_again(raw)
            assert raw.ask(0x3146, "<HH", 0, 0)[:2] == (0, (0xF, 7601))
            raw.go()
            answer = vm.console.command("blk run ops=8 depth=4 seed=%d" % (rounds + 1))
            assert answer.num("errors") == answer.num("miscompares") == 0
            rounds += 1
    except BaseException:
        print(f"seed {SEED}, round {rounds}")
        raise
    finally:
        raw.socket.close()
    note("COM2: bytes thrown at it, KiB", sent // 1024)
    assert rounds > 0
