# SPDX-License-Identifier: MIT
"""`run --debugger`: the first failure's machine waits for a person, who ends it with a key."""

import fcntl
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import termios
import time

import pytest

from test_cli import one_line
from vq7rig.channel import SocketChannel
from vq7rig.kd.client import Client
from vq7rig.kd.link import Link

FAKE = ("-p", "fake_machine", "--accel=tcg")
CTRL_RIGHT_BRACKET = b"\x1d"
LIMIT = 60.0
TESTS = """
import pytest
from vq7rig.errors import Hang, RigError

@pytest.mark.on("one")
def test_first(vm):
    {}

@pytest.mark.on("one")
def test_second(vm):
    pass
"""


class Terminal:
    """A rig at a terminal of its own."""

    def __init__(self, cli, *arguments, **environment):
        self._ours, theirs = pty.openpty()
        self.text = ""
        self.rig = subprocess.Popen(
            [sys.executable, "-m", "vq7rig", *map(str, arguments)], stdin=theirs, stdout=theirs,
            stderr=theirs, cwd=cli.e2e, env={**cli.environment, **environment},
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(theirs)

    def until(self, text):
        """What was said so far, which ends with `text` or holds it."""
        end = time.monotonic() + LIMIT
        while text not in self.text and self._more(end - time.monotonic()):
            pass
        assert text in self.text, self.text
        return self.text

    def _more(self, left):
        assert left > 0 and select.select([self._ours], [], [], left)[0], self.text
        try:
            data = os.read(self._ours, 4096)
        except OSError:
            return False                        # the other end is closed
        self.text += data.decode("utf-8", "replace")
        return bool(data)

    def type(self, keys):
        os.write(self._ours, keys)

    def end(self):
        """Exit code."""
        end = time.monotonic() + LIMIT
        while self._more(end - time.monotonic()):
            pass
        return self.rig.wait(LIMIT)

    def close(self):
        self.rig.kill()
        self.rig.wait()
        os.close(self._ours)


@pytest.fixture
def run(cli, tmp_path):
    """run(body of the first of two tests) is a Terminal with them."""
    made = []

    def start(body, *arguments, **environment):
        test = tmp_path / "test_x.py"
        test.write_text(TESTS.format(body))
        made.append(Terminal(cli, "run", "--debugger", *FAKE, *arguments, test,
                             **{"VQ7_FAKE_KD": "1", "VQ7_PATIENCE": "0.3", **environment}))
        return made[-1]

    yield start
    for each in made:
        each.close()


@pytest.mark.parametrize("body, verdict", [
    ("assert 1 == 2", "FAIL test_first[pc-modern]: assert 1 == 2"),
    pytest.param("raise Hang('a prompt', 10, '', 'log')", "HANG test_first[pc-modern]: ",
                 marks=pytest.mark.nightly),
])
def test_machine_waits_stopped_for_a_debugger(run, cli, body, verdict):
    """Somebody else's debugger finds it stopped, goes on and comes again; the agent's console
    is beside it; Ctrl-] ends machine and run, and no further test has one."""
    rig = run(body)
    text = rig.until("source path: ")
    assert verdict in text
    assert "The machine pc-modern is stopped in its kernel debugger, at fffff800`" in text
    for words in ("windbg -k com:", "socat ", "make kd ATTACH=", "symbol path: "):
        assert words in text
    rig.until("no gdb: ")                       # the machine has no memory to look into
    port = int(re.search(r"COM2 of the machine is TCP port (\d+)", text)[1])
    client = Client(Link(SocketChannel(socket.create_connection(("127.0.0.1", port)))))
    client.attach(LIMIT)
    assert client.version().minor == 7601
    client.go()
    client.break_in()
    client.close()
    rig.until("has gone; the machine stays")
    rig.type(b"info\r")
    rig.until("driver=loaded")
    rig.type(CTRL_RIGHT_BRACKET)
    rig.until("[ended by Ctrl-]]")
    assert rig.end() == 1, rig.text
    assert "1 tests: 1 " in rig.text and "test_second" not in rig.text


@pytest.mark.nightly
def test_kernel_that_does_not_answer_is_paused(run):
    rig = run("assert 1 == 2", VQ7_FAKE_KD="dead")
    rig.until("is paused by QEMU, since WinDbg wouldn't get an answer (no kernel debugger "
              "protocol on the serial port")
    rig.until("no gdb: ")
    rig.type(CTRL_RIGHT_BRACKET)
    assert rig.end() == 1
    assert "windbg -k" not in rig.text


@pytest.mark.nightly
def test_signal_ends_it(run):
    rig = run("assert 1 == 2")
    rig.until("no gdb: ")
    rig.rig.send_signal(signal.SIGTERM)
    assert rig.end() == 130, rig.text


@pytest.mark.nightly
@pytest.mark.parametrize("body, code", [("raise RigError('broken cable')", 3), ("pass", 0)])
def test_nobody_is_asked_without_a_failure_of_the_guest(run, body, code):
    rig = run(body)
    assert rig.end() == code, rig.text
    assert "Ctrl-]" not in rig.text and "2 tests: " in rig.text


@pytest.mark.nightly
def test_machine_that_has_ended_is_not_waited_for(run):
    rig = run("vm.dom.end()\n    assert 1 == 2")
    assert rig.end() == 1, rig.text
    assert "[no machine is left to debug]" in rig.text and "2 tests: 1 pass, 1 fail" in rig.text


@pytest.mark.nightly
def test_several_processes(run):
    """`auto`, as `make e2e` has it, is one."""
    rig = run("pass", "--jobs", "auto")
    assert rig.end() == 0, rig.text
    rig = run("pass", "--jobs", "2")
    assert rig.end() == 2
    assert rig.text.strip() == ("vq7rig: --debugger keeps one machine, and --jobs 2 has several; "
                                "give --jobs 1 (make e2e JOBS=1)")


def test_no_terminal(cli):
    assert "--debugger: standard input is no terminal" in one_line(cli("run", "--debugger"), 2)
