# SPDX-License-Identifier: MIT
"""Where things are. VQ7_BUILD names another build folder than build/."""

import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "qemu_configs"
BUILD = pathlib.Path(os.environ.get("VQ7_BUILD", ROOT / "build")).absolute()
GUEST = BUILD / "guest" / "x64"
E2E = BUILD / "e2e"
GUEST_FILES = ("ntcompat.elf", "guest.cpio")
