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


def test_regression_moved_again_before_the_first_is_read(first, tmp_path):
    """Who reads is late: what each of them said comes in its order, and the last end is the end.
    The second's words were lost."""
    channel, theirs = first
    ends = [theirs]
    for number in (1, 2):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            path = str(tmp_path / f"console{number}.sock")
            listener.bind(path)
            listener.listen(1)
            channel.leave()
            channel.move(path)
            ends.append(listener.accept()[0])
        ends[-1].send(b"of %d" % number)
        ends[-2].close()
    assert channel.send(b"to the last") and ends[2].recv(99) == b"to the last"
    said = [channel.recv(1.0) for _ in range(4)]
    assert said == [b"", b"of 1", b"", b"of 2"]
    channel.leave()
    ends[2].close()
    assert channel.recv(0.1) == b""
    channel.leave(False)
    assert channel.recv(0.1) is None and channel.send(b"x") is None


def test_regression_catching_up_while_the_next_one_goes(first, second, tmp_path):
    """It was then forgotten that there is one more to come."""
    channel, theirs = first
    channel.leave()
    channel.move(str(tmp_path / "console.sock"))
    channel.leave()
    theirs.close()
    other, _ = second.accept()
    other.close()
    assert [channel.recv(0.1) for _ in range(3)] == [b""] * 3
