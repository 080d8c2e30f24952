# SPDX-License-Identifier: MIT
"""A device that lies: each way of e2e/hostile/ways.toml, on each transport and interrupt."""

import json

import pytest

from vq7rig import hostile
from vq7rig.errors import GuestCrash

# What a liar makes a driver touch, free or complete.
pytestmark = pytest.mark.watched

WAYS = hostile.load_ways()
STARTS = hostile.load_starts()


class Rows:
    """The rows of the report's table that a test makes."""

    def __init__(self, note, config):
        self.note, self.on, self.rows = note, f"{config.flavour} {config.interrupt}", []

    def do(self, way, expected, run, also=()):
        """`run` returns what was seen and how many requests were hit."""
        row = {"way": way, "on": self.on, "expected": expected, "seen": "", "hits": 0}
        self.rows.append(row)
        try:
            seen, row["hits"] = run()
            row["seen"] = expected if seen in also else seen
        except Exception as bad:        # noqa: BLE001, for the table; the test shows it
            row["seen"] = type(bad).__name__
            raise
        finally:
            self.note("hostile", json.dumps(self.rows))
        assert seen in (expected, *also), way


def check(vm, note, ways):
    """Do each way."""
    rows = Rows(note, vm.config)
    for number, way in enumerate(ways):
        def run(way=way, number=number):
            seen = hostile.run_way(vm, way, seed=1000 + 2 * number)
            assert seen.hits > 0, "no request was hit"
            return seen.outcome, seen.hits

        rows.do(way.name, way.expect, run, way.also)


@pytest.mark.on("one", options=hostile.BACKEND)
def test_ways(vm, note):
    """A few of all kinds, one after the other on one machine."""
    check(vm, note, [way for way in WAYS.values() if way.smoke])


@pytest.mark.nightly
@pytest.mark.on("interrupts_of_pc", options=hostile.BACKEND)
@pytest.mark.parametrize("name", WAYS)
def test_way(vm, note, name):
    check(vm, note, [WAYS[name]])


@pytest.mark.nightly
@pytest.mark.needs("kernel log")
@pytest.mark.on("interrupts_of_pc", options=hostile.BACKEND)
@pytest.mark.parametrize("name", STARTS)
def test_start(pool, artefacts, config, note, name):
    """What it says of itself before it is started."""
    start = STARTS[name]
    vm = pool.get(config.but(options=start.options))
    Rows(note, config).do(name, start.expect, lambda: (hostile.run_start(vm, start), 1))


GROWN = (1 << 55) + 1, (1 << 64) - 1
CAPACITIES = {"capacity that grows past 2^55 and back": (GROWN, "served"),
              "capacity that shrinks to 0": ((0,), "request STATUS_IO_DEVICE_ERROR"),
              "capacity that changes under the reader": ((8192, *GROWN, 2048), "served")}


@pytest.mark.nightly
@pytest.mark.on("interrupts_of_pc", options=hostile.BACKEND)
@pytest.mark.parametrize("name", CAPACITIES)
def test_capacity(vm, note, name):
    """The configuration changes while a workload runs."""
    capacities, expected = CAPACITIES[name]
    Rows(note, vm.config).do(name, expected,
                             lambda: (hostile.run_capacities(vm, capacities, 77), 1))


@pytest.mark.nightly
@pytest.mark.fresh
@pytest.mark.needs("rules", "unload")
@pytest.mark.on("transports", options=hostile.BACKEND)
def test_beyond_the_ring(vm, note):
    """It writes behind the memory that it was given. Nothing but an IOMMU keeps a device from
    it; ntcompat's guards around common buffers see it when the driver gives them back."""
    def run():
        vm.backend.misbehave("scribble", value=32, when="on:5")
        hostile.verify(vm, 5)
        with pytest.raises(GuestCrash) as crash:
            vm.console.command("driver unload")
        assert crash.value.code == 0xE6
        assert "memory before or behind a common buffer was written" in str(crash.value)
        return "seen by a guard", 1

    Rows(note, vm.config).do("writes behind the ring", "seen by a guard", run)
