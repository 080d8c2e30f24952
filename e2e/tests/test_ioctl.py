# SPDX-License-Identifier: MIT
"""I/O control requests as nobody should send them: refused as vq7_ioctl.h says, and
nothing written that isn't reported as written.

Each row of CASES: what it is, the code, the input, further options of the agent's
`ioctl`, the status (SUCCESS: STATUS_SUCCESS) and the information length.
"""

import os
import random
import zlib

import pytest

from vq7rig import ioctl, pattern
from vq7rig.errors import CommandError
from vq7rig.ioctl import (ANY, BLK_FLUSH, BLK_GET_ID, BLK_GET_INFO, BLK_INFO_SIZE, BLK_READ,
                          BLK_WRITE, BUFFERED, CLEAR_STATS, DEVICE_INFO_SIZE, FAILURES_SIZE,
                          GET_DEVICE_INFO, GET_FAILURES, GET_STATS, ID_SIZE, IN_DIRECT, NEITHER,
                          OUT_DIRECT, READ_ACCESS, SET_TIMEOUT, STATS_SIZE, WRITE_ACCESS, ctl,
                          transfer)
from vq7rig.workload import Workload

from test_workloads import run

# Buffers and lengths: memory beyond one, a leaked lock on a page.
pytestmark = pytest.mark.watched

FILL = 0xEE
SUCCESS, SMALL, DENIED = "SUCCESS", "BUFFER_TOO_SMALL", "ACCESS_DENIED"
PARAMETER, UNKNOWN, ERROR = "INVALID_PARAMETER", "INVALID_DEVICE_REQUEST", "IO_DEVICE_ERROR"
FIXED = {"device info": (GET_DEVICE_INFO, DEVICE_INFO_SIZE), "stats": (GET_STATS, STATS_SIZE),
         "failures": (GET_FAILURES, FAILURES_SIZE),
         "blk info": (BLK_GET_INFO, BLK_INFO_SIZE), "id": (BLK_GET_ID, ID_SIZE)}
LAST = 2**64 - 1

CASES = {
    "lengths": [
        row for name, (code, size) in FIXED.items() for row in (
            (f"{name}, exact", code, b"", {"out": size}, SUCCESS, size),
            (f"{name}, one byte short", code, b"", {"out": size - 1}, SMALL, 0),
            (f"{name}, one byte", code, b"", {"out": 1}, SMALL, 0),
            (f"{name}, none", code, b"", {"out": 0}, SMALL, 0),
            (f"{name}, one byte more", code, b"", {"out": size + 1}, SUCCESS, size),
            (f"{name}, much more", code, b"", {"out": 1500}, SUCCESS, size),
            (f"{name}, and an input", code, b"\xaa" * 400, {"out": size + 40}, SUCCESS, size),
            (f"{name}, and a long input", code, b"", {"in_size": 70000, "out": size}, SUCCESS,
             size),
            (f"{name}, input where the output is", code, b"\x55" * 16, {"out": 4096, "same": 1},
             SUCCESS, size),
            (f"{name}, at an odd address", code, b"", {"out": size, "offset": 4095}, SUCCESS, size),
        )] + [
        ("clear", CLEAR_STATS, b"", {}, SUCCESS, 0),
        ("clear, with buffers", CLEAR_STATS, b"\x11" * 8, {"out": 64}, SUCCESS, 0),
        ("time-out, none", SET_TIMEOUT, b"", {}, SMALL, 0),
        ("time-out, one byte short", SET_TIMEOUT, b"\0" * 7, {}, SMALL, 0),
        ("time-out, no second thought", SET_TIMEOUT, b"\1\0\0\0\0\0\0\0", {}, PARAMETER, 0),
        ("time-out, endless retries", SET_TIMEOUT, b"\0\0\0\0\xff\xff\xff\xff", {}, PARAMETER, 0),
        ("flush", BLK_FLUSH, b"", {}, SUCCESS, 0),
        ("flush, with buffers", BLK_FLUSH, b"\x11" * 8, {"out": 4097}, SUCCESS, 0),
    ],
    "codes": [
        ("0", 0, b"", {"out": 512}, UNKNOWN, 0),
        ("all ones", 0xFFFFFFFF, b"\x01", {"out": 512}, UNKNOWN, 0),
        ("another device type", ctl(0, BUFFERED, READ_ACCESS, 0x8008), b"", {"out": 512}, UNKNOWN,
         0),
        ("a disk's own", 0x70000, b"", {"out": 512}, UNKNOWN, 0),      # DISK_GET_DRIVE_GEOMETRY
    ] + [
        (f"function {f}", ctl(f, BUFFERED, READ_ACCESS), b"", {"out": 512}, UNKNOWN, 0)
        for f in (6, 15, 17, 18, 21, 0x7FF)
    ] + [
        (f"method {m} for device info", ctl(0, m, READ_ACCESS), b"", {"out": 512}, UNKNOWN, 0)
        for m in (IN_DIRECT, OUT_DIRECT, NEITHER)
    ] + [
        (f"method {m} for a read", ctl(17, m, READ_ACCESS), transfer(), {"out": 512}, UNKNOWN, 0)
        for m in (BUFFERED, IN_DIRECT, NEITHER)
    ] + [
        (f"method {m} for a write", ctl(18, m, WRITE_ACCESS), transfer(), {"out": 512}, UNKNOWN, 0)
        for m in (BUFFERED, OUT_DIRECT, NEITHER)
    ] + [
        (f"access bits {a} for a {what}", ctl(f, m, a), transfer(), {"out": 512}, UNKNOWN, 0)
        for what, f, m, wrong in (("device info", 0, BUFFERED, (ANY, WRITE_ACCESS, 3)),
                                  ("read", 17, OUT_DIRECT, (ANY, WRITE_ACCESS, 3)),
                                  ("write", 18, IN_DIRECT, (ANY, READ_ACCESS, 3)))
        for a in wrong
    ],
    "access": [
        (f"{what} through a handle for {access}", code, data, {"out": out, "access": access},
         SUCCESS if fits else DENIED, got if fits else 0)
        for what, code, data, out, got, needs in (
            ("device info", GET_DEVICE_INFO, b"", 320, 320, "read"),
            ("stats", GET_STATS, b"", STATS_SIZE, STATS_SIZE, "read"),
            ("clear", CLEAR_STATS, b"", 0, 0, "write"),
            ("blk info", BLK_GET_INFO, b"", 48, 48, "read"),
            ("read", BLK_READ, transfer(), 512, 512, "read"),
            ("write", BLK_WRITE, transfer(64), 512, 512, "write"),
            ("flush", BLK_FLUSH, b"", 0, 0, "write"),
            ("id", BLK_GET_ID, b"", 24, 24, "read"))
        for access in ("read", "write", "none") for fits in (access == needs,)
    ] + [
        ("an unknown code that asks for nothing", ctl(100, BUFFERED, ANY), b"",
         {"out": 8, "access": "none"}, UNKNOWN, 0),
        ("an unknown code that asks for both", ctl(100, BUFFERED, 3), b"",
         {"out": 8, "access": "read"}, DENIED, 0),
    ],
    "transfers": [
        row for what, code in (("read", BLK_READ), ("write", BLK_WRITE)) for row in (
            (f"{what}, no input", code, b"", {"out": 512}, SMALL, 0),
            (f"{what}, input one byte short", code, transfer()[:15], {"out": 512}, SMALL, 0),
            (f"{what}, input of one byte", code, b"\0", {"out": 512}, SMALL, 0),
            (f"{what}, longer input", code, transfer(64) + b"\x99" * 9, {"out": 512}, SUCCESS, 512),
            (f"{what}, long input", code, transfer(64), {"in_size": 9000, "out": 512}, SUCCESS,
             512),
            (f"{what}, no data", code, transfer(), {"out": 0}, PARAMETER, 0),
            (f"{what}, one byte", code, transfer(), {"out": 1}, PARAMETER, 0),
            (f"{what}, 511 bytes", code, transfer(), {"out": 511}, PARAMETER, 0),
            (f"{what}, 513 bytes", code, transfer(), {"out": 513}, PARAMETER, 0),
            (f"{what}, a sector and 1 MiB and a byte", code, transfer(),
             {"out": 2**20 + 513}, PARAMETER, 0),
            (f"{what}, reserved 1", code, transfer(reserved=1), {"out": 512}, PARAMETER, 0),
            (f"{what}, reserved, highest bit", code, transfer(reserved=1 << 31), {"out": 512},
             PARAMETER, 0),
            (f"{what}, more segments than bytes", code, transfer(segments=513), {"out": 512},
             PARAMETER, 0),
            (f"{what}, segments past the limit", code, transfer(segments=4097),
             {"out": 8192}, PARAMETER, 0),
            (f"{what}, segments, all ones", code, transfer(segments=2**32 - 1), {"out": 8192},
             PARAMETER, 0),
            (f"{what}, the last sector that can be named", code, transfer(LAST), {"out": 512},
             PARAMETER, 0),
            (f"{what}, past the last that can be named", code, transfer(LAST - 1), {"out": 1536},
             PARAMETER, 0),
            (f"{what}, up to the last that can be named", code, transfer(LAST - 1), {"out": 512},
             ERROR, 0),
            (f"{what}, a byte offset past 2^64", code, transfer(2**55), {"out": 512}, ERROR, 0),
            (f"{what}, a byte offset past 2^63", code, transfer(2**54), {"out": 512}, ERROR, 0),
            (f"{what}, at an odd address", code, transfer(64), {"out": 1024, "offset": 3},
             SUCCESS, 1024),
            (f"{what}, across pages from an odd address", code, transfer(64),
             {"out": 8192, "offset": 4095}, SUCCESS, 8192),
            (f"{what}, input where the data is", code, transfer(64), {"out": 512, "same": 1},
             SUCCESS, 512),
        )],
}

REFUSED = (SMALL, DENIED, PARAMETER, UNKNOWN)


@pytest.fixture
def tidy(vm):
    """A disk that holds what is expected, before and after."""
    yield vm
    vm.console.command("blk write 64 16 seed=1 gen=1")
    vm.expected.wrote(64, 16, 1, 1)
    vm.expected.check()


def check(vm, row):
    what, code, data, options, status, information = row
    quiet = status in REFUSED           # nothing may have changed: the checksum tells
    got = ioctl.send(vm, code, data, **{"fill": FILL, **options, "quiet": int(quiet)})
    assert (got.name, got.information) == ("STATUS_" + status, information), what
    if code == BLK_READ and not quiet:
        return              # the data is compared elsewhere; after an error it is anything
    before = bytearray([FILL] * options.get("out", 0))
    if options.get("same"):
        before[:len(data)] = data
    if quiet:
        assert got.crc == zlib.crc32(before), f"{what}: bytes that nobody reported"
        return
    returned = 0 if code == BLK_WRITE else information
    assert got.output[returned:] == before[returned:], f"{what}: bytes that nobody reported"
    assert len(got.output) == len(before)


def check_group(vm, rows):
    """What is wrong by itself is refused before the ring."""
    refused = [row for row in rows if row[4] in REFUSED]
    before = vm.console.command("stats").num("submitted")
    for row in refused:
        check(vm, row)
    assert vm.console.command("stats").num("submitted") == before, "one went to the device"
    for row in rows:
        if row not in refused:
            check(vm, row)
    assert vm.console.command("stats").num("in_flight") == 0


@pytest.mark.on("one", nightly="machines")
@pytest.mark.parametrize("group", list(CASES))
def test_case(tidy, group):
    check_group(tidy, CASES[group])


@pytest.mark.on("one")
def test_data_of_raw_requests(tidy):
    """At any address, and with the input in the same buffer, the data is right."""
    vm = tidy
    vm.console.command("blk write 64 16 seed=3 gen=2")
    want = pattern.content(3, 64, 16, 2)
    for offset in (0, 1, 3, 511, 4095):
        got = ioctl.send(vm, BLK_READ, transfer(64), out=8192, offset=offset, fill=FILL, quiet=1)
        assert got.crc == zlib.crc32(want), offset
    got = ioctl.send(vm, BLK_READ, transfer(64), out=1024, same=1)
    assert got.output == want[:1024]
    for offset in (0, 5, 4095):
        ioctl.send(vm, BLK_WRITE, transfer(66), out=512, offset=offset, same=1, fill=offset % 251)
        written = transfer(66) + bytes([offset % 251]) * (512 - 16)
        assert vm.disk.read(66, 1) == written
        assert vm.disk.read(64, 2) + vm.disk.read(67, 1) == want[:1024] + want[1536:2048]


FLOODS = {
    "device info": (GET_DEVICE_INFO, b"", {"out": 320}, SUCCESS, 320),
    "short": (GET_DEVICE_INFO, b"", {"out": 8}, SMALL, 0),
    "unknown": (0x12345678, b"", {"out": 16, "in_size": 100}, UNKNOWN, 0),
    "denied": (BLK_WRITE, transfer(), {"out": 512, "access": "read"}, DENIED, 0),
    "reads": (BLK_READ, transfer(100), {"out": 512}, SUCCESS, 512),
    "reads into one buffer": (BLK_READ, transfer(100), {"out": 4096, "share": 1}, SUCCESS, 4096),
    "writes of one buffer": (BLK_WRITE, transfer(64), {"out": 4096, "share": 1}, SUCCESS, 4096),
    "past the end": (BLK_READ, transfer(2**40), {"out": 512}, ERROR, 0),
    "ids": (BLK_GET_ID, b"", {"out": 24}, SUCCESS, 24),
}


def check_flood(vm, kind):
    code, data, options, status, information = FLOODS[kind]
    got = ioctl.send_many(vm, code, data, count=1000, **options)
    assert got == {("STATUS_" + status, information): 1000}
    assert vm.console.command("stats").num("in_flight") == 0
    vm.console.command("blk write 64 8 seed=1 gen=1")
    vm.expected.wrote(64, 8, 1, 1)
    run(vm, Workload(ops=50, depth=8, seed=17, span=4096))


@pytest.mark.on("one")
@pytest.mark.parametrize("kind", ["unknown", "reads into one buffer", "past the end"])
def test_flood(tidy, kind):
    """More at once than any ring holds; each comes back once."""
    check_flood(tidy, kind)


@pytest.mark.nightly
@pytest.mark.on("transports", options=("cpus=2",))
@pytest.mark.parametrize("kind", list(FLOODS))
def test_flood_of_each_kind(tidy, kind):
    check_flood(tidy, kind)


@pytest.mark.on("one", nightly="transports", queue_size=16)
@pytest.mark.parametrize("code, data", [(BLK_READ, transfer(100)), (BLK_WRITE, transfer(64)),
                                        (BLK_GET_ID, b"")], ids=["read", "write", "id"])
def test_handle_closed_under_requests(tidy, code, data):
    """What waits in the framework's queue is cancelled; what is at the device ends as it
    would have. No request is lost or answered twice, and the device goes on."""
    vm, out = tidy, 24 if code == BLK_GET_ID else 4096
    with vm.slow_disk(400):
        got = ioctl.send_many(vm, code, data, count=300, out=out, close=1)
        assert sum(got.values()) == 300
        assert set(got) <= {("STATUS_SUCCESS", out), ("STATUS_CANCELLED", 0)}, got
        if code != BLK_GET_ID:          # QEMU answers those without its disk
            assert got.get(("STATUS_CANCELLED", 0), 0) > 0, got
    assert vm.console.command("stats").num("in_flight") == 0
    vm.console.command("blk write 64 8 seed=1 gen=1")
    vm.expected.wrote(64, 8, 1, 1)
    run(vm, Workload(ops=50, depth=8, seed=18, span=4096))


@pytest.mark.nightly
@pytest.mark.on("transports")
def test_random_requests(tidy, note):
    """Codes and buffers drawn at random; any status is right that vq7_ioctl.h has."""
    seed = int(os.environ.get("VQ7_SEED", "1"))
    note("seed", seed)
    draw = random.Random(seed)
    known = [GET_DEVICE_INFO, GET_STATS, CLEAR_STATS, BLK_GET_INFO, BLK_READ, BLK_WRITE, BLK_FLUSH,
             BLK_GET_ID]
    allowed = {"STATUS_" + s for s in (SUCCESS, SMALL, DENIED, PARAMETER, UNKNOWN, ERROR)}
    for _ in range(400):
        code = draw.choice(known) if draw.random() < 0.8 else draw.getrandbits(32)
        code ^= 1 << draw.randrange(32) if draw.random() < 0.1 else 0
        data = draw.choice([b"", draw.randbytes(draw.randrange(1, 40)),
                            transfer(64, draw.choice([0, 1, 3, 4096])),
                            transfer(draw.getrandbits(64), draw.getrandbits(3))])
        if code == BLK_WRITE and data[:8] != transfer(64)[:8]:
            data = transfer(64)         # writes stay where the test expects them
        out = draw.choice([0, 1, 24, 48, STATS_SIZE, 320, 512, 1024])
        got = ioctl.send(tidy, code, data, out=out, fill=FILL, offset=draw.choice([0, 0, 1, 4095]),
                         access=draw.choice(["both", "both", "read", "write", "none"]))
        assert got.name in allowed, (hex(code), data.hex(), out)
        if got.name != "STATUS_SUCCESS" and code != BLK_READ:
            assert got.output == bytes([FILL]) * out


@pytest.mark.needs("unload")
@pytest.mark.on("one")
def test_no_device_after_unload(vm):
    """Each command that needs a device says that there is none."""
    vm.console.command("driver unload")
    for command in ("queues", "stats", "stats clear", "blk info", "blk read 0 1",
                    "blk write 0 1 seed=1 gen=1", "blk verify 0 1 seed=1 gen=1", "blk flush",
                    "blk id", "blk run", "ioctl 0", "driver unload"):
        with pytest.raises(CommandError) as refused:
            vm.console.command(command)
        assert refused.value.name == "NO_DEVICE", command
    assert vm.console.command("info").num("devices") == 0
    assert vm.console.command("devices").num("devices") == 0
    assert vm.console.command("driver load").num("devices") == 1
    run(vm, Workload(ops=20, seed=19, span=1024))
