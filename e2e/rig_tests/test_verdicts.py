# SPDX-License-Identifier: MIT
"""From exception to verdict to exit code; the retry; the reports."""

import xml.etree.ElementTree as ET

import pytest

from vq7rig import errors, report
from vq7rig.errors import CRASH, FAIL, HANG, PASS, RIG, SKIP

SOURCE = """
import pathlib
import pytest
from vq7rig.errors import GuestCrash, Hang, RigError

count = pathlib.Path(__file__).with_name("count")

def times():
    count.write_text(count.read_text() + "x" if count.exists() else "x")
    return len(count.read_text())
"""


@pytest.mark.parametrize("error, verdict", [
    (None, PASS), (AssertionError("x"), FAIL), (ValueError("x"), FAIL),
    (errors.ProtocolError("x"), FAIL), (errors.GuestCrash("x", 0xD1), CRASH),
    (errors.Hang("x", 1, "", "log"), HANG), (errors.RigError("x"), RIG)])
def test_verdict_of(error, verdict):
    assert errors.verdict_of(error) == verdict


@pytest.mark.parametrize("verdicts, code", [
    ([PASS], 0), ([PASS, SKIP], 0), ([PASS, FAIL], 1), ([CRASH], 1), ([HANG, PASS], 1),
    ([FAIL, RIG], 3), ([], 3)])
def test_exit_code(verdicts, code):
    assert errors.exit_code(verdicts) == code


def run(cli, tmp_path, body):
    test = tmp_path / "test_x.py"
    test.write_text(SOURCE + body)
    done = cli("run", "-p", "fake_machine", "--accel=tcg", test)
    xml = ET.parse(cli.build / "e2e" / "latest" / "junit.xml")
    return done, xml.findall(".//testcase")


@pytest.mark.parametrize("body, code, word, tag, attempts", [
    ("pass", 0, "pass", None, 1),
    ("assert 1 == 2", 1, "fail", "failure", 1),
    ("raise GuestCrash('*** STOP: 0x000000D1', 0xD1)", 1, "guest crash", "failure", 1),
    ("raise Hang('a prompt', 10, '', 'log')", 1, "hang", "failure", 1),
    ("raise RigError('broken cable')", 3, "rig error", "error", 2),
    ("if times() == 1: raise RigError('broken cable')", 0, "pass", None, 2),
    ("times() == 1 and pytest.fail('no')", 1, "fail", "failure", 1),
])
def test_run(cli, tmp_path, body, code, word, tag, attempts):
    """Only a rig error is tried again, once, and both attempts are in the reports."""
    done, (case,) = run(cli, tmp_path, f"def test_it(artefacts):\n    {body}\n")
    assert done.returncode == code, done.stdout + done.stderr
    facts = {p.get("name"): p.get("value") for p in case.findall("properties/property")}
    assert facts["verdict"] == word and facts["attempts"] == str(attempts)
    assert [child.tag for child in case if child.tag in ("failure", "error")] == [tag] * bool(tag)
    if attempts == 2:
        assert "broken cable" in case.find("system-err").text
        assert "2 attempts: rig error (vq7rig.errors.RigError: broken cable), then" in done.stdout


def test_a_failing_set_up_is_tried_again_too(cli, tmp_path):
    done, (case,) = run(cli, tmp_path, "@pytest.fixture\ndef thing():\n"
                        "    if times() == 1: raise RigError('broken cable')\n    return 5\n"
                        "def test_it(thing):\n    assert thing == 5\n")
    assert done.returncode == 0, done.stdout + done.stderr


def test_table_and_summary():
    def result(test, column, verdict, attempts=1):
        made = report.Result(f"t.py::{test}", test, column, column)
        made.attempts = [report.Attempt(RIG, 1.0, "E   no")] * (attempts - 1) \
            + [report.Attempt(verdict, 1.0, "")]
        return made

    results = [result("a", f"{m}-{f}", PASS) for m in ("q35", "pc")
               for f in ("modern", "legacy", "transitional")]
    results += [result("b" * 50, "pc-modern", HANG), result("a", "pc-modern", CRASH, 2),
                result("a", "-", PASS)]
    text = report.table(results, {"pc-modern": [430, 550]})
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0].split()[1:] == ["pc", "pc", "pc", "q35", "q35", "q35", "-"]
    assert lines[1].split() == ["legacy", "trans", "modern"] * 2
    assert "CRASH* 3.0" in lines[2] and "HANG 1.0" in lines[3] and "430-550" in lines[4]
    # Seven columns: no cell touches the next.
    assert lines[2].split("CRASH* 3.0")[0].endswith(" ")
    assert report.summary(results, 9).startswith("9 tests: 7 pass, 1 hang, 1 guest crash, in 9.0")


def test_junit_survives_control_characters(tmp_path):
    bad = report.Result("t.py::a", "a", "-")
    bad.attempts = [report.Attempt(FAIL, 1.0, "E   \x1b[0m\x00 oops")]
    report.write_junit(tmp_path / "j.xml", [bad], {"commit": "x"}, 1.0)
    assert "oops" in ET.parse(tmp_path / "j.xml").find(".//failure").get("message")
