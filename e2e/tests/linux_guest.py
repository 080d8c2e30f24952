# SPDX-License-Identifier: MIT
"""What the tests with a Linux guest share."""

import contextlib

import pytest

from vq7rig.foreign import work
from vq7rig.foreign.linux import Linux
from vq7rig.foreign.shell import Shell
from vq7rig.runner import keep_logs

BACKEND = ("backend=vhost-user",)


@contextlib.contextmanager
def booted(vm, ext4=False):
    """Linux, started on a disk that the host has written to: (shell, disk)."""
    disk = work.Disk(vm).fill()
    if ext4:
        disk.make_ext4()
    vm.start()
    vm.resume()
    with contextlib.closing(Shell(vm)) as shell:
        yield shell, disk


@contextlib.contextmanager
def machine(pool, artefacts, config, slots=0):
    """One for it, not started."""
    vm = pool.new(config, Linux(slots))
    yield vm
    if vm.backend is not None:
        vm.backend.check()
    keep_logs(vm, artefacts)
    pool.release()


@pytest.fixture
def linux(pool, artefacts, config):
    with machine(pool, artefacts, config) as vm:
        yield vm
