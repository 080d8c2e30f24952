# SPDX-License-Identifier: MIT
"""What a person types into `make kd` shows the driver as it is: its types, and its queue in the
midst of a request, by the prompt's own command and by WinDbg's script."""

import pathlib
import re

import pytest

from kd_bench import MACHINE, finish, stopped_at
from vq7rig.features import VirtioView
from vq7rig.kd import shell

SCRIPT = pathlib.Path(shell.__file__).with_name("virtq.wds")


@pytest.fixture
def prompt(kd, monkeypatch):
    """prompt(line) is what is said to it."""
    class Stdin:
        isatty, fileno = staticmethod(lambda: False), staticmethod(lambda: 0)

    said = []
    monkeypatch.setattr("sys.stdin", Stdin)
    monkeypatch.setattr(shell, "write", said.append)
    made = shell.Shell(kd)
    made._interrupts.asked = False

    def say(line):
        said.clear()
        made._line(line)
        return "".join(said)

    return say


@pytest.mark.nightly
@pytest.mark.on("one", settings=MACHINE)
def test_queue_in_the_midst_of_a_request(kd, vm, prompt):
    """Both agree with each other, and with QEMU's device."""
    with stopped_at(kd, vm, "vq7test!VirtqSplitGetUsed") as answer:
        queue = kd.context["rcx"]
        device = VirtioView(vm).queue(0)
        shown, script = prompt("!virtq @rcx"), prompt(f"$$>a<{SCRIPT} @rcx")
        assert f"size {device['vring-num']}, " in shown and "1 in flight, " in shown, shown
        assert re.search(rf"avail idx +{device['last-avail-idx']} ", shown), shown
        assert "DIFFERS" not in shown and "NO HEAD" not in shown, shown
        heads = re.findall(r"head (\d+) in flight: (\d+) descriptor", shown)
        assert len(heads) == 1 and heads == re.findall(r"head (\d+) in flight: (\d+) desc", script)
        assert re.findall(r"used\[\d+\]: head \d+, \d+ bytes", shown) == \
            re.findall(r"used\[\d+\]: head \d+, \d+ bytes", script) != []
        addresses = [int(each, 16) for each in re.findall(r"desc\[\d+\]: (0x\w+) ", shown)]
        assert addresses == [int(each.replace("`", ""), 16) for each in
                             re.findall(r"desc\[\d+\]: ([\w`]+) ", script)] != []
        fields = prompt(f"dt vq7test!_VIRTQ_SPLIT {queue:x}")
        assert f"+0x000 qsz              : {device['vring-num']:#x}\n" in fields
        assert re.search(r"desc_pa +: 0x0*([0-9a-f`]+)", fields)[1].replace("`", "").lstrip("0") \
            == f"{device['vring-desc']:x}", fields
        finish(kd, answer)
    kd.break_in()
