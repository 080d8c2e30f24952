# SPDX-License-Identifier: MIT
"""The random faults: steps are a function of seed and number, a finding says how to have it
again, and what no fault explains is one."""

import time
import types

import numpy as np
import pytest

from vq7rig import cli, fault_kinds, fault_steps, faults, fuzz, pattern
from vq7rig.disk import Disk, Expected
from vq7rig.errors import EXIT_USAGE, Hang, RigError
from vq7rig.frames import Answer
from vq7rig.workload import Workload, operations


def test_steps_are_the_seeds():
    steps = [fault_steps.step_of(5, number) for number in range(300)]
    assert steps == [fault_steps.step_of(5, number) for number in range(300)]
    assert steps != [fault_steps.step_of(6, number) for number in range(300)]
    assert {name for step in steps for name in step.names} == set(fault_kinds.KINDS)
    assert {step.config for step in steps} == set(fault_steps.devices())
    for step in steps:
        for name, _, words in step.faults:
            assert set(words) == set(fault_kinds.KINDS[name].values)
        assert not set(step.names[:-1]) & set(fault_kinds.LAST)


class Faulty(faults.Faults):
    """Without machines."""

    def __init__(self, folder, seed):
        self.folder, self.seed, self.findings = folder, seed, []
        self.outcomes, self.totals = fuzz.collections.Counter(), fuzz.collections.Counter()
        self.steps, self.began = 0, time.monotonic()
        vm = types.SimpleNamespace(active=lambda: False, folder=folder, kernel_log=lambda: "")
        self.pool = types.SimpleNamespace(get=lambda config: vm, failed=lambda bad: None,
                                          close=lambda: None, boots=1, release=lambda: None)


def test_a_finding_is_reduced(tmp_path, monkeypatch, capsys):
    """The rig's own errors are findings, too."""
    def run(_vm, step):
        if "move" in step.names:
            raise RigError("it stayed where it was")
        return types.SimpleNamespace(spent=False, figures=fuzz.collections.Counter(requests=7))

    monkeypatch.setattr(fault_steps, "run", run)
    faulty = Faulty(tmp_path, 9)
    faulty.all(3600)
    faulty.close()
    said = capsys.readouterr().out
    assert len(faulty.findings) == fuzz.MOST_FINDINGS
    step = faulty.findings[0][0]
    assert f"again: python3 -m vq7rig faults --seed 9 --step {step.number}" in said
    assert "this rule does it alone" in said and "--only move" in said
    assert f"requests {7 * faulty.steps}" in (tmp_path / "faults.txt").read_text()
    again = fuzz.chosen(fault_steps.step_of(9, step.number), "move")
    assert again.names == ("move",)


def a_course(*rules):
    step = fault_steps.Step(1, 1, fault_steps.devices()[0], "many", rules)
    vm = types.SimpleNamespace(disk=types.SimpleNamespace(capacity=fault_kinds.ROOM))
    return fault_steps.Course(vm, step)


def test_a_failure_that_nothing_explains(monkeypatch):
    """A read of bad sectors fails; any other, or with another status, is a finding."""
    monkeypatch.setattr(fault_steps.hostile, "settle", lambda *_: None)
    load = Workload(ops=10, write=0, seed=3, span=fault_kinds.SPAN)
    done = operations(load, fault_kinds.ROOM)
    fields = {"duplicates": "0", "miscompares": "0", "ops": "10", "flushes": "0", "errors": "1"}

    def answer(k, name):
        return Answer(True, fields, [f"op={k} kind=read sector={done.place[k]} "
                                     f"count={done.count[k]} status=0x0 name={name}"])

    course = a_course("bad-reads wait=1 seed=1 ms=1")
    course.bad = {("read", int(done.place[4])), ("write", int(done.place[5]))}
    course._judge(load, answer(4, "STATUS_IO_DEVICE_ERROR"))
    for k, name in ((5, "STATUS_IO_DEVICE_ERROR"), (4, "STATUS_CANCELLED")):
        with pytest.raises(AssertionError):
            course._judge(load, answer(k, name))
    with pytest.raises(AssertionError, match="missing"):
        course._judge(load, Answer(True, {**fields, "ops": "9"}, []))


def test_a_step_without_end(monkeypatch):
    monkeypatch.setattr(fault_steps, "STEP_S", 0.05)
    course = a_course()
    course.vm.name, course.vm.console = "x", types.SimpleNamespace(log_path="log")
    course.vm.host = types.SimpleNamespace(process_of=lambda name: None)
    with pytest.raises(Hang, match="didn't answer"):
        with course.watched():
            time.sleep(0.3)
            raise RigError("QEMU is gone")


LOAD = Workload(ops=60, depth=4, write=100, sizes=(1024,), seed=7, span=fault_kinds.SPAN)


@pytest.fixture
def cut(tmp_path):
    """A disk after the first 10 writes of LOAD."""
    disk = Disk(tmp_path / "disk.img", fault_kinds.ROOM)
    disk.create()
    expected, done = Expected(disk), operations(LOAD, fault_kinds.ROOM)
    for k in range(10):
        put(disk, done, k)
    return types.SimpleNamespace(disk=disk, expected=expected), done


def put(disk, done, k, generation=None):
    place, count = int(done.place[k]), int(done.count[k])
    disk.write(place, pattern.content(LOAD.seed, place, count,
                                      k + 1 if generation is None else generation))


def test_cut_off_old_or_new(cut):
    """Not every write that came before the last one need be there, but for what was in flight."""
    vm, done = cut
    for k in (10, 11, 13):
        put(vm.disk, done, k)
    fault_steps.old_or_new(vm, LOAD)
    vm.expected.check()


def test_cut_off_lost(cut):
    vm, done = cut
    for k in (15, 16, 17):
        put(vm.disk, done, k)
    with pytest.raises(AssertionError, match="are missing"):
        fault_steps.old_or_new(vm, LOAD)


def test_cut_off_neither(cut):
    """Half a sector, or a write of another place."""
    vm, done = cut
    vm.disk.write(int(done.place[20]), np.full(32, 1, dtype="<u8").tobytes() + bytes(256))
    with pytest.raises(AssertionError, match="what they must be"):
        fault_steps.old_or_new(vm, LOAD)
    put(vm.disk, done, 20, generation=22)
    with pytest.raises(AssertionError, match="no write of that place"):
        fault_steps.old_or_new(vm, LOAD)


@pytest.mark.parametrize("words, said", [
    (["--step", "1"], "faults --step needs the --seed"), (["--only", "x"], "needs a --step")])
def test_usage(words, said, capsys):
    assert cli.main(["faults", *words]) == EXIT_USAGE
    assert said in capsys.readouterr().err
