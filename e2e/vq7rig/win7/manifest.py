# SPDX-License-Identifier: MIT
"""Says of a finished image what it holds; beside the image, which is read only from then on."""

import datetime
import hashlib
import json
import pathlib

from ..errors import RigError

VERSION = 1


def path_of(image):
    return pathlib.Path(f"{image}.json")


def _sha256(path):
    hashed = hashlib.sha256()
    with open(path, "rb") as file:
        while data := file.read(1 << 20):
            hashed.update(data)
    return hashed.hexdigest()


def kit_hashes(kit, arch):
    """Of what the image has got from the kit."""
    return {name: _sha256(kit / arch / name)
            for name in ("vq7test.sys", "vq7test.inf", "vq7test.cat", "vq7agent.exe")}


def seal(image, iso, edition, kit, options):
    """Write the manifest and take the right to write away from the image."""
    facts = {"version": VERSION, "made": datetime.datetime.now(datetime.timezone.utc).isoformat(),
             "windows": edition.name, "arch": edition.arch, "release": edition.release,
             "build": edition.build, "language": edition.language,
             "iso": {"name": pathlib.Path(iso).name, "sha256": _sha256(iso)},
             "kit": kit_hashes(kit, edition.arch), "image size": image.stat().st_size,
             "image sha256": _sha256(image), **options}
    path_of(image).write_text(json.dumps(facts, indent=2) + "\n")
    image.chmod(0o444)
    return facts


def read(image):
    """The manifest, or None: the image was made by hand. Raises RigError for a damaged one, and
    for one that is of another image."""
    try:
        facts = json.loads(path_of(image).read_text())
        if facts["version"] != VERSION:
            raise ValueError(f"version {facts['version']}")
        size = facts["image size"]
        for name in ("arch", "windows", "release"):
            if not isinstance(facts[name], str):
                raise ValueError(f"{name}: {facts[name]!r}")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as bad:
        raise RigError(f"{path_of(image)} can't be read ({bad})", "make the image anew") from bad
    if size != image.stat().st_size:
        raise RigError(f"{image} was written to since it was made", "make it anew")
    return facts
