# SPDX-License-Identifier: MIT
"""What an image could do in earlier runs, so that what it suddenly lacks is noticed."""

import hashlib
import json
import os

from ..errors import RigError
from ..paths import BUILD
from .look import PROBED


class Memory:
    """A file below the build folder for each image, by its path."""

    def __init__(self, image, folder=None):
        ident = hashlib.sha256(str(image).encode()).hexdigest()[:12]
        self.path = (folder or BUILD / "guests") / f"{image.stem}-{ident}.json"

    def compare(self, missing):
        """Of `missing` (capability -> reason), what was there before; remembers what is there."""
        had = self._read()
        has = sorted(had | {name for name in PROBED if name not in missing})
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            part = self.path.with_suffix(f".{os.getpid()}")     # of several workers
            part.write_text(json.dumps({"has": has}))
            part.replace(self.path)
        except OSError as bad:
            raise RigError(f"can't write {self.path}: {bad.strerror}") from bad
        return {name: f"{why}; {self.path} remembers it, remove that if the image has changed"
                for name, why in missing.items() if name in had}

    def _read(self):
        try:
            return set(json.loads(self.path.read_text())["has"])
        except FileNotFoundError:
            return set()
        except (OSError, ValueError, KeyError, TypeError) as bad:
            raise RigError(f"{self.path} can't be read ({bad})", "remove it") from bad
