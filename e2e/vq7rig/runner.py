# SPDX-License-Identifier: MIT
"""Runs tests: the machines for them, their verdicts, the retry of rig errors."""

import logging
import os
import pathlib
import re
import shutil

import pytest
from _pytest.runner import runtestprotocol

from . import diagnose, guests, hardware, hostile_report, machine, report
from .dump import take
from .errors import (HANG, PASS, RIG, SKIP, GuestCrash, GuestError, Hang, Lacking, RigError,
                     UsageError, verdict_of)
from .guests import needs
from .kd import hold
from .libvirt_host import Host
from .patience import set_pace
from .pool import Pool
from .probe import accelerator
from .screen import progress, say
from .workers import Lock, LINGER_S

log = logging.getLogger("vq7rig")


class Runner:
    """The process's host and pool of machines, and the tests that use them.

    `worker` is its name if it is one of several. What is known of a test at its end goes
    with the last of pytest's reports on it, as `report.vq7`.
    """

    def __init__(self, config, worker=None):
        self.config, self.worker = config, worker
        self.fatal = None       # why no test could run
        self.folder = pathlib.Path(config.getoption("--results")).absolute()
        self.host = self.pool = self._lock = None
        self.facts = {}
        self.system = guests.chosen(*map(config.getoption,
                                         ("--system", "--image", "--arch", "--lacks",
                                          "--no-update")))

    def open(self):
        """Connect and choose the accelerator, once, for tests that need a machine."""
        if self.pool is None:
            self.system.check()
            set_pace(self.system.pace)
            guest = pathlib.Path(self.config.getoption("--guest")).absolute()
            if self.worker and self._lock is None:
                self._lock = Lock(self.worker, LINGER_S).__enter__()
            self.host = self.host or Host(self.config.getoption("--connect"),
                                          qemu=self.config.getoption("--qemu"),
                                          pool=self.config.getoption("--pool"),
                                          worker=self.worker)
            self.host.open()
            wanted = self.config.getoption("--accel")
            self.host.accel, note = {"tcg": ("qemu", "TCG: asked for"),
                                     "kvm": ("kvm", "KVM: asked for")}.get(wanted) \
                or accelerator(self.host)
            self.facts = {**report.provenance(guest), **self.host.facts(), "accelerator": note}
            if self.worker in (None, "gw0"):
                say(f"{self.host.emulator}, {note}")
            self.pool = Pool(self.host, guest, self.folder, machine.load_matrix()["vm"],
                             self.worker, self.system)
            self._look()
        return self.pool

    def _look(self):
        """What can this guest do? Asked once, on a machine that the first test may have."""
        if self.system.needs_files:
            return
        if self.worker in (None, "gw0"):
            say(f"{self.system.title}: looking at what it can do")
        self.system.look(self.pool.get(machine.Config()))
        if "unload" in self.system.missing:
            self.pool.release()     # who knows how the trial has left its driver
        self.facts.update(self.system.facts())

    def close(self):
        try:
            if self.pool is not None:
                self.pool.close()
        finally:
            if self.host is not None:
                self.host.close()
            # A worker's lock is kept to the end of the process, as the embedded libvirt is.

    @property
    def boot_times(self):
        """Name of a configuration -> milliseconds of each start."""
        return self.pool.boot_times if self.pool else {}

    # --- pytest's hooks ----------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session):
        """What no test can do without is missing: said once, not test by test."""
        if session.config.option.collectonly or session.testsfailed:
            return None
        try:
            if any("pool" in item.fixturenames for item in session.items):
                self.open()
        except (RigError, UsageError, GuestError) as bad:
            self.fatal = bad
            return None if self.worker else True    # pytest-xdist wants its loop run
        return None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item, nextitem):
        if self.fatal is not None:
            return True
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        item.vq7_result = result = self._result(item)
        if self.worker is None:
            progress(item.name)
        for attempt in (1, 2):
            reports = runtestprotocol(item, nextitem=nextitem, log=False)
            verdict, text = _judge(reports)
            result.attempts.append(report.Attempt(verdict, sum(r.duration for r in reports), text))
            if verdict != RIG or attempt == 2:
                break
            say(f"rig error, trying once more: {item.name}: {report.first_line(text)}")
            item._initrequest()             # the fixtures of the second attempt are new ones
        reports[-1].vq7 = result.plain()
        for each in reports:
            item.ihook.pytest_runtest_logreport(report=each)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def _result(self, item):
        config = item.vq7_config
        test = getattr(item, "originalname", item.name).removeprefix("test_")
        group = item.get_closest_marker("xdist_group")      # is in a worker's names of tests
        nodeid = item.nodeid.removesuffix(f"@{group.args[0]}") if group else item.nodeid
        folder = self.folder / re.sub(r"[^A-Za-z0-9_.-]+", "-", item.name).strip("-")
        return report.Result(nodeid, test, config.base if config else "-",
                             config.name if config else "", folder=str(folder),
                             notes=hostile_report.note_of(item.get_closest_marker("fault"),
                                                          config))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item):
        """Before any machine is made for it."""
        wanted = needs.of(item)
        lost = self.system.has_lost(wanted)
        if lost:
            raise GuestError(lost)
        why = self.system.lacks(wanted)
        if why:
            pytest.skip(why)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item, call):
        error = call.excinfo.value if call.excinfo else None
        if self._stopped(error):
            result = item.vq7_result
            if isinstance(error, Hang):
                hardware.write(self.pool.vm, pathlib.Path(result.folder))
            result.notes["dump"] = take.explain(self.pool.vm, error, pathlib.Path(result.folder))
        outcome = yield
        made = outcome.get_result()
        if isinstance(error, Lacking):
            made.outcome, made.longrepr = "skipped", (str(item.path), 0, f"Skipped: {error}")
        made.vq7_verdict = SKIP if made.skipped else verdict_of(error) if made.failed else PASS
        if made.failed and self.pool is not None:
            if made.vq7_verdict == HANG and self.pool.vm is not None:
                item.vq7_result.notes["virtqueue"] = view = diagnose.of_queue(self.pool.vm)
                made.sections.append(("virtqueue", view))
                say(f"virtqueue: {view}")
            if self.config.getoption("--debugger") and made.vq7_verdict in hold.HELD:
                self._hold(item, made)
            self.pool.failed(error)

    def _hold(self, item, made):
        """A person looks at the machine before anything else happens to it; the run ends then."""
        capture = self.config.pluginmanager.getplugin("capturemanager")
        capture.suspend_global_capture(in_=True)
        try:
            what = f"{report.SHORT[made.vq7_verdict]} {item.name}: " \
                f"{report.first_line(made.longreprtext)}"
            if hold.keep(self.pool.vm, what, pathlib.Path(item.vq7_result.folder)):
                item.session.shouldstop = "a person has looked at the machine"
        finally:
            capture.resume_global_capture()
            capture.suspend_global_capture(in_=False)

    def _stopped(self, error):
        """Has the pool's machine stopped, by a bug check or by a hang, and can be looked at?"""
        if self.pool is None or self.pool.vm is None or self.pool.vm.dom is None:
            return False
        stopped = isinstance(error, Hang) or isinstance(error, GuestCrash) and error.code
        return bool(stopped) and self.pool.vm.active()


def _judge(reports):
    """Verdict and text of an attempt, from the reports of its phases."""
    worst = report.worst(each.vq7_verdict for each in reports)
    text = "\n".join(each.longreprtext if not each.skipped else str(each.longrepr[-1])
                     for each in reports if each.vq7_verdict == worst and each.longrepr)
    return (worst, text) if worst != PASS else (PASS, "")


def keep_logs(machine_, folder):
    """Put what a machine has logged so far beside the test's own logs."""
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
