# SPDX-License-Identifier: MIT
"""A rig that stood still, or that looks late, doesn't call a guest hung that has answered."""

import signal
import socket
import time

import pytest

from test_console import console, open_console, quick      # noqa: F401, fixtures
from vq7rig import console as console_module
from vq7rig.clock import GAP, TICK, Clock
from vq7rig.console import Console
from vq7rig.errors import Hang, RigError
from vq7rig.frames import seal, unseal


def test_gaps_are_not_counted(monkeypatch):
    monkeypatch.setattr(Clock, "_start", lambda self: None)
    at = [100.0]
    clock = Clock(lambda: at[0])
    began = clock.now()
    for step in (GAP / 2, GAP - 0.01, 3600, 0.1):
        at[0] += step
        clock.now()
    assert clock.lost == pytest.approx(3600 - TICK)
    assert clock.now() - began == pytest.approx(GAP / 2 + GAP - 0.01 + TICK + 0.1)


def test_the_thread_ticks():
    """Nobody asks for longer than a gap, and it is no gap."""
    clock = Clock()
    began = clock.now()
    time.sleep(GAP + 2 * TICK)
    assert clock.now() - began > GAP and clock.lost == 0


def test_answer_that_came_before_the_rig_looked(console, monkeypatch):     # noqa: F811
    """The deadline has passed when it looks, and the answer has been there for long."""
    def send_and_be_slow(data, real=console._send):
        real(data)
        time.sleep(0.6)

    monkeypatch.setattr(console, "_send", send_and_be_slow)
    assert console.command("info", quiet=0.2, timeout=0.4)["driver"] == "loaded"


def test_prompt_that_came_before_the_rig_looked(open_console):      # noqa: F811
    console = open_console()                                        # noqa: F811
    time.sleep(0.3)
    console.wait_prompt(0)


class Chatter:
    """A channel on which there is always another line."""

    def recv(self, _timeout):
        return b"tick\r\n"

    def send(self, _data, **_):
        return True

    def close(self):
        pass


def test_guest_that_prints_and_prints(tmp_path, monkeypatch):
    """Output that is no answer, and has no end, is a hang like silence."""
    monkeypatch.setattr(console_module, "DRAIN", 0.2)
    chatty = Console(Chatter(), tmp_path / "log")
    with pytest.raises(Hang, match="no answer"):
        chatty.command("info", timeout=0.5)
    with pytest.raises(Hang, match="no prompt"):
        chatty.wait_prompt(0.5)
    chatty.close()


def test_requests_that_timed_out_while_the_machine_stood_still(open_console, monkeypatch):  # noqa
    """QEMU stood still, too, maybe, and the guest's clock went on."""
    console = open_console("timeout")                               # noqa: F811
    console.wait_boot(5)
    seconds = iter([10, 50])
    monkeypatch.setattr(console_module, "lost", lambda: next(seconds))
    with pytest.raises(RigError, match="stood still for 40 s during 'blk flush'"):
        console.command("blk flush")


CLIENT = """
import sys
from vq7rig.channel import SocketChannel
from vq7rig.console import Console
console = Console(SocketChannel.connect(sys.argv[1]), sys.argv[2])
console.command("info", quiet=1, timeout=1)
print("answered")
"""


def test_stopped_rig(cli, tmp_path):
    """The whole machine slept: the answer comes after the rig went on, past its deadline."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        listener.settimeout(20)
        rig = cli(tmp_path / "s", tmp_path / "log", code=CLIENT, start_only=True)
        guest, _ = listener.accept()
        request = unseal(guest.recv(4096).decode().strip())
        rig.send_signal(signal.SIGSTOP)
        time.sleep(GAP + 1.5)
        rig.send_signal(signal.SIGCONT)
        time.sleep(0.5)
        guest.sendall(seal(f"{request.partition(' ')[0]} ok lines=0").encode() + b"\r\n")
        out, err = rig.communicate(timeout=10)
        guest.close()
    assert out == "answered\n", err
