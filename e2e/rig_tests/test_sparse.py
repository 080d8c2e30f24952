# SPDX-License-Identifier: MIT
"""What QEMU writes into a pipe is in the file, and its zeros take no space."""

import os
import random

import pytest

from vq7rig.dump import sparse
from vq7rig.dump.runs import Memory, Run
from vq7rig.dump.windows import page_runs
from vq7rig.errors import RigError

PAGE = 0x1000
TEXT = os.urandom(3000)


def test_zeros_take_no_space(tmp_path):
    """However the pieces fall, and also where the file ends in zeros."""
    content = bytearray(64 * PAGE * 16)
    content[100:100 + len(TEXT)] = TEXT
    content[PAGE * 500 - 1000:PAGE * 500 + 2000] = TEXT
    path = tmp_path / "core"
    rest, chance = bytes(content), random.Random(3)
    with sparse.receiving(path) as pipe, open(pipe, "wb", buffering=0) as out:
        while rest:
            rest = rest[out.write(rest[:chance.randrange(1, 200000)]):]
    assert path.read_bytes() == content
    assert path.stat().st_blocks * 512 <= 8 * PAGE
    assert not pipe.exists()


def test_nobody_writes(tmp_path):
    with pytest.raises(ValueError), sparse.receiving(tmp_path / "core"):
        raise ValueError
    assert (tmp_path / "core").read_bytes() == b"" and len(os.listdir(tmp_path)) == 1


def test_disk_is_full(tmp_path, monkeypatch):
    """The writer fails, too, and its error isn't the one that says why."""
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(RigError, match="core: No space left on device; free some space"):
        with sparse.receiving(tmp_path / "core") as pipe, open(pipe, "wb", buffering=0) as out:
            for _ in range(1000):
                out.write(TEXT * 100)


def memory(path, *runs):
    """A Memory with holes: TEXT at each run's start and end."""
    with open(path, "wb") as file:
        end = max(run.offset + run.size for run in runs)
        file.truncate(end)
        for run in runs:
            for at in (run.offset, run.offset + run.size - len(TEXT)):
                file.seek(at)
                file.write(TEXT)
    made = Memory(path)
    made.set_runs(list(runs))
    return made


def test_holes_are_passed_over(tmp_path):
    """As many bytes are looked at as are there, and every word is found at its address."""
    run = Run(0x1_0000_0000, 4 << 30, 0x123)
    with memory(tmp_path / "core", run) as core:
        assert sum(size for _, size in core.pieces(run)) < 16 * PAGE
        word = int.from_bytes(core.read(run.start + 8, 8), "little")
        found = dict(core.words_between(word, word))
        assert found.get(run.start + 8) == word
        with open(tmp_path / "copy", "wb") as file:
            core.copy(run.start + PAGE, run.size - PAGE, file, 0)
            file.truncate(run.size - PAGE)
        with open(tmp_path / "copy", "rb") as file:
            file.seek(run.size - PAGE - len(TEXT))
            assert file.read() == TEXT
        assert (tmp_path / "copy").stat().st_blocks * 512 < 16 * PAGE


def test_flash_rom_is_no_memory():
    """A PC's firmware is below 4 GiB, beside the memory above, and QEMU's core has both as one."""
    low, rom = Run(0, 0xC0000000, 0), 0xFFFC0000
    runs = page_runs([low, Run(rom, (1 << 32) - rom + (2 << 30), low.size)])
    assert [(run.start, run.size) for run in runs] == [(0, 0xC0000000), (1 << 32, 2 << 30)]
