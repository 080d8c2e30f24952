# SPDX-License-Identifier: MIT
"""Start: how long it takes, what the agent says of itself, and how it looks to a person."""

import pytest

from vq7rig.errors import CommandError


@pytest.mark.smoke
@pytest.mark.on("machines")
def test_start(vm, note):
    """From `virsh create` to the prompt; the time is reported, not judged."""
    note("start_to_prompt_ms", vm.boot_ms)
    info = vm.console.command("info")
    assert info["version"] == "1"
    assert info["boot"] == vm.console.hello["boot"]
    assert info["driver"] == "loaded"
    assert info.num("devices") == 1
    assert vm.console.hello["devices"] == "1"


@pytest.mark.on("one")
def test_typed_by_hand(vm):
    """Commands typed at the prompt are answered in plain text."""
    text = "\n".join(vm.console.type("blk read 0 1"))
    assert "00000000  00 00 00 00" in text
    assert "ok bytes=512 crc=0x" in text
    (error,) = [line for line in vm.console.type("nonsense") if line.startswith("error:")]
    assert "UNKNOWN_COMMAND" in error and "0xe0070001" in error.lower()
    assert "help" in error


@pytest.mark.on("one")
def test_help_names_every_command(vm):
    listed = "\n".join(vm.console.command("help").lines)
    for command in ("info", "devices", "queues", "blk read", "blk write", "blk verify",
                    "blk flush", "blk id", "blk info", "blk run", "ioctl", "stats", "driver unload",
                    "driver load", "crash", "reset", "poweroff"):
        assert command in listed


@pytest.mark.on("one")
@pytest.mark.parametrize("command, name", [
    ("nonsense", "UNKNOWN_COMMAND"),
    ("blk read", "BAD_ARGUMENT"),
    ("blk read 0 0", "BAD_ARGUMENT"),
    ("blk read x 1", "BAD_ARGUMENT"),
    ("blk read 0 1 bogus=1", "BAD_ARGUMENT"),
    ("blk read 0 4096", "BAD_ARGUMENT"),
    ("blk read 18446744073709551616 1", "BAD_ARGUMENT"),
    ("blk run sizes=1000", "BAD_ARGUMENT"),
    ("blk run span=8 sizes=1048576", "BAD_ARGUMENT"),
    ("blk info dev=7", "NO_DEVICE"),
])
def test_bad_command_is_refused(vm, command, name):
    with pytest.raises(CommandError) as refused:
        vm.console.command(command)
    assert refused.value.name == name
    assert refused.value.answer.msg
    vm.console.command("info")
