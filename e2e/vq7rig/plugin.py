# SPDX-License-Identifier: MIT
"""The pytest plugin: machines for tests, verdicts, the retry of rig errors, reports."""

import logging
import os
import pathlib
import re
import shutil
import sys
import time

import pytest
from _pytest.runner import runtestprotocol

from . import diagnose, machine, report
from .errors import HANG, PASS, RIG, SKIP, Lacking, RigError, UsageError, verdict_of
from .libvirt_host import Host
from .paths import E2E, GUEST
from .pool import GivenUp, Pool
from .probe import accelerator

log = logging.getLogger("vq7rig")
logging.raiseExceptions = False     # a full disk is said by the tests, once

GIVE_UP_RIG = 3         # rig errors, each tried twice, one after the other


def pytest_addoption(parser):
    group = parser.getgroup("vq7rig")
    group.addoption("--connect", metavar="URI", help="libvirt URI; default: embedded driver")
    group.addoption("--qemu", metavar="PATH", help="another QEMU than libvirt's own")
    group.addoption("--pool", metavar="NAME", help="a storage pool of that connection")
    group.addoption("--guest", default=str(GUEST), help="folder of ntcompat.elf and guest.cpio")
    group.addoption("--accel", choices=("auto", "tcg", "kvm"), default="auto")
    group.addoption("--results", default=str(E2E / "latest"), help="folder for logs and junit.xml")


def pytest_configure(config):
    for marker in ("on(group, nightly=group, **changes): configurations of matrix.toml the test "
                   "runs on, and those it runs on in the long set as well",
                   "fresh: the test gets a machine of its own",
                   "smoke: in the short set", "nightly: only in the long set"):
        config.addinivalue_line("markers", marker)
    config.vq7 = Run(config)
    config.pluginmanager.register(config.vq7, "vq7-run")


def pytest_generate_tests(metafunc):
    marker = metafunc.definition.get_closest_marker("on")
    if marker and "config" in metafunc.fixturenames:
        changes = dict(marker.kwargs)
        wider = changes.pop("nightly", None)
        chosen = [c.but(**changes) for c in machine.configs(*marker.args)]
        more = [c.but(**changes) for c in machine.configs(wider)] if wider else []
        metafunc.parametrize("config", [pytest.param(c, id=c.name) for c in chosen] + [
            pytest.param(c, id=c.name, marks=pytest.mark.nightly)
            for c in more if c not in chosen])


def pytest_collection_modifyitems(items):
    """Tests of one configuration follow each other, so that its machine is reused."""
    order = {}
    for item in items:
        config = getattr(item, "callspec", None) and item.callspec.params.get("config")
        item.vq7_config = config or None
        order.setdefault(config, len(order))
    items.sort(key=lambda item: (order[item.vq7_config],
                                 item.get_closest_marker("fresh") is not None))


class Run:
    """One run: its pool of machines and its results."""

    def __init__(self, config):
        self.config = config
        self.results = []
        self.fatal = None       # why no test could run
        self.folder = pathlib.Path(config.getoption("--results")).absolute()
        self.host = self.pool = None
        self.began = time.monotonic()
        self.facts = {}
        self.total = 0

    def open(self):
        """Connect and choose the accelerator, once, for tests that need a machine."""
        if self.pool is None:
            guest = pathlib.Path(self.config.getoption("--guest")).absolute()
            self.host = self.host or Host(self.config.getoption("--connect"),
                                          qemu=self.config.getoption("--qemu"),
                                          pool=self.config.getoption("--pool"))
            self.host.open()
            wanted = self.config.getoption("--accel")
            self.host.accel, note = {"tcg": ("qemu", "TCG: asked for"),
                                     "kvm": ("kvm", "KVM: asked for")}.get(wanted) \
                or accelerator(self.host)
            self.facts = {**report.provenance(guest), **self.host.facts(), "accelerator": note}
            say(f"{self.host.emulator}, {note}")
            self.pool = Pool(self.host, guest, self.folder, machine.load_matrix()["vm"])
        return self.pool

    # --- pytest's hooks ----------------------------------------------------

    def pytest_collection_finish(self, session):
        self.total = len(session.items)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session):
        """What no test can do without is missing: said once, not test by test."""
        if session.config.option.collectonly or session.testsfailed:
            return None
        try:
            if any("pool" in item.fixturenames for item in session.items):
                self.open()
        except (RigError, UsageError) as bad:
            self.fatal = bad
            return True
        return None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item, nextitem):
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        config = item.vq7_config
        test = getattr(item, "originalname", item.name).removeprefix("test_")
        result = report.Result(item.nodeid, test, config.base if config else "-",
                               config.name if config else "")
        item.vq7_result = result
        result.folder = str(self.folder / re.sub(r"[^A-Za-z0-9_.-]+", "-", item.name).strip("-"))
        progress(f"[{len(self.results) + 1}/{self.total}] {item.name}")
        for attempt in (1, 2):
            reports = runtestprotocol(item, nextitem=nextitem, log=False)
            verdict, text = _judge(reports)
            result.attempts.append(report.Attempt(verdict, sum(r.duration for r in reports), text))
            if verdict != RIG or attempt == 2:
                break
            say(f"rig error, trying once more: {item.name}: {report.first_line(text)}")
            item._initrequest()             # the fixtures of the second attempt are new ones
        self.results.append(result)
        self._line(result)
        for each in reports:
            item.ihook.pytest_runtest_logreport(report=each)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        last = self.results[-GIVE_UP_RIG:]
        if len(last) == GIVE_UP_RIG and all(each.verdict == RIG for each in last):
            item.session.shouldstop = f"given up after {GIVE_UP_RIG} rig errors"
        return True

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item, call):
        outcome = yield
        made = outcome.get_result()
        error = call.excinfo.value if call.excinfo else None
        if isinstance(error, Lacking):
            made.outcome, made.longrepr = "skipped", (str(item.path), 0, f"Skipped: {error}")
        made.vq7_verdict = SKIP if made.skipped else verdict_of(error) if made.failed else PASS
        if made.failed and self.pool is not None:
            if made.vq7_verdict == HANG and self.pool.vm is not None:
                item.vq7_result.notes["virtqueue"] = view = diagnose.of_queue(self.pool.vm)
                made.sections.append(("virtqueue", view))
                say(f"virtqueue: {view}")
            self.pool.failed(error)

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report):
        if report.when == "call" or not report.passed:      # the progress line says it
            at_call = report.when == "call"
            return ("skipped" if report.skipped else "passed" if report.passed
                    else "failed" if at_call else "error"), "", ""
        return None

    def _line(self, result):
        state = report.SHORT[result.verdict]
        text = (f"[{len(self.results)}/{self.total}] {state:5} {result.seconds:5.1f} s  "
                f"{result.nodeid.partition('::')[2]}")
        if result.verdict == PASS and sys.stderr.isatty():
            progress(text)
        else:
            say(text)

    def pytest_sessionfinish(self):
        try:
            if self.pool is not None:
                self.pool.close()
        finally:
            if self.host is not None:
                self.host.close()
        if self.results:
            seconds = time.monotonic() - self.began
            try:
                report.write_junit(self.folder / "junit.xml", self.results, self.facts, seconds)
            except OSError as bad:
                self.fatal = RigError(f"can't write {self.folder}/junit.xml: {bad.strerror}",
                                      "free some space, or make it writable")

    def pytest_terminal_summary(self, terminalreporter):
        if not self.results:
            return
        times = self.pool.boot_times if self.pool else {}
        terminalreporter.write_line("")
        terminalreporter.write_line(report.table(self.results, times))
        terminalreporter.write_line(report.summary(self.results, time.monotonic() - self.began))
        for name in ("commit", "qemu", "accelerator"):
            if name in self.facts:
                terminalreporter.write_line(f"{name}: {self.facts[name]}")
        terminalreporter.write_line(f"results: {self.folder}/junit.xml")


def _judge(reports):
    """Verdict and text of an attempt, from the reports of its phases."""
    worst = report.worst(each.vq7_verdict for each in reports)
    text = "\n".join(each.longreprtext if not each.skipped else str(each.longrepr[-1])
                     for each in reports if each.vq7_verdict == worst and each.longrepr)
    return (worst, text) if worst != PASS else (PASS, "")


def say(text):
    """A line that stays."""
    clear = "\r\x1b[K" if sys.stderr.isatty() else ""
    print(clear + text, file=sys.stderr, flush=True)


def progress(text):
    """A line that the next one replaces; nothing where stderr is no terminal."""
    if sys.stderr.isatty():
        print("\r\x1b[K" + text[:report.WIDTH - 1], end="", file=sys.stderr, flush=True)


# --- fixtures ----------------------------------------------------------------

@pytest.fixture
def artefacts(request):
    """The test's own folder, with the rig's log in it."""
    folder = pathlib.Path(request.node.vq7_result.folder)
    folder.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(folder / "rig.log")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield folder
    log.removeHandler(handler)
    handler.close()


@pytest.fixture
def pool(request):
    """Machines made to order; what is left at the end of the test is removed."""
    return request.config.vq7.open()


@pytest.fixture
def note(request):
    """note(name, value) puts a measurement into the test's report."""
    return request.node.vq7_result.notes.__setitem__


@pytest.fixture
def vm(request, pool, artefacts, config):
    """A running machine of the test's configuration, at the prompt."""
    fresh = request.node.get_closest_marker("fresh") is not None
    try:
        machine_ = pool.get(config, fresh)
    except GivenUp as why:
        pytest.skip(str(why))
    machine_.console.also_log_to(artefacts / "console.log")
    log.info("%s: machine %s (%s)", request.node.nodeid, machine_.name, machine_.folder)
    yield machine_
    _keep(machine_, artefacts)
    if machine_.backend is not None:
        machine_.backend.check()
    if fresh:
        pool.release()


@pytest.fixture
def blank(request, pool, artefacts, config):
    """A machine that isn't started; the test calls start() and pool.boot()."""
    try:
        machine_ = pool.new(config)
    except GivenUp as why:
        pytest.skip(str(why))
    yield machine_
    _keep(machine_, artefacts)
    pool.release()


def _keep(machine_, folder):
    """Put what the machine has logged so far beside the test's own logs."""
    if machine_.console is not None:
        machine_.console.stop_copy()
        if not (folder / "console.log").exists():
            _copy(machine_.folder / "console.log", folder / "console.log")
    for name in ("domain.xml", "backend.log"):
        _copy(machine_.folder / name, folder / name)
    _copy(machine_.run / "debug.log", folder / "debug.log")
    _copy(machine_.host.log_of(machine_.name), folder / "qemu.log")


def _copy(source, target):
    if source is not None and os.path.exists(source):
        shutil.copyfile(source, target)
