# SPDX-License-Identifier: MIT
"""The driver's I/O control requests, from guest_driver/driver/vq7_ioctl.h, and the
agent's command `ioctl`, which sends any of them (docs/console-protocol.md)."""

import struct
from dataclasses import dataclass

BUFFERED, IN_DIRECT, OUT_DIRECT, NEITHER = 0, 1, 2, 3
ANY, READ_ACCESS, WRITE_ACCESS = 0, 1, 2


def ctl(function, method, access, device_type=0x8007):
    """CTL_CODE() of the driver's functions."""
    return device_type << 16 | access << 14 | (0x800 + function) << 2 | method


GET_DEVICE_INFO = ctl(0, BUFFERED, READ_ACCESS)
GET_STATS = ctl(1, BUFFERED, READ_ACCESS)
CLEAR_STATS = ctl(2, BUFFERED, WRITE_ACCESS)
GET_FAILURES = ctl(3, BUFFERED, READ_ACCESS)
SET_TIMEOUT = ctl(5, BUFFERED, WRITE_ACCESS)
BLK_GET_INFO = ctl(16, BUFFERED, READ_ACCESS)
BLK_READ = ctl(17, OUT_DIRECT, READ_ACCESS)
BLK_WRITE = ctl(18, IN_DIRECT, WRITE_ACCESS)
BLK_FLUSH = ctl(19, BUFFERED, WRITE_ACCESS)
BLK_GET_ID = ctl(20, BUFFERED, READ_ACCESS)

# Bytes of the structures that are returned.
DEVICE_INFO_SIZE, STATS_SIZE, BLK_INFO_SIZE, ID_SIZE, TRANSFER_SIZE = 320, 136, 48, 24, 16
FAILURES_SIZE = 184


def transfer(sector=0, segments=0, reserved=0):
    """VQ7_BLK_TRANSFER."""
    return struct.pack("<QII", sector, segments, reserved)


@dataclass(frozen=True)
class Outcome:
    """What came of one request."""
    name: str               # of the status
    information: int
    output: bytes           # the whole buffer; b"" with quiet=1
    crc: int                # of it


def send(vm, code, data=b"", **options):
    """Send one request; `data` is the input, the options are the command's."""
    answer = vm.console.command(_command(code, data, options))
    output = b"".join(bytes.fromhex(line.split()[1]) for line in answer.lines)
    return Outcome(answer["name"], answer.num("information"), output, answer.num("crc"))


def send_many(vm, code, data=b"", **options):
    """Send `count` requests at once; {(name of the status, information): requests}."""
    answer = vm.console.command(_command(code, data, options))
    return {(row["name"], int(row["information"])): int(row["requests"])
            for row in answer.rows()}


def _command(code, data, options):
    words = [f"ioctl {code:#x}"] + ([f"in={data.hex()}"] if data else [])
    return " ".join(words + [f"{name}={value}" for name, value in options.items()])
