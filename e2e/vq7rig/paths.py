# SPDX-License-Identifier: MIT
"""Where things are. VQ7_BUILD names another build folder than build/."""

import os
import pathlib
import re
import tempfile

from .errors import UsageError

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "qemu_configs"
BUILD = pathlib.Path(os.environ.get("VQ7_BUILD", ROOT / "build")).absolute()
GUEST = BUILD / "guest" / "x64"
E2E = BUILD / "e2e"
# Not in XML 1.0, or no character: Python's way to keep a byte that is no UTF-8.
_UNNAMEABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
GUEST_FILES = ("ntcompat.elf", "guest.cpio")


def need_names(guest=GUEST, results=E2E):
    """Raises UsageError for a folder whose name can't be in libvirt's XML."""
    for what, path in (("VQ7_BUILD", BUILD), ("TMPDIR", tempfile.gettempdir()),
                       ("--guest", guest), ("--results", results)):
        text = os.path.abspath(path)
        if _UNNAMEABLE.search(text):
            raise UsageError(f"{what} {ascii(text)}: libvirt takes only UTF-8 without control "
                             f"characters in names; give {what} another folder")
