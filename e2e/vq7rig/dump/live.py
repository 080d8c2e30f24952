# SPDX-License-Identifier: MIT
"""`python3 -m vq7rig dump`: a dump of the machine that another terminal has.

Only the process that started a machine has its libvirt. So the jobs that keep one for a
person (vm, kd, windbg) take a dump when they get SIGUSR1, and leave a note of the result.
"""

import fcntl
import json
import os
import signal
import time
from contextlib import contextmanager

from ..errors import EXIT_PASS, Lacking, RigError
from ..paths import E2E
from . import take

MARK, RESULT = E2E / "live", E2E / "live-dump"      # whose machine it is; what came of it
LIMIT_S = 120.0


@contextmanager
def on_request(vm, folder):
    """Within this block dumps of the machine are taken for whoever asks."""
    def dump(_number, _frame):
        try:
            taken = take.take(vm, folder)
            said = {"folder": str(folder), "files": taken.files, "why_not": taken.why_not,
                    "where": take.whereabouts(taken)}
        except (Lacking, RigError, OSError) as bad:
            said = {"error": str(bad)}
        partial = RESULT.with_suffix(".partial")
        partial.write_text(json.dumps(said))
        partial.rename(RESULT)

    before = signal.signal(signal.SIGUSR1, dump)
    with open(MARK, "w", encoding="ascii", buffering=1) as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)        # as long as this process lives
        mark.write(str(os.getpid()))
        mark.flush()
        try:
            yield
        finally:
            MARK.unlink(missing_ok=True)
            signal.signal(signal.SIGUSR1, before)


def add_parser(jobs):
    parser = jobs.add_parser("dump", help="dump the memory of the machine of another terminal")
    parser.set_defaults(function=_job)
    return parser


def _owner():
    """Process id of whoever has a machine. One that was killed has left the mark, and its
    number may be another's by now: the lock has gone with it. Raises OSError, ValueError."""
    with open(MARK, encoding="ascii") as mark:
        try:
            fcntl.flock(mark, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(mark.read())
    raise ValueError("nobody holds the mark")


def _job(_args, _rest):
    try:
        pid = _owner()
        RESULT.unlink(missing_ok=True)
        os.kill(pid, signal.SIGUSR1)
    except (OSError, ValueError) as bad:
        raise RigError("no machine runs here", "start one in another terminal: make vm-modern, "
                       "make kd or make windbg") from bad
    said = _result(pid)
    if "error" in said:
        raise RigError(said["error"])
    for line in said["where"]:
        print(line)
    for name in said["files"]:
        print(f"{said['folder']}/{name}")
    if said["why_not"]:
        print(f"and no more: {said['why_not']}")
    return EXIT_PASS


def _result(pid):
    until = time.monotonic() + LIMIT_S
    while time.monotonic() < until:
        if RESULT.exists():
            said = json.loads(RESULT.read_text())
            RESULT.unlink(missing_ok=True)
            return said
        try:
            os.kill(pid, 0)
        except OSError:
            raise RigError("the machine ended before it could be dumped") from None
        time.sleep(0.1)
    raise RigError(f"process {pid} took no dump in {LIMIT_S:.0f} s: it doesn't come to it")
