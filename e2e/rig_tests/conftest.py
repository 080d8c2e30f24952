# SPDX-License-Identifier: MIT
"""Tests of the rig itself. Those that need QEMU are skipped where it is missing."""

import ctypes
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

import pytest

HERE = pathlib.Path(__file__).resolve().parent
E2E = HERE.parent


def pytest_configure(config):
    config.addinivalue_line("markers", "nightly: only with -m nightly")
    config.addinivalue_line("markers", "watched: of the suite's tests")
    config.addinivalue_line("markers", "needs(capability, ...): of the suite's tests")
    config.addinivalue_line("markers", "fault(name, expected): of the suite's tests")
    config.addinivalue_line("markers", "smoke: of the suite's tests")
    config.addinivalue_line("markers", "on(group): of the suite's tests")
    config.addinivalue_line("markers", "rules: of the suite's tests")
    config.addinivalue_line("markers", "fresh: of the suite's tests")
    config.addinivalue_line("markers", "xdist_group: tests that one process has")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """What takes long is left out unless it is asked for. Tests that start a daemon of
    libvirt, of which a machine has one, follow each other in one process (pytest-xdist)."""
    for item in items:
        if item.path.name == "test_connections.py":
            item.add_marker(pytest.mark.xdist_group("daemons"))
    if not config.option.markexpr:
        items[:] = [item for item in items if item.get_closest_marker("nightly") is None]


PR_SET_PDEATHSIG = 1


def end_with_parent():
    """In a child: when the tests are killed, it is asked to end. A rig would go on alone, with
    its machine, for as long as it waits for that."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


@pytest.fixture
def short_path():
    """A temporary folder with a name short enough for sockets below it."""
    with tempfile.TemporaryDirectory(prefix="vq7t-", dir="/tmp") as folder:
        yield pathlib.Path(folder)


@pytest.fixture
def cli(short_path):
    """cli(*arguments, env={}) runs `python3 -m vq7rig` with a build folder of its own."""
    build = short_path / "b"
    guest = build / "guest" / "x64"
    guest.mkdir(parents=True)
    for name in ("ntcompat.elf", "guest.cpio"):
        (guest / name).write_bytes(b"not a kernel")

    always = {**os.environ, "VQ7_BUILD": str(build), "PYTHONPATH": f"{E2E}:{HERE}"}

    def run(*arguments, env=None, start_only=False, code=None):
        environment = {**always, **(env or {})}
        program = ["-c", code] if code else ["-m", "vq7rig"]
        command = [sys.executable, *program, *map(str, arguments)]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
                 "stderr": subprocess.PIPE, "text": True, "cwd": E2E, "env": environment,
                 "preexec_fn": end_with_parent}
        if start_only:
            return subprocess.Popen(command, **pipes)
        return subprocess.run(command, timeout=300, **pipes)

    run.build, run.environment, run.e2e = build, always, E2E
    return run
