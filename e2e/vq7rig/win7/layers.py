# SPDX-License-Identifier: MIT
"""The disk of an installation: a file, and above it another for each restart of the machine, so
that what is interrupted goes on from the disk as the last restart left it. What was written
since is in the topmost file alone, which is then made anew."""

import json
import pathlib
import subprocess

from ..errors import RigError

STATE = "state.json"
FIRST = "disk.qcow2"


def qemu_img(*arguments):
    done = subprocess.run(["qemu-img", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise RigError(f"qemu-img {arguments[0]}: {done.stderr.strip()}")


class Layers:
    """Files in `folder`. `settings`: what another run must have to go on with them."""

    def __init__(self, folder, settings):
        self.folder, self.settings = pathlib.Path(folder), settings
        self.names, self.phase, self.resets = [FIRST], "start", 0

    @property
    def top(self):
        return self.folder / self.names[-1]

    @property
    def restarted(self):
        """Is there a restart to go on from?"""
        return len(self.names) > 1

    def begin(self, gib):
        qemu_img("create", "-q", "-f", "qcow2", self.top, f"{gib}G")
        self._write()

    def next_name(self):
        return self.folder / f"disk{len(self.names)}.qcow2"

    def holds(self, path):
        """Whether QEMU, which ended meanwhile, has made this file above the topmost one: it may
        have written there already."""
        done = subprocess.run(["qemu-img", "info", "--output=json", str(path)],
                              capture_output=True, text=True)
        if done.returncode:
            return False
        backing = json.loads(done.stdout).get("backing-filename", "")
        return pathlib.Path(backing).name == self.top.name

    def add(self, path, phase, resets):
        """The machine has restarted and goes on in this file, which is above the last one."""
        self.names.append(path.name)
        self.phase, self.resets = phase, resets
        self._write()

    def _write(self):
        part = self.folder / f"{STATE}.part"
        part.write_text(json.dumps({"settings": self.settings, "files": self.names,
                                    "phase": self.phase, "resets": self.resets}))
        part.replace(self.folder / STATE)

    def go_on(self):
        """None, with the topmost file made anew; or why this can't go on."""
        try:
            state = json.loads((self.folder / STATE).read_text())
            settings, names = state["settings"], list(map(str, state["files"]))
            self.phase, self.resets = str(state["phase"]), int(state["resets"])
        except (OSError, ValueError, KeyError, TypeError) as bad:
            return f"what it left can't be read ({bad})"
        for name, value in self.settings.items():
            if settings.get(name) != value:
                return f"it had another {name}"
        if len(names) < 2 or any(not (self.folder / name).is_file() for name in names[:-1]):
            return "Setup had not restarted the machine yet"
        self.names = names
        qemu_img("create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", self.folder / names[-2],
                 self.top)
        return None

    def flatten(self):
        """One file of all. Returns it."""
        if self.restarted:
            qemu_img("commit", "-q", "-d", "-b", self.folder / FIRST, self.top)
        return self.folder / FIRST
