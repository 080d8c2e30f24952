# SPDX-License-Identifier: MIT
from ..errors import UsageError
from ..win7 import manifest
from .image import Nt


class Win7(Nt):
    """Windows 7, from an image that `make win7-image` has made."""

    name = "win7"
    boot_s = 225            # times pace
    pace = 4.0
    memory_mib = 2048
    never = frozenset({"settings", "rules", "faults", "kernel log", "debugger", "crash", "sleep",
                       "firmware"})
    missing_image = ("the guest win7 needs an image, which is made of your own Windows 7 ISO: make "
                     "win7-image ISO=win7.iso OUT=win7.qcow2, then make e2e GUEST=win7 "
                     "IMAGE=win7.qcow2; docs/guests.md has the steps by hand")

    def check(self):
        super().check()
        self.made = manifest.read(self.image)       # None: made by hand
        if self.made and self.arch not in (None, self.made["arch"]):
            raise UsageError(f"ARCH={self.arch}, but {self.image} is {self.made['arch']}")

    def facts(self):
        said = super().facts()
        if self.made:
            said["guest"] += f", {self.made['windows']} {self.made['release']}"
        return said

    def tune(self, root):
        # Windows takes the clock of the machine for local time.
        root.find("clock").set("offset", "localtime")
