# SPDX-License-Identifier: MIT
"""What the rig finds in a machine's memory of the bug check that a guest doesn't tell."""

import re

import pytest

from vq7rig import bugcheck
from vq7rig.errors import GuestCrash


@pytest.mark.needs("crash")
@pytest.mark.fresh
@pytest.mark.on("one", options=("cpus=2",))     # the kernel starts one of them
def test_bug_check_is_found_in_memory(vm):
    """Code and parameters are those that the console said."""
    assert bugcheck.of(vm) is None
    with pytest.raises(GuestCrash) as crash:
        vm.console.command("crash")
    said = re.match(r"\*\*\* STOP: 0x(\w{8}) \((.*)\)", str(crash.value))
    found = bugcheck.of(vm)
    assert found.code == int(said[1], 16) == 0xE2
    assert found.parameters == tuple(int(each, 16) for each in said[2].split(","))
