# SPDX-License-Identifier: MIT
"""A device that lies: each way of e2e/hostile/ways.toml, on each transport and interrupt."""

import json

import pytest

from vq7rig import hostile

WAYS = hostile.load_ways()


def check(vm, note, ways):
    """Do each way; the report's table has a row of each."""
    rows = []
    for number, way in enumerate(ways):
        row = {"way": way.name, "on": f"{vm.config.flavour} {vm.config.interrupt}",
               "expected": way.expect, "seen": "", "hits": 0}
        rows.append(row)
        try:
            seen = hostile.run_way(vm, way, seed=1000 + 2 * number)
            row.update(seen=way.expect if seen.outcome in way.also else seen.outcome,
                       hits=seen.hits)
        except Exception as bad:        # noqa: BLE001, for the table; the test shows it
            row.update(seen=type(bad).__name__)
            raise
        finally:
            note("hostile", json.dumps(rows))
        assert seen.hits > 0, f"{way.name}: no request was hit"
        assert seen.outcome in (way.expect, *way.also), way.name


@pytest.mark.on("one", options=hostile.BACKEND)
def test_ways(vm, note):
    """A few of all kinds, one after the other on one machine."""
    check(vm, note, [way for way in WAYS.values() if way.smoke])


@pytest.mark.nightly
@pytest.mark.on("interrupts_of_pc", options=hostile.BACKEND)
@pytest.mark.parametrize("name", WAYS)
def test_way(vm, note, name):
    check(vm, note, [WAYS[name]])
