# SPDX-License-Identifier: MIT
"""A file that a hypervisor writes into its pool comes here, and nothing of it stays there."""

import pytest

from vq7rig.bindings import libvirt
from vq7rig.errors import Lacking
from vq7rig.volumes import Volumes

pytestmark = pytest.mark.skipif(libvirt is None, reason="needs libvirt's bindings")

PIECES = (b"\0" * 300000, 0x200000, b"core" * 5000, 0x100000)     # a number: zeros, not sent


class Pool:
    """A pool, the one volume in it, and its stream."""

    def __init__(self, kind, pieces=PIECES):
        self.kind, self.pieces, self.calls = kind, pieces, []

    def name(self):
        return "images"

    def XMLDesc(self, _flags):                      # noqa: N802
        return f"<pool type='{self.kind}'><target><path>/there</path></target></pool>"

    def refresh(self, _flags):
        self.calls.append("refresh")

    def storageVolLookupByName(self, name):         # noqa: N802
        self.calls.append(name)
        return self

    newStream = lambda self: self                   # noqa: E731, N815
    download = finish = lambda self, *_: None       # noqa: E731

    def sparseRecvAll(self, data, hole, opaque):    # noqa: N802
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            (hole if isinstance(piece, int) else data)(self, piece, opaque)

    def delete(self):
        self.calls.append("delete")


def volumes(pool):
    made = Volumes(pool, "vq7-")
    made._pool = pool
    return made


def test_what_is_fetched_is_the_same_with_holes(tmp_path):
    pool = Pool("dir")
    written = []
    volumes(pool).fetch("1.core", written.append, tmp_path / "core")
    assert written == ["/there/vq7-1.core"]
    assert pool.calls == ["refresh", "vq7-1.core", "delete"]
    assert (tmp_path / "core").read_bytes() == b"".join(
        bytes(each) if isinstance(each, int) else each for each in PIECES)
    assert (tmp_path / "core").stat().st_blocks * 512 < 32768


def test_nothing_stays_there_after_an_error(tmp_path):
    pool = Pool("dir", (b"core", OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        volumes(pool).fetch("1.core", lambda path: None, tmp_path / "core")
    assert pool.calls[-1] == "delete"


def test_a_pool_without_files(tmp_path):
    with pytest.raises(Lacking, match="the storage pool images is of the type logical"):
        volumes(Pool("logical")).fetch("1.core", pytest.fail, tmp_path / "core")
