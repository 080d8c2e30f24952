# SPDX-License-Identifier: MIT
"""Temporary folders: their names, and who removes those of a rig that was killed."""

import hashlib
import os
import pathlib
import shutil
import tempfile

from .paths import E2E


def tree():
    """A short name for this build folder."""
    return hashlib.sha256(os.fsencode(E2E)).hexdigest()[:8]


def temp_prefix():
    """How the names of this build folder's temporary folders begin."""
    return f"vq7-{tree()}-"


def remove_temps():
    """Remove what a killed rig left. Its machines have ended, and libvirt lets only one
    process use the build folder's embedded driver."""
    for folder in pathlib.Path(short_temp()).glob(temp_prefix() + "*"):
        if folder.lstat().st_uid == os.getuid():
            shutil.rmtree(folder, ignore_errors=True)


def short_temp():
    """The folder for temporary files, or /tmp where its name is too long for sockets."""
    folder = tempfile.gettempdir()
    return folder if len(os.fsencode(folder)) <= 30 else "/tmp"


def new_temp():
    """A new temporary folder of this build folder."""
    return pathlib.Path(tempfile.mkdtemp(prefix=temp_prefix(), dir=short_temp()))
