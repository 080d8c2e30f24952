# SPDX-License-Identifier: MIT
"""A registry hive as a live CD has it (regf, version 1.3), with empty keys in it, for tests: and
what is in a hive, read here and not by the tool that changed it."""

import struct

HEADER, BIN, SIGNATURE_AT = 4096, 4096, b"regf"
COMPRESSED, ROOT, NO_DELETE = 0x20, 0x4, 0x8        # flags of a key
NONE = 0xFFFFFFFF


def _cell(content):
    size = len(content) + 4 + 7 & ~7
    return struct.pack("<i", -size) + content.ljust(size - 4, b"\0")


def _key(name, parent, count, subkeys, security, flags):
    longest = 2 * 64 if count else 0
    return _cell(struct.pack("<2sHQIIIIIIIIIIIIIIIHH", b"nk", flags, 0, 0, parent, count, 0,
                             subkeys, NONE, 0, NONE, security, NONE, longest, 0, 0, 0, 0,
                             len(name), 0) + name)


def empty():
    """A hive with its root and no more."""
    security_at = 32 + len(_key(b"ROOT", 0, 0, NONE, 0, 0))
    descriptor = struct.pack("<BBHIIII", 1, 0, 0x8000, 0, 0, 0, 0)
    body = _key(b"ROOT", NONE, 0, NONE, security_at, COMPRESSED | ROOT | NO_DELETE)
    body += _cell(struct.pack("<2sHIIII", b"sk", 0, security_at, security_at, 1, len(descriptor))
                  + descriptor)
    free = BIN - 32 - len(body)
    body += struct.pack("<i", free).ljust(free, b"\0")
    bin_ = struct.pack("<4sIIQQI", b"hbin", 0, BIN, 0, 0, 0) + body
    header = bytearray(struct.pack("<4sIIQIIIIIII", b"regf", 1, 1, 0, 1, 3, 0, 1, 32, BIN, 1)
                       .ljust(HEADER, b"\0"))
    total = 0
    for (word,) in struct.iter_unpack("<I", header[:508]):
        total ^= word
    struct.pack_into("<I", header, 508, total)
    return bytes(header) + bin_


class Hive:
    """What is in one."""

    def __init__(self, data):
        assert data[:4] == SIGNATURE_AT
        self._data = data[HEADER:]
        self._root, = struct.unpack_from("<I", data, 36)

    def _at(self, offset):
        return self._data[offset + 4:offset + abs(struct.unpack_from("<i", self._data, offset)[0])]

    def _subkeys(self, offset):
        raw = self._at(offset)
        kind, count = struct.unpack_from("<2sH", raw)
        step = {b"lf": 8, b"lh": 8, b"li": 4, b"ri": 4}[kind]
        for index in range(count):
            each, = struct.unpack_from("<I", raw, 4 + step * index)
            if kind == b"ri":
                yield from self._subkeys(each)
            else:
                yield each

    def keys(self, offset=None, path=""):
        """{path of a key, in lower case: {name of a value: (type, data)}}"""
        raw = self._at(self._root if offset is None else offset)
        assert raw[:2] == b"nk"
        count, values_count = (struct.unpack_from("<I", raw, at)[0] for at in (20, 36))
        name_size, = struct.unpack_from("<H", raw, 72)
        name = raw[76:76 + name_size].decode(
            "latin-1" if struct.unpack_from("<H", raw, 2)[0] & COMPRESSED else "utf-16-le")
        here = "" if offset is None else f"{path}\\{name}".lstrip("\\").lower()
        found = {here: dict(self._values(struct.unpack_from("<I", raw, 40)[0], values_count))}
        if count:
            for child in self._subkeys(struct.unpack_from("<I", raw, 28)[0]):
                found.update(self.keys(child, here))
        return found

    def _values(self, offset, count):
        for index in range(count):
            raw = self._at(struct.unpack_from("<I", self._at(offset), 4 * index)[0])
            name_size, size, data_at, kind, flags = struct.unpack_from("<HIIIH", raw, 2)
            name = raw[20:20 + name_size].decode("latin-1" if flags & 1 else "utf-16-le")
            data = struct.pack("<I", data_at)[:size & 0xFF] if size & 1 << 31 else \
                self._at(data_at)[:size]
            yield name, (kind, data)
