# SPDX-License-Identifier: MIT
"""The pytest plugin: options, which tests there are, and the fixtures."""

import contextlib
import logging
import pathlib

import pytest
from _pytest.mark import expression

from . import guests, machine, workers
from .collector import Collector, Controller
from .errors import GuestError
from .paths import E2E, GUEST
from .pool import GivenUp
from .runner import Runner, keep_logs

log = logging.getLogger("vq7rig")
BAD_EXPRESSION = getattr(expression, "ParseError", SyntaxError)     # pytest before 9, and since
logging.raiseExceptions = False     # a full disk is said by the tests, once


def pytest_addoption(parser):
    group = parser.getgroup("vq7rig")
    group.addoption("--connect", metavar="URI", help="libvirt URI; default: embedded driver")
    group.addoption("--qemu", metavar="PATH", help="another QEMU than libvirt's own")
    group.addoption("--qemu2", metavar="PATH", help="a QEMU to move machines to")
    group.addoption("--pool", metavar="NAME", help="a storage pool of that connection")
    group.addoption("--guest", default=str(GUEST), help="folder of ntcompat.elf and guest.cpio")
    group.addoption("--accel", choices=("auto", "tcg", "kvm"), default="auto")
    group.addoption("--debugger", action="store_true", help="keep the first failure's machine")
    guests.add_options(group.addoption)
    group.addoption("--results", default=str(E2E / "latest"), help="folder for logs and junit.xml")


def pytest_configure(config):
    for marker in ("on(group, nightly=group, **changes): configurations of matrix.toml the test "
                   "runs on, and those it runs on in the long set as well",
                   "watched: the kernel's verifier is on, where the guest has one to switch on",
                   "needs(capability, ...): of the guest, see guests/base.py",
                   "fault(name, expected): a row of the table of faults of host and operator",
                   "fresh: the test gets a machine of its own",
                   "smoke: in the short set", "nightly: only in the long set"):
        config.addinivalue_line("markers", marker)
    if workers.is_controller(config):
        _check_choice(config.option)
        config.vq7 = Controller(config)
    elif workers.name_of(config):
        workers.first_signal_ends()
        config.vq7 = Worker(config)
    else:
        config.vq7 = Run(config)
    config.pluginmanager.register(config.vq7, "vq7-run")


def _check_choice(option):
    """-k and -m are otherwise understood by the workers, which can't say what is wrong."""
    for name, text in (("-k", option.keyword), ("-m", option.markexpr)):
        try:
            if text:
                expression.Expression.compile(text)
        except BAD_EXPRESSION as bad:
            raise pytest.UsageError(f"Wrong expression passed to '{name}': {text}: {bad}") from bad


def pytest_generate_tests(metafunc):
    marker = metafunc.definition.get_closest_marker("on")
    if marker and "config" in metafunc.fixturenames:
        changes = dict(marker.kwargs)
        wider = changes.pop("nightly", None)
        chosen = [c.but(**changes) for c in machine.configs(*marker.args)]
        chosen = guests.watched(metafunc, chosen)
        more = [c.but(**changes) for c in machine.configs(wider)] if wider else []
        more = guests.watched(metafunc, more)
        metafunc.parametrize("config", [pytest.param(c, id=c.name) for c in chosen] + [
            pytest.param(c, id=c.name, marks=pytest.mark.nightly)
            for c in more if c not in chosen])


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Tests of one configuration follow each other, so that its machine is reused; those
    that have no machine of their own do so in one worker."""
    order = {}
    for item in items:
        wanted = getattr(item, "callspec", None) and item.callspec.params.get("config")
        item.vq7_config = wanted or None
        order.setdefault(wanted, len(order))
        shared = "vm" in item.fixturenames and not item.get_closest_marker("fresh")
        if workers.name_of(config) and wanted and shared:
            item.add_marker(pytest.mark.xdist_group(wanted.name))
    items.sort(key=lambda item: (order[item.vq7_config],
                                 item.get_closest_marker("fresh") is not None))


class Run(Runner, Collector):
    """A run in this process alone."""

    def __init__(self, config):
        Runner.__init__(self, config)
        Collector.__init__(self, config, self._stop_session)
        self._session = None

    def _stop_session(self, why):
        self._session.shouldstop = why

    def pytest_collection_finish(self, session):
        self._session, self.total = session, len(session.items)

    def pytest_sessionfinish(self):
        try:
            self.close()
        finally:
            self.write()


class Worker(Runner):
    """One process of several: it runs tests, and the controller collects the results."""

    def __init__(self, config):
        super().__init__(config, workers.name_of(config))

    def pytest_sessionfinish(self):
        try:
            self.close()
        finally:
            self.config.workeroutput.update(
                vq7_fatal=str(self.fatal or ""),
                vq7_fatal_of_guest=isinstance(self.fatal, GuestError),
                vq7_boot_times=self.boot_times,
                vq7_facts={name: str(fact) for name, fact in self.facts.items()})


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


@contextlib.contextmanager
def running_machine(request, pool, artefacts, config):
    """One at the prompt, whose logs are the test's."""
    fresh = request.node.get_closest_marker("fresh") is not None
    try:
        machine_ = pool.get(config, fresh)
    except GivenUp as why:
        pytest.skip(str(why))
    machine_.console.also_log_to(artefacts / "console.log")
    log.info("%s: machine %s (%s)", request.node.nodeid, machine_.name, machine_.folder)
    yield machine_
    keep_logs(machine_, artefacts)
    if machine_.backend is not None:
        machine_.backend.check()
    if fresh:
        pool.release()


@pytest.fixture
def vm(request, pool, artefacts, config):
    """A running machine of the test's configuration, at the prompt."""
    with running_machine(request, pool, artefacts, config) as machine_:
        yield machine_


@pytest.fixture
def blank(request, pool, artefacts, config):
    """A machine that isn't started; the test calls start() and pool.boot()."""
    try:
        machine_ = pool.new(config)
    except GivenUp as why:
        pytest.skip(str(why))
    yield machine_
    keep_logs(machine_, artefacts)
    pool.release()
