# SPDX-License-Identifier: MIT
"""A guest that the host gives no CPU is slow, not hung."""

import os
import subprocess
import sys
import time

import pytest

from fake_agent import FakeAgent
from vq7rig.channel import SocketChannel
from vq7rig.console import Console
from vq7rig.errors import Hang
from vq7rig.machine import Config
from vq7rig.starvation import MOST, Starvation


class Proc:
    """A /proc with one process of threads, and a clock."""

    def __init__(self, folder):
        self.folder, self.time = folder, 100.0

    def thread(self, tid, waited):
        place = self.folder / "7" / "task" / str(tid)
        place.mkdir(parents=True, exist_ok=True)
        (place / "schedstat").write_text(f"123 {int(waited * 1e9)} 45\n")

    def passes(self, seconds):
        self.time += seconds


@pytest.fixture
def proc(tmp_path):
    made = Proc(tmp_path)
    made.thread(7, 5.0)
    return made


def starvation(proc, pid=7):
    return Starvation(lambda: pid, proc.folder, lambda: proc.time)


def test_what_its_threads_wait_counts(proc):
    starving = starvation(proc)
    assert starving.seconds() == 0
    proc.passes(2)
    proc.thread(7, 5.5)
    proc.thread(8, 0.25)                # it began meanwhile
    assert starving.seconds() == pytest.approx(0.75)
    proc.passes(2)
    assert starving.seconds() == pytest.approx(0.75)


def test_time_goes_on_however_many_wait(proc):
    starving = starvation(proc)
    proc.passes(2)
    for tid in range(7, 17):
        proc.thread(tid, 9.0)
    assert starving.seconds() == pytest.approx(MOST * 2)


def test_another_process_of_the_same_machine(proc):
    """As after a restore: what its threads have waited is of this time."""
    pid = [7]
    starving = Starvation(lambda: pid[0], proc.folder, lambda: proc.time)
    pid[0] = 8
    proc.passes(1)
    assert starving.seconds() == 0      # there is no such process
    (proc.folder / "7").rename(proc.folder / "8")
    proc.thread(7, 0.1)
    proc.passes(7)
    assert 0 < starving.seconds() <= 7 * MOST


@pytest.mark.parametrize("text", ["", "12", "a b c", "1 x 2"])
def test_a_kernel_that_does_not_say(proc, text):
    (proc.folder / "7" / "task" / "7" / "schedstat").write_text(text)
    starving = starvation(proc)
    proc.passes(3)
    assert starving.seconds() == 0
    assert starvation(proc, None).seconds() == 0


def test_a_real_process_that_shares_its_cpu():
    cpu = min(os.sched_getaffinity(0))
    spin = [sys.executable, "-c", f"import os; os.sched_setaffinity(0, [{cpu}])\nwhile True: pass"]
    hogs = [subprocess.Popen(spin) for _ in range(3)]
    try:
        time.sleep(0.3)
        starving = Starvation(lambda: hogs[0].pid)
        time.sleep(1.2)
        assert starving.seconds() > 0.4
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


class SlowAgent(FakeAgent):
    """Takes its time for each framed command."""

    def _handle(self, line):
        time.sleep(2.0)
        super()._handle(line)


@pytest.mark.parametrize("share, hung", [(0.0, True), (0.9, False)])
def test_a_starved_guest_is_waited_for(tmp_path, share, hung):
    """Ten times as long, with a tenth of a CPU."""
    image = os.open(tmp_path / "disk.img", os.O_RDWR | os.O_CREAT)
    os.truncate(image, 1 << 20)
    agent, began = SlowAgent(Config(), image), time.monotonic()
    console = Console(SocketChannel(agent.host_end), tmp_path / "console.log",
                      starved=lambda: share * (time.monotonic() - began))
    agent.start()
    try:
        console.wait_boot(5)
        if hung:
            with pytest.raises(Hang):
                console.command("info", timeout=0.6)
        else:
            assert console.command("info", timeout=0.6).ok
            with console.standing_still():
                then = console.now()
                time.sleep(0.1)
                assert console.now() == then
            assert 0 <= console.now() - then < 0.05
    finally:
        agent.stop()
        console.close()
        os.close(image)
