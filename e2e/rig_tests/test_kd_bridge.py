# SPDX-License-Identifier: MIT
"""COM2 given out on a TCP port, and who is turned away there."""

import io
import socket
import time

import pytest

from kd_target import KdPort
from vq7rig.channel import SocketChannel
from vq7rig.errors import RigError, UsageError
from vq7rig.kd import windbg
from vq7rig.kd.bridge import Bridge
from vq7rig.kd.client import Client
from vq7rig.kd.link import Link


@pytest.fixture
def notes():
    return []


@pytest.fixture
def bridge(tmp_path, notes):
    """(host, port) of a bridge before a running target"""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number = probe.getsockname()[1]
    port = KdPort(tmp_path / "kd.sock")
    made = Bridge(f"127.0.0.1:{number}", notes.append)
    made.serve(port.path)
    yield "127.0.0.1", number
    made.close()
    port.close()


def wait_for(notes, words):
    deadline = time.monotonic() + 10
    while not any(words in note for note in notes):
        assert time.monotonic() < deadline, (words, notes)
        time.sleep(0.01)


def test_one_debugger_after_another(bridge, notes):
    for _ in range(2):
        client = Client(Link(SocketChannel(socket.create_connection(bridge)), io.StringIO()))
        client.attach()
        assert client.version().minor == 7601
        client.close()
        wait_for(notes, "has gone")
        notes.clear()


def test_second_debugger_is_turned_away(bridge, notes):
    client = Client(Link(SocketChannel(socket.create_connection(bridge))))
    client.attach()
    with socket.create_connection(bridge) as second:
        second.settimeout(10)
        assert second.recv(1) == b""
    wait_for(notes, "a second debugger, 127.0.0.1:")
    assert client.version().minor == 7601           # the first one isn't disturbed
    client.close()


def test_what_is_no_debugger(bridge, notes):
    with socket.create_connection(bridge) as other:
        for _ in range(20):
            other.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        wait_for(notes, "no kernel debugger's packet")
    assert len([note for note in notes if "no kernel" in note]) == 1


def test_port_taken(bridge):
    with pytest.raises(RigError, match="that port is taken; end what uses it"):
        Bridge(f"{bridge[0]}:{bridge[1]}", print)


@pytest.mark.parametrize("text", ["4440", ":4440", "here:", "127.0.0.1:0", "127.0.0.1:70000",
                                  "127.0.0.1:-1", "192.0.2.1:4440"])
def test_address_that_is_none(text):
    with pytest.raises(UsageError, match=f"--listen {text}: it "):
        Bridge(text, print)


def test_machine_gone(tmp_path, notes):
    made = Bridge("127.0.0.1:44401", notes.append)
    made.serve(str(tmp_path / "nothing"))
    with socket.create_connection(("127.0.0.1", 44401)) as client:
        assert client.recv(1) == b""
    wait_for(notes, "no way to the machine's COM2")
    made.close()


def test_lines(tmp_path):
    text = windbg.lines("127.0.0.1", 4440, tmp_path, tmp_path / "kd.sock")
    assert "-k com:pipe,port=\\\\.\\pipe\\vq7,resets=0,reconnect" in text
    assert f"symbol path: {tmp_path}\n" in text and "tcp:127.0.0.1:4440" in text
    assert f"UNIX-CONNECT:{tmp_path}/kd.sock" in text
