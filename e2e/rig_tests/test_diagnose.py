# SPDX-License-Identifier: MIT
"""What is said about a hang points at its cause."""

import pytest

from vq7rig import diagnose
from vq7rig.errors import Hang
from vq7rig.guests.ntcompat import Ntcompat
from vq7rig.vm import VM


def device(taken, used, inuse=0):
    return {"last-avail-idx": taken, "shadow-avail-idx": taken, "used-idx": used,
            "signalled-used": used, "inuse": inuse}


def driver(submitted, completed):
    return {"submitted": submitted, "completed": completed, "in_flight": submitted - completed}


@pytest.mark.parametrize("at_device, at_driver, words", [
    (device(0, 0), driver(21, 0), "of 21 requests in flight the device took only 0: avail->idx"),
    (device(5, 5), driver(5, 2), "the device completed 3 requests that the driver did not drain"),
    (device(4, 4), driver(65540, 65539), "completed 1 requests that the driver did not drain"),
    (device(9, 7, 2), driver(9, 7), "the device has all 2 requests in flight"),
    (device(9, 9), driver(9, 9), "the driver waits for no request"),
])
def test_reading_of_a_queue(at_device, at_driver, words):
    assert words in diagnose.reading(at_device, at_driver)


def test_hang_at_boot_shows_the_kernels_log(tmp_path):
    """A kernel whose agent never starts says why on its own log only."""
    vm = VM.__new__(VM)
    vm.backend, vm.system = None, Ntcompat()
    vm.run = tmp_path
    (tmp_path / "debug.log").write_bytes(b"first\n" * 50 + b"io: no vq7agent.sys\x07\n")
    text = str(vm._explained(Hang("the prompt", 30, "", "console.log")))
    assert text.endswith("  | io: no vq7agent.sys?") and text.count("first") < 10
    (tmp_path / "debug.log").unlink()
    assert str(vm._explained(Hang("the prompt", 30, "", "x"))).endswith("  | (nothing)")
