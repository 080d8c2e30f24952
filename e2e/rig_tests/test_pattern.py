# SPDX-License-Identifier: MIT
"""The data function, against published values and a second way to compute it."""

import struct

import numpy as np
import pytest

from vq7rig import pattern


def plain(seed, sector, generation):
    """The formula of the protocol, word by word, in Python's integers."""
    gold, mask = 0x9E3779B97F4A7C15, 2**64 - 1

    def mix(z):
        z &= mask
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ z >> 27) * 0x94D049BB133111EB & mask
        return z ^ z >> 31

    key = mix(seed + gold) ^ mix(sector + 2 * gold) ^ mix(generation + 3 * gold)
    words = [mix(key + i * gold) for i in range(64)]
    words[:3] = sector, generation, seed
    return struct.pack("<64Q", *words)


def test_mix_is_splitmix64():
    # First outputs of the published SplitMix64 generator for seed 0.
    assert pattern.mix(pattern.GOLDEN) == 0xE220A8397B1DCDAF
    assert pattern.mix(2 * pattern.GOLDEN & pattern.MASK) == 0x6E789E6AA1B965F4
    array = np.array([pattern.GOLDEN], dtype=np.uint64)
    assert int(pattern.mix_array(array)[0]) == 0xE220A8397B1DCDAF


@pytest.mark.parametrize("seed", [0, 1, 2**63, 2**64 - 1])
@pytest.mark.parametrize("sector", [0, 131071, 2**64 - 2])
@pytest.mark.parametrize("generation", [0, 70000, 2**64 - 1])
def test_sector(seed, sector, generation):
    got = pattern.sectors(seed, np.array([sector], dtype=np.uint64), generation).tobytes()
    assert got == plain(seed, sector, generation)


def test_many_sectors_with_their_own_seed_and_generation():
    seeds = np.array([5, 6, 5], dtype=np.uint64)
    generations = np.array([1, 2, 3], dtype=np.uint64)
    got = pattern.sectors(seeds, [10, 20, 30], generations).tobytes()
    assert got == plain(5, 10, 1) + plain(6, 20, 2) + plain(5, 30, 3)
    assert pattern.content(9, 100, 3, 4) == b"".join(plain(9, s, 4) for s in (100, 101, 102))


def test_holds_says_what_is_there():
    assert pattern.holds(bytes(512)) == "zeros"
    assert pattern.holds(plain(3, 2, 1)) == "sector 2, generation 1, seed 3"
    assert pattern.holds(b"\xee" * 512).startswith("no whole pattern")
