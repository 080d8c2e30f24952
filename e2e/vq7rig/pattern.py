# SPDX-License-Identifier: MIT
"""What a sector holds: the data function of the console protocol, in numpy.

All arithmetic is modulo 2^64, which is what numpy's uint64 does.
"""

import numpy as np

SECTOR = 512
WORDS = 64
GOLDEN = 0x9E3779B97F4A7C15
MASK = (1 << 64) - 1


def mix(z):
    """The mixing function for one Python integer."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def mix_array(z):
    """The mixing function for an array of uint64; returns a new array."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _u64(value):
    if isinstance(value, np.ndarray):
        return value.astype(np.uint64)
    return np.uint64(value & MASK)


def sectors(seed, numbers, generations):
    """Contents of sectors, an array of shape (n, 64) of little-endian uint64.

    `numbers` is an array of sector numbers; `seed` and `generations` are one
    value for all or an array of n.
    """
    numbers = np.asarray(numbers, dtype=np.uint64)
    count = len(numbers)
    with np.errstate(over="ignore"):
        seed = np.broadcast_to(_u64(seed), count)
        generation = np.broadcast_to(_u64(generations), count)
        key = mix_array(seed + np.uint64(GOLDEN))
        key = key ^ mix_array(numbers + np.uint64(2 * GOLDEN & MASK))
        key = key ^ mix_array(generation + np.uint64(3 * GOLDEN & MASK))
        steps = np.arange(WORDS, dtype=np.uint64) * np.uint64(GOLDEN)
        words = mix_array(key[:, None] + steps[None, :])
    words[:, 0] = numbers
    words[:, 1] = generation
    words[:, 2] = seed
    return words.astype("<u8", copy=False)


def content(seed, start, count, generation):
    """The bytes of `count` sectors from `start` on, one generation."""
    numbers = np.arange(start, start + count, dtype=np.uint64)
    return sectors(seed, numbers, generation).tobytes()


def holds(sector_bytes):
    """What 512 bytes claim to be, in words, for a message."""
    words = np.frombuffer(sector_bytes, dtype="<u8")
    if not words.any():
        return "zeros"
    sector, generation, seed = (int(w) for w in words[:3])
    if sectors(seed, [sector], generation).tobytes() == bytes(sector_bytes):
        return f"sector {sector}, generation {generation}, seed {seed}"
    return f"no whole pattern; first bytes {bytes(sector_bytes[:16]).hex()}"
