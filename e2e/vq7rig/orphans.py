# SPDX-License-Identifier: MIT
"""QEMUs of the embedded driver: who waits for their end, and how each ended.

QEMU is a daemon, so its end is otherwise collected by init, which may take its time,
and libvirt waits for that whenever a machine ends. So this process adopts them.
"""

import ctypes
import os
import pathlib
import re
import signal
import threading
import time

PR_SET_CHILD_SUBREAPER = 36
COMM = 15               # bytes of a process's name that the kernel keeps
KEEP = 64               # ends that are remembered
LOOK_AGAIN = 0.02       # seconds, while a child that isn't ours waits to be collected

_names = {"qemu-system"}
_ended = {}             # process id -> its wait status
_news = threading.Condition()


def adopt():
    """Make this process the parent of the QEMUs it starts, and collect them at their end.
    Call it once."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0:
        threading.Thread(target=_collect, name="collect QEMUs", daemon=True).start()


def also_named(emulator):
    """Daemons with the name of this program are QEMUs, too."""
    _names.add(os.path.basename(emulator)[:COMM])


def how_ended(pid, timeout):
    """The wait status of a QEMU that ends just now or has ended; None: not known."""
    with _news:
        _news.wait_for(lambda: pid in _ended, timeout)
        return _ended.get(pid)


def _collect():
    """Collect ended QEMU daemons, and only those: whoever started another child waits for it."""
    while True:
        try:
            first = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT).si_pid
        except ChildProcessError:
            time.sleep(0.05)
            continue
        if _is_daemon(first):
            _take(first)
            continue
        # Another's child is waitid's answer until that one collects it, if ever: look past it.
        for pid in _children():
            if _is_daemon(pid):
                _take(pid)
        time.sleep(LOOK_AGAIN)


def _take(pid):
    try:
        done, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return
    if done:
        with _news:
            _ended.pop(pid, None)
            _ended[pid] = status
            while len(_ended) > KEEP:
                del _ended[next(iter(_ended))]
            _news.notify_all()


def _children():
    """Process ids of the children of all threads."""
    found, listed = [], False
    for path in pathlib.Path("/proc/self/task").glob("*/children"):
        try:
            found += map(int, path.read_text().split())
            listed = True
        except OSError:
            pass                        # the thread has ended
    if listed:
        return found
    me = os.getpid()                    # a kernel without CONFIG_PROC_CHILDREN
    return [pid for pid, words in _processes() if int(words[1]) == me]


def _processes():
    """(process id, the words of its `stat` after the name) of every process."""
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            text = (entry / "stat").read_text(encoding="ascii", errors="replace")
        except OSError:
            continue                    # ended meanwhile
        yield int(entry.name), text.rpartition(")")[2].split()


def _is_daemon(pid):
    """Is this a QEMU in a session of its own?"""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            name, _, rest = file.read().partition("(")[2].rpartition(")")
    except OSError:
        return False
    return name.startswith(tuple(_names)) and int(rest.split()[3]) != os.getsid(0)


def ticks():
    """Now, in the unit of the start times of processes."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK")


def end_all(root, until=float("inf")):
    """End the QEMUs below an embedded root that libvirt doesn't know: those that a killed
    rig was just starting. Ours are children of this process. `until`: of these ticks() and
    before."""
    # A path of its own in the word: another checkout's may end like this one.
    mark = re.compile(rb"(?:^|[=:,\"])" + re.escape(os.fsencode(f"{root}/")))
    for pid, words in _processes():
        try:
            line = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if (int(words[1]) != os.getpid() and int(words[19]) <= until
                    and any(map(mark.search, line))
                    and os.fsdecode(os.path.basename(line[0])).startswith(tuple(_names))):
                os.kill(pid, signal.SIGKILL)
        except OSError:
            pass                        # ended meanwhile, or another user's
