# SPDX-License-Identifier: MIT
"""What is on a picture of a screen, as far as a line about it goes."""

import pathlib
import struct
import zlib

PNG = b"\x89PNG\r\n\x1a\n"


def is_black(path):
    """Is there nothing but black on this PNG (RGB without a palette, as QEMU writes it)?"""
    data = pathlib.Path(path).read_bytes()
    if data[:8] != PNG or len(data) < 33:
        return False
    width, _, depth, colours = struct.unpack_from(">IIBB", data, 16)
    if (depth, colours) != (8, 2):
        return False
    at, packed = 8, b""
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IDAT":
            packed += data[at + 8:at + 8 + size]
        at += 12 + size
    try:
        lines = zlib.decompress(packed)
    except zlib.error:
        return False
    # Each line: the number of a filter, and differences, all 0 where all is black.
    line = 1 + 3 * width
    return not any(any(lines[start + 1:start + line]) for start in range(0, len(lines), line))
