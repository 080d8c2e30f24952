# SPDX-License-Identifier: MIT
"""Why a machine is gone: the guest turned it off, or QEMU itself ended."""

import os
import re
import signal
import threading

from . import orphans
from .errors import RigError

WAIT = 3.0              # seconds for libvirt to notice the end of a QEMU
LAST_WORDS = 4          # lines of QEMU's log that are quoted

REMEDIES = {
    signal.SIGKILL: "somebody killed it, or the kernel did for want of memory: look at `dmesg`",
}
# libvirt's own lines in QEMU's log begin with the time, QEMU's command line with a dash.
_TIME = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]+Z ")        # of QEMU's -msg timestamp=on
_LIBVIRTS = re.compile(r"\d{4}-\d\d-\d\d [\d:.]+\+\d{4}: ")


class Ends:
    """Listens to libvirt's life cycle events of one connection."""

    def __init__(self, libvirt):
        self._libvirt = libvirt
        self._seen = {}                 # name of a domain -> its (event, detail)
        self._news = threading.Condition()

    def listen(self, conn):
        conn.domainEventRegisterAny(None, self._libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                    self._event, None)

    def _event(self, _conn, dom, event, detail, _opaque):
        with self._news:
            self._seen.setdefault(dom.name(), []).append((event, detail))
            self._news.notify_all()

    def events(self, name):
        """What happened to a domain that has ended; waits for libvirt to say so."""
        stopped = self._libvirt.VIR_DOMAIN_EVENT_STOPPED
        with self._news:
            self._news.wait_for(lambda: any(event == stopped for event, _ in
                                            self._seen.get(name, ())), WAIT)
            return list(self._seen.get(name, ()))

    def forget(self, name):
        """What has happened to a domain of that name concerns another one."""
        with self._news:
            self._seen.pop(name, None)

    def failure(self, name, pid, log, place):
        """A RigError if QEMU ended without the guest's will, else None.

        `pid` is QEMU's process, `log` the path of its log; None where they aren't known.
        `place` says to a person where the log is.
        """
        lv = self._libvirt
        events = self.events(name)
        if (lv.VIR_DOMAIN_EVENT_SHUTDOWN, lv.VIR_DOMAIN_EVENT_SHUTDOWN_GUEST) in events:
            return None                 # whatever libvirt then did to QEMU
        words = last_words(log) if log else f"; its log: {place}"
        told = (lv.VIR_DOMAIN_EVENT_SHUTDOWN, lv.VIR_DOMAIN_EVENT_SHUTDOWN_HOST) in events
        if told:
            return RigError(f"QEMU was told to end{words}")
        status = orphans.how_ended(pid, 0.5) if pid else None
        if status is not None:
            return _of_status(status, words)
        if (lv.VIR_DOMAIN_EVENT_STOPPED, lv.VIR_DOMAIN_EVENT_STOPPED_FAILED) in events:
            return RigError("QEMU ended by itself, or was killed" + words)
        return None


def _of_status(status, words):
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        return RigError(f"QEMU was ended by {name}{words}", REMEDIES.get(number))
    if os.WEXITSTATUS(status):
        return RigError(f"QEMU ended with exit code {os.WEXITSTATUS(status)}{words}")
    return None


def last_words(log):
    """What QEMU wrote last into its log, as the end of a sentence; "" if nothing."""
    try:
        with open(log, "rb") as file:
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    start = max((at + 1 for at, line in enumerate(lines) if line.startswith("-")), default=0)
    said = [_TIME.sub("", line.strip()) for line in lines[start:]
            if line.strip() and not _LIBVIRTS.match(line)
            and "char device redirected" not in line]
    return f"; its last words: {' / '.join(said[-LAST_WORDS:])}" if said else ""
