# SPDX-License-Identifier: MIT
"""The digest by which a signature or a catalog names a PE image (Microsoft, "Windows
Authenticode Portable Executable Signature Format"): all of the file but the checksum, the
directory entry of the certificate table, and that table."""

import hashlib
import struct

from pe_checksum import checksum_offset

CERTIFICATE_TABLE = 4


def digest(image, algorithm="sha1"):
    checksum = checksum_offset(image)
    header = checksum - 64
    (magic,) = struct.unpack_from("<H", image, header)
    entry = header + (112 if magic == 0x20B else 96) + 8 * CERTIFICATE_TABLE
    table, size = struct.unpack_from("<II", image, entry)
    end = table if size else len(image)
    if size and table + size != len(image):
        raise ValueError("the certificate table is not the end of the file")
    hashed = hashlib.new(algorithm)
    for part in ((0, checksum), (checksum + 4, entry), (entry + 8, end)):
        hashed.update(image[slice(*part)])
    # A signature starts at a multiple of 8; what fills the file up to there is signed, too.
    if not size:
        hashed.update(bytes(-len(image) % 8))
    return hashed.digest()


def flat_digest(data, algorithm="sha1"):
    """Of any other file, as an INF: all of it."""
    return hashlib.new(algorithm, data).digest()
