# SPDX-License-Identifier: MIT
"""A process beside a rig that outlives it: where the rig is killed, it ends its machines.

The next start of a rig does so, too, but there may be none. Nobody else would: QEMU is a daemon.
"""

import contextlib
import os
import pathlib
import subprocess
import sys
import time

STRAGGLERS_S = 1.0          # what libvirt was just starting is QEMU by then


def start(root, emulator=None):
    """Watch over the QEMUs below an embedded root. Returns the process, for `stop`."""
    names = [os.path.basename(emulator)] if emulator else []
    # Its standard input ends with this process, however that ends; a Ctrl-C is for this one,
    # which ends its machines itself.
    return subprocess.Popen([sys.executable, "-I", "-S", __file__, str(root), *names],
                            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL, start_new_session=True)


def stop(process):
    """There are no machines any more."""
    process.kill()
    process.wait()
    with contextlib.suppress(OSError):
        process.stdin.close()


def _watch(root, names):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
    from vq7rig import orphans
    for each in names:
        orphans.also_named(each)
    sys.stdin.buffer.read()
    end = orphans.ticks()       # the machines of a rig that starts from now on are its own
    orphans.end_all(root, end)
    time.sleep(STRAGGLERS_S)
    orphans.end_all(root, end)


if __name__ == "__main__":
    _watch(sys.argv[1], sys.argv[2:])
