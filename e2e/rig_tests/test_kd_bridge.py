# SPDX-License-Identifier: MIT
"""COM2 given out on a TCP port, and who is turned away there."""

import io
import os
import re
import select
import shlex
import shutil
import socket
import subprocess
import time

import pytest

from kd_target import KERNEL, KdPort
from vq7rig.channel import SocketChannel
from vq7rig.errors import RigError, UsageError
from vq7rig.kd import windbg
from vq7rig.kd.bridge import Bridge
from vq7rig.kd.client import Client
from vq7rig.kd.link import Link


@pytest.fixture
def notes():
    return []


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def bridge(tmp_path, notes):
    """(host, port) of a bridge before a running target"""
    number = free_port()
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


def test_what_goes_without_a_packet(bridge, notes):
    with socket.create_connection(bridge) as other:
        other.sendall(b"GET / HTTP/1.1\r\n\r\n")
    wait_for(notes, "sends b'GET / HTTP/1.1\\r\\n'..., which is no kernel debugger's packet")


def test_port_taken(bridge):
    with pytest.raises(RigError, match="that port is taken; end what uses it"):
        Bridge(f"{bridge[0]}:{bridge[1]}", print)


@pytest.mark.parametrize("text", ["4440", ":4440", "here:", "127.0.0.1:0", "127.0.0.1:70000",
                                  "127.0.0.1:-1", "192.0.2.1:4440"])
def test_address_that_is_none(text):
    with pytest.raises(UsageError, match=f"--listen {text}: it "):
        Bridge(text, print)


def test_next_port_where_nobody_said_which(bridge, monkeypatch):
    monkeypatch.setattr("vq7rig.kd.bridge.DEFAULT", f"127.0.0.1:{bridge[1]}")
    made = Bridge.at_some_port(print)
    assert bridge[1] < made.address[1] < bridge[1] + 16
    made.close()


def test_machine_gone(tmp_path, notes):
    made = Bridge("127.0.0.1:44401", notes.append)
    made.serve(str(tmp_path / "nothing"))
    with socket.create_connection(("127.0.0.1", 44401)) as client:
        assert client.recv(1) == b""
    wait_for(notes, "no way to the machine's COM2")
    made.close()


# --- what `make windbg` prints -----------------------------------------------------------------

def printed(tmp_path, address=("127.0.0.1", 4440)):
    return windbg.lines(*address, tmp_path, tmp_path / "kd.sock")


def test_lines(tmp_path):
    """WinDbg's are those of its documentation ("Kernel-mode debugging of a virtual machine")."""
    text = printed(tmp_path)
    assert "-k com:pipe,port=\\\\.\\pipe\\vq7,resets=0,reconnect -y C:\\vq7\\symbols" in text
    assert "-k com:port=com1,baud=115200 -y C:\\vq7\\symbols" in text
    assert f"symbol path: {tmp_path}\n" in text and "tcp:127.0.0.1:4440" in text
    assert f"UNIX-CONNECT:{tmp_path}/kd.sock" in text
    script, = re.findall(r"with (\S+pipe\.ps1) and", text)
    assert "NamedPipeServerStream" in open(script, encoding="utf-8").read()


@pytest.mark.parametrize("name", ["a'b c", "a"])
def test_lines_are_words_of_a_shell(tmp_path, name):
    """What is behind -y, as sh takes it, is one word: the folder as Wine has it."""
    text = windbg.lines("127.0.0.1", 4440, tmp_path / name, tmp_path / "kd.sock")
    line = text[text.index("wine windbg"):text.index("WinDbg on another machine")]
    words = shlex.split(line)
    assert words[words.index("-y") + 1] == f"Z:{tmp_path}/{name}".replace("/", "\\")
    assert words[-2] == "-srcpath" and words[2:4] == ["-k", "com:port=com1,baud=115200"]
    registry = text[text.index("wine reg"):].splitlines()[0]
    assert shlex.split(registry)[3:] == ["HKLM\\Software\\Wine\\Ports", "/v", "COM1", "/t",
                                         "REG_SZ", "/d", "$HOME/vq7-com1", "/f"]


class Tty:
    """A serial line, as Wine opens it."""

    def __init__(self, path):
        self._fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    def recv(self, timeout):
        ready, _, _ = select.select([self._fd], [], [], timeout)
        return os.read(self._fd, 4096) if ready else b""

    def send(self, data):
        while data:
            select.select([], [self._fd], [], 5)
            data = data[os.write(self._fd, data):]
        return True

    def close(self):
        os.close(self._fd)


@pytest.fixture
def shell(tmp_path):
    """shell(line) runs a line that was printed, in the background, with a home of its own."""
    made = []

    def run(line):
        if shutil.which(line.split()[0]) is None:
            pytest.skip(f"{line.split()[0]} is not installed")
        made.append(subprocess.Popen(["/bin/sh", "-c", f"exec {line}"],
                                     env={**os.environ, "HOME": str(tmp_path)}))

    yield run
    for each in made:
        each.terminate()
        each.wait(10)           # its status says which of its two ends went first


def use(channel):
    """A debugger's work, packets of every size among it."""
    client = Client(Link(channel))
    client.attach()
    assert client.version().minor == 7601
    for _ in range(10):
        client.go()
        client.break_in()
    client.write(KERNEL + 0x1000, bytes(range(256)) * 8)     # every byte goes through
    assert client.read(KERNEL + 0x1000, 0x800) == bytes(range(256)) * 8
    assert client.link.counts["damaged"] == 0
    client.close()


def line_of(text, word):
    return next(line.strip() for line in text.splitlines() if line.strip().startswith(word))


def test_socat_as_a_serial_line(bridge, notes, shell, tmp_path):
    """The line for Wine, which then has a terminal for its COM1."""
    shell(line_of(printed(tmp_path, bridge), "socat pty"))
    link = tmp_path / "vq7-com1"
    deadline = time.monotonic() + 10
    while not link.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    use(Tty(link))
    wait_for(notes, "debugger connected")


def test_socat_as_a_port(tmp_path, shell):
    port = KdPort(tmp_path / "kd.sock")
    number = free_port()
    shell(line_of(printed(tmp_path, ("127.0.0.1", number - 1)), "socat TCP-LISTEN"))
    deadline = time.monotonic() + 10
    while True:
        try:
            channel = SocketChannel(socket.create_connection(("127.0.0.1", number)))
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    use(channel)
    port.close()


@pytest.mark.nightly
def test_serial_port_of_another_vm(bridge, notes, shell, tmp_path):
    found = re.search(r"QEMU: (-serial\s+\S+)\)", printed(tmp_path, bridge))
    shell("qemu-system-x86_64 -S -nodefaults -display none " + " ".join(found[1].split()))
    wait_for(notes, "debugger connected")
