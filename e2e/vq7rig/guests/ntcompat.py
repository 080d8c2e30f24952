# SPDX-License-Identifier: MIT
from .base import Guest
from ..errors import UsageError


class Ntcompat(Guest):
    """Our own kernel, by QEMU's -kernel: it has everything."""

    name = "ntcompat"
    needs_files = True

    def check(self):
        if self.image or self.arch == "x86":
            raise UsageError("the guest ntcompat takes no image and is x64; name another one: "
                             "GUEST=nt IMAGE=x.iso, or --system nt --image x.iso")
