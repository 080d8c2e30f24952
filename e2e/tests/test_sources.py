# SPDX-License-Identifier: MIT
"""The rig's own eyes: every source of what the host knows of a device says the same."""

import pytest

from vq7rig.errors import Lacking
from vq7rig.features import NAMED, SOURCES, VirtioView, names

# Features of the legacy interface alone; a modern device's registers don't offer them.
LEGACY_ONLY = 1 << 7 | 1 << 24 | 1 << 27
RING = ("vring-num", "vring-desc", "vring-avail", "vring-used")


@pytest.fixture
def others(vm):
    """The sources that this QEMU has, each with its name; the registers always."""
    found = []
    for fact in ("facts", "queue"):
        try:
            found.append(vm.host.source(fact))
        except Lacking:
            pass
    if "qmp" in found:
        found.append("hmp")             # the same code of QEMU's below
    return [(name, SOURCES[name](vm)) for name in dict.fromkeys([*found, "registers"])]


@pytest.mark.needs("unload")
@pytest.mark.watched
@pytest.mark.on("one", nightly="flavours")
@pytest.mark.parametrize("loaded", [True, False], ids=["loaded", "unloaded"])
def test_sources_agree(vm, others, loaded):
    vm.console.command("blk write 8 8 seed=1 gen=1")
    vm.expected.wrote(8, 8, 1, 1)
    if not loaded:
        vm.console.command("driver unload")
    view = VirtioView(vm)
    for name, source in others:
        if name == "qmp" or name == "hmp" and vm.host.source("facts") != "qmp":
            continue                    # the view is it, or it isn't safe here
        facts = source.facts()
        assert facts.status == view.status, name
        modern = vm.config.flavour == "modern" or loaded and vm.config.flavour == "transitional"
        shown = NAMED if modern else NAMED & 0xFFFFFFFF         # the legacy registers' width
        offered = (facts.host_features ^ view.host_features) & shown & ~LEGACY_ONLY
        assert not offered, f"{name}: {names(offered)}"
        assert not (facts.guest_features ^ view.guest_features) & NAMED, name
        assert (facts.broken, facts.started) == (view.broken, view.started), name
        if loaded:
            best, queue = view.queue(0), source.queue(0)
            assert [queue[key] for key in RING] == [best[key] for key in RING], name
            assert queue["used-idx"] == best["used-idx"] > 0, name
    if not loaded:
        vm.console.command("driver load")
    vm.console.command("blk verify 8 8 seed=1 gen=1")
    vm.expected.check()
