# SPDX-License-Identifier: MIT
"""Reads files of a UDF 1.02 file system (ECMA-167), which is what Windows' ISOs have; beside it
their ISO 9660 part holds no more than a note."""

import struct

SECTOR = 2048
ANCHOR = 256            # sector of the anchor volume descriptor pointer
(ANCHOR_ID, PARTITION_ID, LOGICAL_VOLUME_ID, TERMINATOR_ID, FILE_SET_ID, NAME_ID, ENTRY_ID,
 EXTENDED_ENTRY_ID) = 2, 5, 6, 8, 256, 257, 261, 266
SHORT, LONG, EMBEDDED = 0, 1, 3         # kinds of allocation descriptors
DELETED, PARENT = 0x04, 0x08
MOST_DIRECTORY = 1 << 20


class Damaged(Exception):
    """The file is no such image, or part of it is missing; says what."""


class File:
    """A file: its size, and where its bytes are in the image."""

    def __init__(self, volume, size, extents, embedded=None):
        self._volume, self.size, self._extents, self._embedded = volume, size, extents, embedded

    def read(self, at, size):
        if at < 0 or size < 0 or at + size > self.size:
            raise Damaged("the end of a file is missing")
        if self._embedded is not None:
            return self._embedded[at:at + size]
        found, start = b"", 0
        for offset, length in self._extents:
            first = max(at, start)
            last = min(at + size, start + length)
            if first < last:
                found += self._volume.bytes(offset + first - start, last - first)
            start += length
        if len(found) != size:
            raise Damaged("the end of a file is missing")
        return found

    @property
    def end(self):
        """Of its last byte in the image."""
        return max((offset + length for offset, length in self._extents), default=0)


class Volume:
    """An open image. Raises Damaged unless it has such a file system."""

    def __init__(self, file):
        self._file = file
        tag, anchor = self._descriptor(ANCHOR)
        if tag != ANCHOR_ID:
            raise Damaged("it has no UDF file system")
        length, start = struct.unpack_from("<II", anchor, 16)
        root = self._volume_descriptors(start, min(length // SECTOR, 64))
        tag, file_set = self._descriptor(self._start + root)
        if tag != FILE_SET_ID:
            raise Damaged("its UDF file system has no file set")
        self._root = self._file_at(file_set, 400)

    def bytes(self, offset, size):
        self._file.seek(offset)
        data = self._file.read(size)
        if len(data) != size:
            raise Damaged(f"it ends before byte {offset + size}: the download isn't complete")
        return data

    def _descriptor(self, sector):
        data = self.bytes(sector * SECTOR, SECTOR)
        if (sum(data[:16]) - data[4]) & 0xFF != data[4]:
            raise Damaged(f"sector {sector} holds no UDF descriptor")
        return struct.unpack_from("<H", data)[0], data

    def _volume_descriptors(self, start, count):
        """Where the partition begins; the block of the file set in it is returned."""
        self._start, root = None, None
        for sector in range(start, start + count):
            tag, data = self._descriptor(sector)
            if tag == PARTITION_ID:
                (self._start,) = struct.unpack_from("<I", data, 188)
            elif tag == LOGICAL_VOLUME_ID:
                if data[440] != 1:
                    raise Damaged("its UDF file system is newer than Windows 7's media have")
                (root,) = struct.unpack_from("<I", data, 252)
            elif tag == TERMINATOR_ID:
                break
        if self._start is None or root is None:
            raise Damaged("its UDF file system has no partition")
        return root

    def _file_at(self, data, at):
        """The file whose long_ad is at `at`."""
        (block,) = struct.unpack_from("<I", data, at + 4)
        tag, entry = self._descriptor(self._start + block)
        if tag not in (ENTRY_ID, EXTENDED_ENTRY_ID):
            raise Damaged("a file's entry is missing in its UDF file system")
        lengths = 168 if tag == ENTRY_ID else 208
        kind = struct.unpack_from("<H", entry, 34)[0] & 7
        (size,) = struct.unpack_from("<Q", entry, 56)
        attributes, used = struct.unpack_from("<II", entry, lengths)
        first = lengths + 8 + attributes
        if first + used > SECTOR:
            raise Damaged("a file's entry is odd in its UDF file system")
        if kind == EMBEDDED:
            return File(self, size, [], entry[first:first + used])
        step = {SHORT: 8, LONG: 16}.get(kind)
        if step is None:
            raise Damaged("a file is stored in a way that Windows 7's media don't have")
        extents = []
        for where in range(first, first + used, step):
            length, block = struct.unpack_from("<II", entry, where)
            extents.append(((self._start + block) * SECTOR, length & 0x3FFFFFFF))
        return File(self, size, extents)

    def _names(self, directory):
        """{name in lower case: (data, where its long_ad is)}"""
        data = directory.read(0, min(directory.size, MOST_DIRECTORY))
        found, at = {}, 0
        while at + 38 <= len(data):
            if struct.unpack_from("<H", data, at)[0] != NAME_ID:
                raise Damaged("a folder is damaged in its UDF file system")
            characteristics, length = data[at + 18], data[at + 19]
            (used,) = struct.unpack_from("<H", data, at + 36)
            name = data[at + 38 + used:at + 38 + used + length]
            if name and not characteristics & (DELETED | PARENT):
                text = name[1:].decode("utf-16-be" if name[0] == 16 else "latin-1", "replace")
                found[text.lower()] = at + 20
            at += (38 + used + length + 3) // 4 * 4
        return data, found

    def find(self, path):
        """The file of a path with slashes, or None."""
        file = self._root
        for name in path.lower().split("/"):
            data, names = self._names(file)
            if name not in names:
                return None
            file = self._file_at(data, names[name])
        return file
