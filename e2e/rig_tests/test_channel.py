# SPDX-License-Identifier: MIT
"""The console of a machine that goes on in another QEMU."""

import socket
import time

import pytest

from vq7rig.channel import SocketChannel


@pytest.fixture
def first(tmp_path):
    """(the channel, the first QEMU's end of it)"""
    ours, theirs = socket.socketpair()
    channel = SocketChannel(ours)
    yield channel, theirs
    channel.close()
    theirs.close()


@pytest.fixture
def second(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(tmp_path / "console.sock"))
        listener.listen(1)
        yield listener


def test_what_the_first_said_last_is_not_lost(first, second, tmp_path):
    channel, theirs = first
    channel.leave()
    theirs.send(b"last words")
    channel.move(str(tmp_path / "console.sock"))
    other, _ = second.accept()
    with other:
        assert channel.send(b"to the second") and other.recv(99) == b"to the second"
        theirs.close()
        other.send(b"first words")
        assert channel.recv(1.0) == b"last words"
        assert channel.recv(1.0) == b"" and channel.recv(1.0) == b"first words"
        other.close()
        assert channel.recv(1.0) is None, "its end is the end"


def test_regression_sending_to_nobody_ends(first):
    """The first has ended, and no other comes."""
    channel, theirs = first
    channel.leave()
    theirs.close()
    began = time.monotonic()
    assert channel.send(b"x", timeout=0.2) is False
    assert 0.2 <= time.monotonic() - began < 5
    assert channel.recv(0.1) == b""


def test_one_that_stays_away(first):
    channel, theirs = first
    channel.leave()
    theirs.close()
    channel.leave(False)
    assert channel.recv(0.1) is None and channel.send(b"x") is None
