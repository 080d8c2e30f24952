# SPDX-License-Identifier: MIT
"""What COM2 costs when nobody is there: machines in pairs, one that leaves the port alone."""

import statistics

import pytest

from vq7rig.machine import Config
from vq7rig.workload import Workload

PAIRS = 7
WITHOUT, WITH = ("/nodebug",), ("/debugport=com2",)
LOAD = Workload(ops=4000, depth=16, sizes=(4096, 16384), seed=74)
MOST = 1.10                 # of a median of ratios: what pairs of equal machines differ by


def measured(pool, settings):
    """(milliseconds from start to prompt, microseconds of a workload: the better of two)"""
    vm = pool.boot_of(pool.new(Config(flavour="modern", settings=settings)))
    times = [vm.console.command(LOAD.command()).num("time_us") for _ in range(2)]
    return vm.boot_ms, min(times)


@pytest.mark.nightly
def test_com2_costs_nothing(pool, note):
    """Ratios of boot time and of the time of a workload, with to without, in pairs that begin
    with the one and the other by turns; their medians."""
    ratios = []
    for pair in range(PAIRS):
        order = (WITHOUT, WITH) if pair % 2 else (WITH, WITHOUT)
        found = {settings: measured(pool, settings) for settings in order}
        ratios.append([a / b for a, b in zip(found[WITH], found[WITHOUT])])
    for name, values in zip(("start to prompt", "I/O"), zip(*ratios)):
        note(f"{name}, COM2 to none", f"{statistics.median(values):.3f} "
             f"({min(values):.3f} to {max(values):.3f}, {PAIRS} pairs)")
        assert statistics.median(values) <= MOST, sorted(values)
