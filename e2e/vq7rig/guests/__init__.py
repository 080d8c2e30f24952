# SPDX-License-Identifier: MIT
"""The systems that the suite runs on. A guest is one small class; what one has and another
lacks is a capability that tests name, never an `if` in a test.

    GUESTS[name](image, arch)       chosen by `--system`, `--image` and `--arch`
"""

import re

from ..errors import UsageError
from .base import CAPABILITIES
from .image import Nt
from .ntcompat import Ntcompat
from .win7 import Win7

GUESTS = {guest.name: guest for guest in (Ntcompat, Nt, Win7)}
ARCHITECTURES = ("x64", "x86")


def add_options(add, **kwargs):
    """`add` is argparse's add_argument, or pytest's addoption."""
    add("--system", default="ntcompat", metavar="NAME",
        help=f"the guest: {', '.join(GUESTS)}", **kwargs)
    add("--image", metavar="FILE", help="its ISO or disk image", **kwargs)
    add("--arch", metavar="ARCH", help="x64 or x86: what the image's agent must be", **kwargs)
    add("--lacks", metavar="WHAT", help="what its image can't do and needn't be tried, as "
        "poweroff,restart", **kwargs)
    add("--no-update", action="store_true", help="win7: test the driver that is in the image, not "
        "this build's")


def chosen(name, image=None, arch=None, lacks=None, no_update=False):
    """The guest that options name. Raises UsageError; RigError where its image is missing."""
    if name not in GUESTS:
        raise UsageError(f"unknown guest {name!r}; known: {', '.join(GUESTS)}")
    if arch and arch not in ARCHITECTURES:
        raise UsageError(f"unknown architecture {arch!r}; known: {', '.join(ARCHITECTURES)}")
    guest = GUESTS[name](image, arch)
    for what in filter(None, re.split("[, ]+", lacks or "")):
        if what not in CAPABILITIES:
            raise UsageError(f"--lacks {what}: unknown; known: {', '.join(CAPABILITIES)}")
        guest.said.add(what)
    if no_update:
        guest.renewed = False
    return guest


def watched(metafunc, configs):
    """For a test marked `watched`, whose verdict ntcompat's own strictness is part of, on a guest
    where a verifier has to be switched on: the machines on which it is."""
    guest = GUESTS.get(metafunc.config.getoption("--system"))
    if guest is None or not metafunc.definition.get_closest_marker("watched"):
        return configs
    return [config.but(options=config.options + guest.watched_by) for config in configs]
