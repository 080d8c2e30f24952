# SPDX-License-Identifier: MIT
from ..errors import Lacking, UsageError
from ..win7 import manifest, update
from .image import Nt


class Win7(Nt):
    """Windows 7, from an image that `make win7-image` has made."""

    name = "win7"
    boot_s = 225            # times pace
    pace = 4.0
    watched_by = ("verifier=on",)
    renewed = True          # is a newer build put into it?
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

        self.updates = self.renewed and update.Updates(self.image, self.format, self.made)

    def backing(self, config, host):
        verifier = config is not None and config.option("verifier") == "on"
        if self.updates:
            return self.updates.over(host, verifier)
        if verifier and not (self.made and self.made.get("verifier")):
            raise Lacking("UPDATE=no: Driver Verifier isn't on in this image")
        return super().backing(config, host)

    def facts(self):
        said = super().facts()
        if self.made:
            said["guest"] += f", {self.made['windows']} {self.made['release']}"
        return said

    def tune(self, root):
        # Windows takes the clock of the machine for local time.
        root.find("clock").set("offset", "localtime")
