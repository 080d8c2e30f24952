# SPDX-License-Identifier: MIT
"""A run in several processes: it says what one process would say, and leaves nothing."""

import os
import signal
import types
import xml.etree.ElementTree as ET

import pytest

from test_cli import known_qemu, left_behind, qemu, qemu_cli, wait_for     # noqa: F401
from vq7rig import collector
from vq7rig.errors import UsageError
from vq7rig.workers import jobs_of

FAKE = ("-p", "fake_machine", "--accel=tcg")


def cases(cli):
    """Name of a test -> its verdict and machine, from the report."""
    found = {}
    for case in ET.parse(cli.build / "e2e/latest/junit.xml").findall(".//testcase"):
        facts = {p.get("name"): p.get("value") for p in case.findall("properties/property")}
        found[case.get("classname"), case.get("name")] = (facts["verdict"], facts["machine"])
    return found


def test_same_results_as_of_one_process(cli):
    chosen = ("run", *FAKE, "-k", "(test_segments and not sector) or test_disk_facts")
    one = cli(*chosen)
    assert one.returncode == 0, one.stdout + one.stderr
    alone = cases(cli)
    two = cli(*chosen, "--jobs", "2")
    assert two.returncode == 0, two.stdout + two.stderr
    assert cases(cli) == alone
    assert f"{len(alone)} tests: {len(alone)} pass" in two.stdout
    assert f"[{len(alone)}/{len(alone)}] pass" in two.stderr
    names = {path.name.partition("-")[0] for path in (cli.build / "e2e/latest/machines").iterdir()}
    assert names == {"gw0", "gw1"}
    assert any(line.startswith("test  ") for line in two.stdout.splitlines())   # the table


def test_a_failure_is_a_failure(cli):
    done = cli("run", *FAKE, "-k", "test_random and (pc-modern or pc-legacy)", "--jobs", "2",
               env={"VQ7_FAKE_FAULTS": "lost_write"})
    assert done.returncode == 1, done.stdout + done.stderr
    assert {verdict for verdict, _ in cases(cli).values()} == {"fail"}
    assert "Error" in done.stdout           # the traceback, from the worker


@pytest.mark.parametrize("body, code, words", [
    ("raise RigError('broken cable')", 3, "]: vq7rig.errors.RigError: broken cable"),
    ("os._exit(9)", 3, "]: worker 'gw"),
    ("pytest.skip('not here')", 0, "[12/12] skip"),
])
def test_ends(cli, tmp_path, body, code, words):
    """Many rig errors give up; a worker that dies is one."""
    (tmp_path / "test_x.py").write_text(
        "import os\nimport pytest\nfrom vq7rig.errors import RigError\n"
        f"@pytest.mark.parametrize('n', range(12))\ndef test_it(n):\n    {body}\n")
    done = cli("run", "--jobs", "2", *FAKE, tmp_path / "test_x.py")
    assert done.returncode == code, done.stdout + done.stderr
    assert words in done.stderr.splitlines()[-1], done.stdout + done.stderr
    assert len(cases(cli)) == 12 if code == 0 else len(cases(cli)) < 12


@pytest.mark.parametrize("arguments, words", [
    (("--jobs", "0"), "--jobs 0: it must be a number from 1 to 64, or auto"),
    (("--jobs", "many"), "--jobs many: it must be a number from 1 to 64, or auto"),
    (("--jobs", "2", "-k", "("), "Wrong expression passed to '-k': ("),
    (("--jobs", "2", "-k", "no_such_test"), "no test was chosen"),
])
def test_usage(cli, arguments, words):
    done = cli("run", *FAKE, *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert words in done.stderr
    assert "INTERNALERROR" not in done.stdout + done.stderr


def test_auto_is_the_cpus_of_the_process(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 4, 5})
    assert jobs_of("auto") == 3
    with pytest.raises(UsageError):
        jobs_of("-1")


@qemu
def test_what_no_test_can_do_without_is_said_once(qemu_cli):       # noqa: F811
    done = qemu_cli("run", "--jobs", "2", "--qemu", "/bin/true", "-k", "test_start")
    assert done.returncode in (2, 3), done.stdout + done.stderr
    assert "/bin/true" in done.stderr.splitlines()[-1]
    assert "0 tests" not in done.stdout and "[1/" not in done.stderr


@qemu
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_leaves_nothing(qemu_cli, number):         # noqa: F811
    """The workers end their machines before the controller ends."""
    job = qemu_cli("run", "--accel=tcg", "--jobs", "2", "-k", "test_start", start_only=True)
    wait_for(lambda: len(left_behind(qemu_cli)) == 2)
    job.send_signal(number)
    out, err = job.communicate(timeout=60)
    assert job.returncode == 130, out + err
    assert err.splitlines()[-1] == "vq7rig: interrupted"


@qemu
def test_killed_run_is_cleaned_up(qemu_cli):                       # noqa: F811
    """Its workers see that nobody waits for them; the next run waits for their locks."""
    job = qemu_cli("run", "--accel=tcg", "--jobs", "2", "-k", "test_start", start_only=True)
    wait_for(lambda: len(left_behind(qemu_cli)) == 2)
    job.kill()
    job.communicate()
    second = qemu_cli("run", "--accel=tcg", "--jobs", "2", "-k", "test_start", start_only=True)
    wait_for(lambda: "gw" in str(list((qemu_cli.build / "e2e/latest").glob("machines/*"))))
    second.send_signal(signal.SIGINT)
    _, err = second.communicate(timeout=60)
    assert second.returncode == 130 and "another rig" not in err


def test_regression_a_worker_that_died_unnoticed():
    """It is given more to do before pytest-xdist has seen its end, as 1 time in 8."""
    def gone(_indices):
        raise OSError("cannot send (already closed?)")
    node = types.SimpleNamespace(gateway=types.SimpleNamespace(id="gw0"), send_runtest_some=gone)
    collector.Controller.pytest_testnodeready(types.SimpleNamespace(_names=[]), node)
    node.send_runtest_some([1])
