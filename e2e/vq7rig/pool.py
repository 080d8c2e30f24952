# SPDX-License-Identifier: MIT
"""Machines for tests: made on demand, kept while they are of use, always removed.

One machine lives at a time. It is handed out again when the next test wants the
same configuration and the last one left it healthy.
"""

import pathlib

from .errors import GuestError, Hang, RigError
from .guests.ntcompat import Ntcompat
from .patience import patience
from .vm import VM

GIVE_UP_CONFIG = 2      # hangs or crashes at boot, or hangs, of one configuration
GIVE_UP_ALL = 5         # hangs of the whole run


class GivenUp(Exception):
    """No further attempt is made; says why."""


class Pool:
    """Hands out running machines. `open` and `close` bracket its use."""

    def __init__(self, host, guest, folder, settings, worker=None, system=None):
        self.host, self.guest, self.system = host, guest, system or Ntcompat()
        self._mark = f"{worker}-" if worker else ""     # in the names of its machines' folders
        self.folder = pathlib.Path(folder)
        self.disk_mib = settings["disk_mib"]
        self.hello_timeout = (self.system.boot_s or settings["hello_timeout_s"]) * patience()
        self.vm = None
        self.boots = 0
        self.boot_times = {}            # configuration name -> milliseconds of each start
        self._bad = {}                  # configuration name -> first line of each failure
        self._hangs = 0

    def get(self, config, fresh=False):
        """A running machine; a new one if `fresh`. Raises GivenUp after repeated failures."""
        self._check_given_up(config)
        if self.vm is not None and (fresh or self.vm.config != config or not self.vm.usable
                                    or not self.vm.active()):
            self.release()
        if self.vm is None:
            self.new(config).start()
            self.boot()
        return self.vm

    def new(self, config, system=None):
        """A machine that is prepared but not started: the host may write its disk. `system`: of
        another guest than the run's."""
        self._check_given_up(config)
        self.release()
        self.host.ensure()
        self.boots += 1
        folder = self.folder / "machines" / f"{self._mark}{self.boots:03}-{config.name}"
        self.vm = VM(self.host, config, self.guest, folder, self.disk_mib, self.hello_timeout,
                     system or self.system)
        return self.vm.prepare()

    def boot(self):
        """Boot the machine that has been started."""
        self.vm.boot()
        self.boot_times.setdefault(self.vm.config.name, []).append(self.vm.boot_ms)
        return self.vm

    def boot_of(self, vm):
        """Start and boot a machine that `new` made."""
        if vm is not self.vm:
            raise RigError("this machine isn't the pool's any more")
        vm.start()
        return self.boot()

    def failed(self, error):
        """A test that used the machine failed: nobody gets it again."""
        if self.vm is None:
            return
        self.vm.broken(error)
        booted = self.vm.boot_ms is not None
        if isinstance(error, Hang):
            self._hangs += 1
        if isinstance(error, Hang) or isinstance(error, GuestError) and not booted:
            first = str(error).splitlines()[0]
            self._bad.setdefault(self.vm.config.name, []).append(first)

    def _check_given_up(self, config):
        bad = self._bad.get(config.name, [])
        if len(bad) >= GIVE_UP_CONFIG:
            raise GivenUp(f"given up on {config.name} after {len(bad)} failures, last: {bad[-1]}")
        if self._hangs >= GIVE_UP_ALL:
            raise GivenUp(f"given up after {self._hangs} hangs")

    def release(self):
        """End the machine, if there is one."""
        vm, self.vm = self.vm, None
        if vm is not None:
            vm.destroy()

    def close(self):
        """End everything; Host.close ends what refuses."""
        self.release()
