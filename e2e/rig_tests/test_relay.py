# SPDX-License-Identifier: MIT
"""Serial ports through libvirt's streams, without libvirt."""

import socket
import threading
import types

import pytest

from vq7rig import relay as relay_module
from vq7rig.bindings import libvirt
from vq7rig.channel import SocketChannel
from vq7rig.errors import RigError
from vq7rig.libvirt_host import Host
from vq7rig.relay import FileRelay, SocketRelay

pytestmark = pytest.mark.skipif(libvirt is None, reason="needs libvirt's bindings")


class Stream:
    """A libvirt stream: `come` is what the port says, `sent` what it was told."""

    def __init__(self, busy=0):
        self.come, self.sent, self.busy, self.aborted = [], b"", busy, 0

    def eventAddCallback(self, _events, callback, opaque):      # noqa: N802, libvirt's name
        self.callback = lambda: callback(self, 0, opaque)

    def eventRemoveCallback(self):                              # noqa: N802
        pass

    def abort(self):
        self.aborted += 1

    def recv(self, _count):
        data = self.come.pop(0) if self.come else -2
        if isinstance(data, Exception):
            raise data
        return data

    def send(self, data):
        if self.busy:
            self.busy -= 1
            return -2
        self.sent += data[:3]
        return len(data[:3])


def connect(relay, stream):
    dom = types.SimpleNamespace(openConsole=lambda alias, st, flags: None)
    relay.open(types.SimpleNamespace(newStream=lambda flags: stream), dom, "ua-port0")


@pytest.fixture
def port(tmp_path):
    """(stream, the rig's channel to it)"""
    stream = Stream()
    relay = SocketRelay(str(tmp_path / "s"))
    connect(relay, stream)
    channel = SocketChannel.connect(str(tmp_path / "s"))
    yield stream, channel
    channel.close()
    relay.close()


def everything(channel, count):
    got = b""
    while len(got) < count:
        data = channel.recv(30)
        assert data, f"only {got!r}"
        got += data
    return got


def test_output_arrives_in_order(port):
    stream, channel = port
    for number in range(50):
        stream.come.append(b"%03d " % number)
        if number % 7 == 0:
            stream.callback()
    stream.callback()
    assert everything(channel, 200) == b"".join(b"%03d " % number for number in range(50))


@pytest.mark.parametrize("end", [b"", libvirt and libvirt.libvirtError("gone")])
def test_last_words_and_then_the_end(port, end):
    stream, channel = port
    stream.come += [b"*** STOP", end]
    stream.callback()
    assert everything(channel, 8) == b"*** STOP"
    assert channel.recv(30) is None and stream.aborted


def test_input_waits_for_room(port, monkeypatch):
    monkeypatch.setattr(relay_module, "RETRY", 0.001)
    stream, channel = port
    stream.busy = 20
    assert channel.send(b"blk read 0 8\r")
    stream.come.append(b"answer")
    for _ in range(3000):
        if stream.sent == b"blk read 0 8\r":
            break
        threading.Event().wait(0.01)
    assert stream.sent == b"blk read 0 8\r"
    stream.callback()
    assert everything(channel, 6) == b"answer"


def test_next_client(port, tmp_path):
    """A debugger that went away, and another one: what the first one missed isn't its."""
    stream, first = port
    stream.come.append(b"one")
    stream.callback()
    assert everything(first, 3) == b"one"
    first.close()
    second = SocketChannel.connect(str(tmp_path / "s"))
    assert second.send(b"b")
    for _ in range(3000):
        if stream.sent == b"b":
            break
        threading.Event().wait(0.01)
    stream.come.append(b"two")
    stream.callback()
    assert everything(second, 3) == b"two"
    second.close()


def test_log_is_a_file(tmp_path):
    stream, relay = Stream(), FileRelay(tmp_path / "log")
    connect(relay, stream)
    stream.come += [b"one ", b"two", b""]
    stream.callback()
    assert (tmp_path / "log").read_bytes() == b"one two"
    relay.close()


def test_port_that_cannot_be_opened(tmp_path):
    def refuse(*_):
        raise libvirt.libvirtError("no\nsuch port")

    relay = SocketRelay(str(tmp_path / "s"))
    with pytest.raises(RigError, match="can't open the serial port ua-port0: no such port"):
        relay.open(types.SimpleNamespace(newStream=lambda flags: Stream()),
                   types.SimpleNamespace(openConsole=refuse), "ua-port0")
    relay.close()
    with socket.socket(socket.AF_UNIX) as late, pytest.raises(OSError):
        late.connect(str(tmp_path / "s"))


def test_lost_connection_is_no_guest_crash(monkeypatch):
    """And the next machine is made through a new one."""
    host = Host("qemu+tcp://host/system")
    host.conn = types.SimpleNamespace(isAlive=lambda: False)
    assert "the connection to qemu+tcp://host/system was lost" in str(host.failure_of("vq7-1"))
    new = []
    monkeypatch.setattr(host, "_connect", lambda: new.append(host.conn))
    host.ensure()
    assert new == [None]


def test_relays_of_a_rig_that_never_connects(tmp_path):
    relay = SocketRelay(str(tmp_path / "s"))
    connect(relay, Stream())
    relay.close()
    with pytest.raises(OSError):
        for _ in range(100):
            with socket.socket(socket.AF_UNIX) as late:
                late.connect(str(tmp_path / "s"))
            threading.Event().wait(0.02)
