#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the checksum into the headers of PE images: pe_checksum.py FILE...

The sum of all 16-bit words with the carries added back in, the checksum field
taken as 0, plus the length of the file (Microsoft PE/COFF specification,
"Optional Header Windows-Specific Fields"; ImageHlp's CheckSumMappedFile).
"""

import struct
import sys


def checksum_offset(image):
    if len(image) < 0x40 or image[:2] != b"MZ":
        raise ValueError("not a PE image")
    pe = struct.unpack_from("<I", image, 0x3C)[0]
    offset = pe + 4 + 20 + 64  # signature, COFF header, field of the optional header
    if offset + 4 > len(image) or image[pe:pe + 4] != b"PE\0\0":
        raise ValueError("not a PE image")
    return offset


def checksum(image, offset):
    data = bytes(image[:offset]) + bytes(4) + bytes(image[offset + 4:])
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"<{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total + len(image)


def main(paths):
    if not paths:
        sys.exit("usage: pe_checksum.py FILE...")
    for path in paths:
        try:
            with open(path, "r+b") as file:
                image = bytearray(file.read())
                offset = checksum_offset(image)
                struct.pack_into("<I", image, offset, checksum(image, offset))
                file.seek(0)
                file.write(image)
        except (OSError, ValueError, struct.error) as error:
            sys.exit(f"pe_checksum.py: {path}: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
