# SPDX-License-Identifier: MIT
"""The hostile device's ways: the table of data, what is made of an answer, the report."""

import pytest

from vq7rig import hostile, hostile_report
from vq7rig.errors import RigError
from vq7rig.frames import Answer
from vq7rig.report import Attempt, Result


def answer(*lines):
    return Answer(not lines, {}, list(lines))


def test_the_table_is_whole():
    ways = hostile.load_ways()
    assert len(ways) > 40
    assert {way.expect.partition(" ")[0] for way in ways.values()} == set(hostile.OUTCOMES)
    assert sum(way.smoke for way in ways.values()) <= 15, "the short set is short"


@pytest.mark.parametrize("text, said", [
    ("", "'way'"), ("[[way", "Expected"), ("[[way]]\nname = 'a'", "missing"),
    ("[[way]]\nname='a'\nrules=['x']\nload='one'\nexpect='served'\ncolour=1", "colour"),
    ("[[way]]\nname='a'\nrules=['x']\nload='two'\nexpect='served'", "its load must be one of"),
    ("[[way]]\nname='a'\nrules=['x']\nload='one'\nexpect='fine'", "its outcome one of"),
    ("[[way]]\nname='a'\nrules=['x']\nload='one'\nexpect='served'\n" * 2, "the same name")])
def test_a_bad_table(tmp_path, text, said):
    path = tmp_path / "ways.toml"
    path.write_text(text)
    with pytest.raises(RigError) as bad:
        hostile.load_ways(path)
    assert said in str(bad.value) and str(path) in str(bad.value)


FAILED = "op=3 kind=read sector=0 count=1 status=0xc0000185 name=STATUS_IO_DEVICE_ERROR"
CHANGED = "op=4 kind=read sector=0 count=1 status=0xe0070004 name=MISCOMPARE"


@pytest.mark.parametrize("lines, state, failures, outcome", [
    ((), "running", "none", "served"), ((), "running", "time-out", "recovered time-out"),
    ((FAILED, FAILED), "running", "none", "request STATUS_IO_DEVICE_ERROR"),
    ((CHANGED,), "running", "none", "changed MISCOMPARE"),
    ((FAILED,), "failed", "used-mid-chain", "failed used-mid-chain")])
def test_outcomes(lines, state, failures, outcome):
    assert hostile.classify(answer(*lines), state, failures) == outcome


def test_failures():
    stats = Answer(True, {"failed": "time-out:2,used-twice:1"}, [])
    assert hostile.failures_of(stats) == "time-out used-twice"


def result(note):
    made = Result("tests/x.py::test", "ways", "pc-modern", notes={"hostile": note})
    made.attempts.append(Attempt("pass", 1.0))
    return made


def test_the_report(tmp_path):
    rows = ['[{"way": "a", "on": "modern msix", "expected": "served", "seen": "served", "hits": 2},'
            ' {"way": "b", "on": "modern msix", "expected": "request", "seen": "Hang", "hits": 1}]',
            '[{"way": "a", "on": "legacy line", "expected": "served", "seen": "served",'
            ' "hits": 3}]']
    text = hostile_report.write(tmp_path, [result(each) for each in rows])
    lines = text.splitlines()
    assert lines[0].split() == ["hostile", "device:", "way", "expected", "legacy", "line",
                                "modern", "msix"]
    assert lines[1].split() == ["a", "served", "as", "expected", "as", "expected"]
    assert lines[2].split() == ["b", "request", "Hang"]
    assert lines[3] == "2 ways, tried 3 times, 6 requests hit, 1 not as expected"
    assert (tmp_path / "hostile.txt").read_text() == text + "\n"
    assert hostile_report.write(tmp_path / "none", []) == ""


def fault(verdict, on="modern msix", text=""):
    made = Result("tests/x.py::test", "cut", "pc-modern", notes={
        "fault": f'{{"way": "power cut", "on": "{on}", "expected": "nothing is lost"}}'})
    made.attempts.append(Attempt(verdict, 1.0, text))
    return made


def test_the_table_of_faults(tmp_path):
    text = hostile_report.write(tmp_path, [
        fault("pass"), fault("fail", "legacy line", "AssertionError: lost"),
        fault("skipped", "modern line")])
    lines = text.splitlines()
    assert lines[0].split()[-5:] == ["expected", "legacy", "line", "modern", "msix"]
    assert "fail: AssertionError: lost" in lines[1] and lines[1].endswith("as expected")
    assert lines[2] == "1 ways, tried 2 times, 1 not as expected"
    assert (tmp_path / "host-faults.txt").read_text() == text + "\n"
