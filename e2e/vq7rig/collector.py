# SPDX-License-Identifier: MIT
"""Collects the results of a run, from this process or from workers, and reports them."""

import contextlib
import pathlib
import sys
import time

import pytest

from . import hostile_report, report, workers
from .coverage import job as coverage
from .errors import PASS, RIG, GuestError, RigError
from .screen import progress, say

GIVE_UP_RIG = 3         # rig errors, each tried twice, one after the other


class Collector:
    """The results of one run; `stop(why)` ends it early. A subclass has `boot_times`: names of
    configurations -> milliseconds of each start."""

    def __init__(self, config, stop):
        self.results = []
        self.fatal = None       # why no test could run
        self.folder = pathlib.Path(config.getoption("--results")).absolute()
        self.facts = {}
        self.hostile = ""       # the table of the hostile device's ways
        self.coverage = ""      # the lines that an instrumented driver has executed
        self._guest = pathlib.Path(config.getoption("--guest")).absolute()
        self.total = 0
        self._stop = stop
        self._began = time.monotonic()

    def take(self, result):
        """A test has ended."""
        self.results.append(result)
        self._line(result)
        last = self.results[-GIVE_UP_RIG:]
        if len(last) == GIVE_UP_RIG and all(each.verdict == RIG for each in last):
            self._stop(f"given up after {GIVE_UP_RIG} rig errors")

    def _line(self, result):
        state = report.SHORT[result.verdict]
        text = (f"[{len(self.results)}/{self.total}] {state:5} {result.seconds:5.1f} s  "
                f"{result.nodeid.partition('::')[2]}")
        if result.verdict == PASS and sys.stderr.isatty():
            progress(text)
        else:
            say(text)

    def write(self):
        """The report in the results' folder."""
        if not self.results:
            return
        try:
            report.write_junit(self.folder / "junit.xml", self.results, self.facts,
                               time.monotonic() - self._began)
            self.hostile = hostile_report.write(self.folder, self.results)
            self.coverage = coverage.of_run(self.folder, self._guest)
        except OSError as bad:
            self.fatal = RigError(f"can't write {self.folder}/junit.xml: {bad.strerror}",
                                  "free some space, or make it writable")

    # --- pytest's hooks ----------------------------------------------------

    def pytest_runtest_logreport(self, report):
        fields = getattr(report, "vq7", None)
        if fields is not None:
            self.take(_result(fields))

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report):
        if report.when == "call" or not report.passed:      # the progress line says it
            at_call = report.when == "call"
            return ("skipped" if report.skipped else "passed" if report.passed
                    else "failed" if at_call else "error"), "", ""
        return None

    def pytest_terminal_summary(self, terminalreporter):
        if not self.results:
            return
        terminalreporter.write_line("")
        terminalreporter.write_line(report.table(self.results, self.boot_times))
        for text in filter(None, (self.hostile, self.coverage)):
            terminalreporter.write_line("\n" + text)
        terminalreporter.write_line(report.summary(self.results,
                                                   time.monotonic() - self._began))
        for name in ("guest", "guest lacks", "commit", "qemu", "accelerator"):
            if name in self.facts:
                terminalreporter.write_line(f"{name}: {self.facts[name]}")
        terminalreporter.write_line(f"results: {self.folder}/junit.xml")


class Controller(Collector):
    """Collects from workers."""

    def __init__(self, config):
        super().__init__(config, self._stop_all)
        self._config = config
        self._names = []
        self.boot_times = {}

    def _stop_all(self, why):
        self._config.pluginmanager.getplugin("dsession").shouldstop = why

    def pytest_testnodeready(self, node):
        self._names.append(node.gateway.id)
        send = node.send_runtest_some

        def unless_dead(indices):
            """xdist fails itself where a worker has died and it doesn't know yet; it is told
            next, and then reports the tests that this worker had."""
            with contextlib.suppress(OSError):
                send(indices)
        node.send_runtest_some = unless_dead

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids):
        self.total = len(ids)

    def pytest_runtest_logreport(self, report):
        super().pytest_runtest_logreport(report)
        if report.when == "???":            # pytest-xdist's, for a worker that has died
            self.take(_of_dead_worker(report))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node):
        said = getattr(node, "workeroutput", None) or {}
        if said.get("vq7_fatal"):
            kind = GuestError if said.get("vq7_fatal_of_guest") else RigError
            self.fatal = self.fatal or kind(said["vq7_fatal"])
        self.facts = self.facts or said.get("vq7_facts", {})
        for name, times in said.get("vq7_boot_times", {}).items():
            self.boot_times.setdefault(name, []).extend(times)

    def pytest_keyboard_interrupt(self):
        workers.interrupt(self._names)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self):
        self.write()


def _result(fields):
    return report.Result.of_plain(fields)


def _of_dead_worker(dead):
    """The result of the test in the midst of which a worker died."""
    nodeid = dead.nodeid.rpartition("@")[0] or dead.nodeid
    name = nodeid.partition("::")[2].partition("[")[0].removeprefix("test_")
    made = report.Result(nodeid, name, "-")
    made.attempts = [report.Attempt(RIG, 0.0, str(dead.longrepr))]
    return made
