# SPDX-License-Identifier: MIT
"""The rig's own discs. The answer disk: a CD with Autounattend.xml in its root, where Setup looks
for it, and below vq7\\ the kit and the script of the first logon. The update disc: the kit and
the script that puts it into a finished image."""

import pathlib
import re
import shutil
import subprocess
from xml.sax.saxutils import escape

from ..errors import RigError
from ..paths import BUILD, ROOT

SOURCE = ROOT / "guest_driver" / "package" / "win7"
ARCHITECTURES = {"x86": "x86", "x64": "amd64"}
VOLUME = "VQ7_ANSWER"
UPDATE_VOLUME = "VQ7_UPDATE"


def answer_file(edition, key=""):
    """The text of Autounattend.xml for an edition (media.Edition). Without a key it has no setting
    for one: none may be empty."""
    text = (SOURCE / "Autounattend.xml").read_text(encoding="utf-8")
    text = re.sub(r"<!--.*?-->\n", "", text, flags=re.S)        # which name the marks
    if not key:
        text = re.sub(r"\n *<Key>@KEY@</Key>", "", text)
    for mark, value in (("@ARCH@", ARCHITECTURES[edition.arch]), ("@LANGUAGE@", edition.language),
                        ("@INDEX@", str(edition.index)), ("@KEY@", key)):
        text = text.replace(mark, escape(value))
    return text


def need_kit(kit=BUILD / "nt-kit"):
    """Raises RigError unless there is a kit."""
    for name in ("x86/vq7test.cat", "x64/vq7test.cat", "x86/vq7agent.exe", "x64/vq7agent.exe",
                 "x86/build.txt", "x64/build.txt", "vq7.cer"):
        if not (kit / name).is_file():
            raise RigError(f"there is no kit, {kit / name} is missing", "run `make nt-kit`")
    return kit


def make(image, edition, key="", verifier=False, kit=BUILD / "nt-kit"):
    """Write the answer disk, an ISO."""
    return _disc(image, VOLUME, "firstlogon.cmd", verifier, kit, answer_file(edition, key))


def make_update(image, verifier=False, kit=BUILD / "nt-kit"):
    """Write the update disc, an ISO; the agent knows it by its name."""
    return _disc(image, UPDATE_VOLUME, "update.cmd", verifier, kit)


def _disc(image, volume, script, verifier, kit, answers=None):
    need_kit(kit)
    tree = pathlib.Path(f"{image}.tree")
    shutil.rmtree(tree, ignore_errors=True)
    try:
        shutil.copytree(kit, tree / "vq7")
        lines = (SOURCE / script).read_text(encoding="ascii").splitlines()
        (tree / "vq7" / script).write_bytes("".join(line + "\r\n" for line in lines).encode())
        if answers is not None:
            (tree / "Autounattend.xml").write_text(answers, encoding="utf-8")
        if verifier:
            (tree / "vq7" / "verifier.txt").write_text("Driver Verifier for vq7test.sys\r\n")
        done = subprocess.run(["xorriso", "-as", "mkisofs", "-quiet", "-V", volume, "-J", "-r",
                               "-o", str(image), str(tree)], capture_output=True, text=True)
        if done.returncode:
            raise RigError(f"xorriso: {done.stderr.strip().splitlines()[-1]}")
    except FileNotFoundError as bad:
        raise RigError(f"no {bad.filename}", "ci/setup.sh kit") from bad
    finally:
        shutil.rmtree(tree, ignore_errors=True)
    return image
