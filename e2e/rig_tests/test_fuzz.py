# SPDX-License-Identifier: MIT
"""The hostile fuzz: its steps are a function of seed and number, and a finding says how to
have it again."""

import time
import types

import pytest

from vq7rig import cli, fuzz, fuzz_steps
from vq7rig.errors import EXIT_USAGE
from vq7rig.frames import Answer


def test_steps_are_the_seeds():
    steps = [fuzz_steps.step_of(5, number) for number in range(2000)]
    assert steps == [fuzz_steps.step_of(5, number) for number in range(2000)]
    assert steps != [fuzz_steps.step_of(6, number) for number in range(2000)]
    assert {name for step in steps for name in step.names} == set(fuzz_steps.WAYS)
    assert {step.config for step in steps} == set(fuzz_steps.devices())
    for step in steps:
        for name, others in fuzz_steps.APART.items():
            assert not (name in step.names and others & set(step.names))


def test_a_failure_that_nothing_explains():
    step = fuzz_steps.step_of(1, 1)
    row = "op=1 kind=read sector=0 count=1 status=0x0 name={}"
    fuzz_steps.check_names(Answer(True, {}, [row.format("STATUS_DEVICE_PROTOCOL_ERROR")]), step)
    with pytest.raises(AssertionError, match="STATUS_CANCELLED"):
        fuzz_steps.check_names(Answer(True, {}, [row.format("STATUS_CANCELLED")]), step)


class Fuzzed(fuzz.Fuzz):
    """Without machines."""

    def __init__(self, folder, seed):
        self.folder, self.seed, self.findings = folder, seed, []
        self.outcomes, self.steps, self.began = fuzz.collections.Counter(), 0, time.monotonic()
        vm = types.SimpleNamespace(active=lambda: False, folder=folder, kernel_log=lambda: "")
        self.pool = types.SimpleNamespace(get=lambda config: vm, failed=lambda bad: None,
                                          close=lambda: None, boots=1)


def test_a_finding_is_reduced(tmp_path, monkeypatch, capsys):
    def run(_vm, step):
        assert "scribble" not in step.names, "lost"
        return "served"

    monkeypatch.setattr(fuzz_steps, "run", run)
    fuzzed = Fuzzed(tmp_path, 9)
    fuzzed.all(3600)
    fuzzed.close()
    said = capsys.readouterr().out
    assert len(fuzzed.findings) == fuzz.MOST_FINDINGS
    step = fuzzed.findings[0][0]
    assert f"again: python3 -m vq7rig fuzz --seed 9 --step {step.number}" in said
    assert "this rule does it alone" in said and "--only scribble" in said
    assert "5 findings" in (tmp_path / "fuzz.txt").read_text()
    assert f"--step {step.number}" in (tmp_path / f"step-{step.number}/finding.txt").read_text()
    again = fuzz.chosen(fuzz_steps.step_of(9, step.number), "scribble")
    assert again.names == ("scribble",)


@pytest.mark.parametrize("words, said", [
    (["--step", "1"], "needs the --seed"), (["--only", "x"], "needs a --step")])
def test_usage(words, said, capsys):
    assert cli.main(["fuzz", *words]) == EXIT_USAGE
    assert said in capsys.readouterr().err
