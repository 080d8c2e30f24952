# SPDX-License-Identifier: MIT
"""The console client against the fake agent and its faults."""

import os
import time

import pytest

from fake_agent import FakeAgent, small
from vq7rig import console as console_module
from vq7rig.channel import FaultInjector, SocketChannel, drop, flip, interleave, no_end
from vq7rig.console import Console
from vq7rig.errors import CommandError, GuestCrash, Hang, ProtocolError, RigError, UsageError
from vq7rig.frames import seal
from vq7rig.machine import Config
from vq7rig.patience import patience


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """The waits of the protocol, shortened."""
    monkeypatch.setattr(console_module, "RESEND", 0.3)
    monkeypatch.setattr(console_module, "SETTLE", 0.05)


@pytest.fixture
def open_console(tmp_path):
    """open_console(*faults) -> a console with a started fake agent behind it."""
    opened = []
    image = os.open(tmp_path / "disk.img", os.O_RDWR | os.O_CREAT)
    os.truncate(image, 1 << 20)

    def start(*faults):
        agent = FakeAgent(Config(), image, faults=faults)
        console = Console(FaultInjector(SocketChannel(agent.host_end)), tmp_path / "console.log")
        opened.append((agent, console))
        agent.start()
        console.agent = agent
        return console

    yield start
    for agent, console in opened:
        agent.stop()
        console.close()
    os.close(image)


@pytest.fixture
def console(open_console):
    console = open_console()
    console.wait_boot(5)
    return console


def test_boot_and_command(console):
    assert console.hello["guest"] == "fake"
    answer = console.command("info")
    assert answer["driver"] == "loaded"
    assert console.resends == 0


def test_error_answer_is_an_exception_with_its_name(console):
    with pytest.raises(CommandError, match="nonsense") as refused:
        console.command("nonsense")
    assert refused.value.name == "UNKNOWN_COMMAND"
    assert refused.value.status == 0xE0070001
    assert not console.command("nonsense", check=False).ok


@pytest.mark.parametrize("fault", [flip, drop, no_end, interleave])
@pytest.mark.parametrize("line", [1, 2, 16, 17])
def test_damaged_answer_is_asked_for_again(console, fault, line):
    console.faults = console.channel
    console.faults.arm(to_host={line: fault})
    answer = console.command("blk read 0 1")
    assert console.faults.done == 1 and console.resends >= 1
    assert len(answer.lines) == 16 and answer.num("bytes") == 512
    assert console.agent.executed.count("blk read 0 1") == 1


@pytest.mark.parametrize("fault", [flip, drop, no_end])
def test_damaged_request_is_sent_again(console, fault):
    console.channel.arm(to_guest={1: fault})
    console.command("blk write 0 1 seed=1 gen=1")
    assert console.channel.done == 1 and console.resends >= 1
    assert console.agent.executed == ["blk write 0 1 seed=1 gen=1"]


def test_both_directions_at_once(console):
    console.channel.arm(to_guest={1: flip}, to_host={1: flip, 2: drop, 5: flip, 22: flip})
    assert len(console.command("blk read 0 1").lines) == 16
    assert console.agent.executed == ["blk read 0 1"]


def test_late_repeats_are_not_taken_for_the_next_answer(console):
    first = console.command("info")
    console.channel.send(seal(f"@{console._seq} info").encode() + b"\n")    # an extra repeat
    assert console.command("blk id")["id"] == "VQ7-DISK-0"
    assert console.send_again("blk id")["id"] == "VQ7-DISK-0"
    assert first["driver"] == "loaded"


def test_a_line_that_is_always_damaged_is_a_rig_error(console):
    console.channel.arm(to_host={n: flip for n in range(1, 100)})
    with pytest.raises(RigError, match="damaged the answer to 'info'"):
        console.command("info")


def test_hang_says_what_was_waited_for_and_where_the_log_is(open_console):
    console = open_console("hang")
    console.wait_boot(5)
    with pytest.raises(Hang) as hang:
        console.command("blk flush", quiet=3)       # ten times as long as RESEND here
    text = str(hang.value)
    assert "the answer to 'blk flush'" in text and "quiet line" in text
    assert "vq7agent 1 fake" in text and console.log_path in text


def test_patience_shortens_the_wait(open_console, monkeypatch):
    monkeypatch.setenv("VQ7_PATIENCE", "0.1")
    console = open_console("hang")
    console.wait_boot(5)
    began = time.monotonic()
    with pytest.raises(Hang, match="a quiet line for 1 s"):
        console.command("blk flush")
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("text", ["", "fast", "0", "-1", "nan", "1e9"])
def test_bad_patience_is_refused(text):
    with pytest.raises(UsageError, match="VQ7_PATIENCE=.*a number from 0.1 to 100"):
        patience({"VQ7_PATIENCE": text})


@pytest.mark.parametrize("check", [True, False])
def test_request_given_up_by_the_guest_is_a_hang(open_console, check):
    console = open_console("timeout")
    console.wait_boot(5)
    with pytest.raises(Hang, match="time out in the guest .*within 20 s.*'blk flush'"):
        console.command("blk flush", check=check)


def test_no_prompt_is_a_hang(open_console):
    with pytest.raises((Hang, GuestCrash)):
        open_console("silent").wait_boot(0.5)


def test_busy_for_ever_ends_at_the_commands_own_limit(open_console):
    console = open_console("busy")
    console.wait_boot(5)
    began = time.monotonic()
    with pytest.raises(Hang, match="the agent lives but the command doesn't end.*in_flight=1"):
        console.command(small().command(), timeout=1.0, quiet=0.5)
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("command, faults, code", [
    ("crash", (), 0xE2), ("blk flush", ("stop",), 0xD1)])
def test_bug_check_is_seen_at_once(open_console, command, faults, code):
    console = open_console(*faults)
    console.wait_boot(5)
    began = time.monotonic()
    with pytest.raises(GuestCrash) as crash:
        console.command(command)
    assert crash.value.code == code
    assert time.monotonic() - began < 3
    assert len(str(crash.value).splitlines()) >= 2, "the lines after STOP belong to it"


def test_bug_check_while_waiting_for_the_prompt(open_console):
    console = open_console("silent")
    console.agent.put("*** STOP: 0x0000007B (0,0,0,0)\r\n")
    with pytest.raises(GuestCrash) as crash:
        console.wait_boot(5)
    assert crash.value.code == 0x7B


def test_bug_check_text_can_be_allowed(console):
    console.agent.put("*** STOP: 0x000000E2 (0,0,0,0)\r\n")
    with console.bug_check_allowed():
        assert console.command("info").ok
    console.agent.put("*** STOP: 0x000000E2 (0,0,0,0)\r\n")
    with pytest.raises(GuestCrash):
        console.command("info")


def test_restart_in_the_middle_is_a_crash(open_console):
    console = open_console("restart")
    console.wait_boot(5)
    with pytest.raises(GuestCrash, match="restarted by itself during 'blk flush'"):
        console.command("blk flush")


def test_end_of_the_machine_is_a_crash(console):
    console.agent.stop()
    with pytest.raises(GuestCrash, match="went away"):
        console.command("info")


def test_same_boot_id_twice_is_refused(console):
    console.agent._boot -= 1
    console.agent.hello()
    with pytest.raises(ProtocolError, match="same boot id"):
        console.wait_boot(5)


def test_damaged_hello_is_made_up_for(open_console):
    console = open_console()
    console.channel.arm(to_host={1: flip})
    assert console.wait_boot(5)["version"] == "1"
    assert console.boot == "00000001"


def test_kernel_output_is_ignored_but_logged(console):
    console.agent.put("KERNEL: hello\r\n@not framed\r\n")
    assert console.command("info").ok
    with open(console.log_path, encoding="ascii") as file:
        log = file.read()
    assert "KERNEL: hello" in log and "<< @" in log


def test_sequence_number_wraps(console):
    console._seq = 4294967294
    for _ in range(3):
        assert console.command("info").ok
    assert console._seq == 2


def test_typing(console):
    assert console.type("blk id") == ["ok id=VQ7-DISK-0"]
    assert console.type("nope")[0].startswith("error: ")


def test_full_disk_is_a_rig_error(console):
    class Full:
        def write(self, _data):
            raise OSError(28, "No space left on device")
    console._sinks.append(Full())
    with pytest.raises(RigError, match="no space left"):
        console.command("info")
    console._sinks.pop()


@pytest.mark.parametrize("lossy", [True, False])
def test_power_off_whose_answer_is_lost(console, lossy):
    """A pseudo terminal loses what wasn't read when the machine ended; a socket doesn't."""
    console.lossy_end = lossy
    console.agent._frame = console.agent.put = lambda text: None        # answers go nowhere
    console.agent.on_power = lambda what: console.agent.stop()
    if lossy:
        assert console.command("poweroff").ok
    else:
        with pytest.raises(GuestCrash, match="went away"):
            console.command("poweroff")
