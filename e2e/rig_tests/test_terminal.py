# SPDX-License-Identifier: MIT
"""A person's, or a pipe's, way to the guest's console."""

import os
import socket
import threading
import types

from vq7rig import clock, terminal
from vq7rig.channel import SocketChannel
from vq7rig.console import Console


def test_keys_wait_for_the_prompt(tmp_path, monkeypatch):
    """A serial port that no driver has opened yet would lose them."""
    host, guest = socket.socketpair()
    read, write = os.pipe()
    monkeypatch.setattr("sys.stdin", os.fdopen(read))
    os.write(write, b"info\r")
    os.close(write)
    seen = []

    def play():
        guest.settimeout(0.5)
        for text in (b"booting\r\n", b"vq7> "):
            try:
                seen.append(guest.recv(100))
            except TimeoutError:
                seen.append(None)
            guest.sendall(text)
        guest.settimeout(5)
        seen.append(guest.recv(100))
        guest.close()

    actor = threading.Thread(target=play)
    actor.start()
    vm = types.SimpleNamespace(console=Console(SocketChannel(host), tmp_path / "log"),
                               hello_timeout=30)
    assert "turned itself off" in terminal._relay(vm, terminal.Screen(clock.now(), 30))
    actor.join()
    assert seen == [None, None, b"info\r"]


def test_lines_for_programs_are_left_out(capfd):
    """However they arrive; what only looks like one is shown."""
    from vq7rig.frames import seal
    framed = seal("@0 hello version=1 boot=1").encode() + b"\r\n"
    screen = terminal.Screen()
    for data in (b"agent\r\n", framed[:1], framed[1:2], framed[2:5], framed[5:], b"@", b"x\r\n",
                 b"vq7> "):
        screen.write(data)
    assert capfd.readouterr().out == "agent\r\n@x\r\nvq7> "
