# SPDX-License-Identifier: MIT
"""ISO images as Windows' are: a UDF file system with sources/install.wim, of which here no more
is there than its header and its description; and, if it is to boot, our own stand-in for Setup."""

import shutil
import struct
import subprocess

import pytest

PROFESSIONAL = {"NAME": "Windows 7 PROFESSIONAL", "ARCH": "9", "EDITIONID": "Professional",
                "LANGUAGE": "en-US", "MAJOR": "6", "MINOR": "1", "BUILD": "7601", "SPLEVEL": "1",
                "TYPE": "Client"}
IMAGE = """<IMAGE INDEX="{index}"><NAME>{NAME}</NAME><WINDOWS><ARCH>{ARCH}</ARCH>
<EDITIONID>{EDITIONID}</EDITIONID><INSTALLATIONTYPE>{TYPE}</INSTALLATIONTYPE>
<LANGUAGES><LANGUAGE>{LANGUAGE}</LANGUAGE><DEFAULT>{LANGUAGE}</DEFAULT></LANGUAGES>
<VERSION><MAJOR>{MAJOR}</MAJOR><MINOR>{MINOR}</MINOR><BUILD>{BUILD}</BUILD>
<SPLEVEL>{SPLEVEL}</SPLEVEL></VERSION></WINDOWS></IMAGE>"""


def wim(images):
    """Header (208 bytes), some content, the description as UTF-16 with its mark."""
    text = "<WIM>" + "".join(IMAGE.format(index=index, **{**PROFESSIONAL, **changes})
                             for index, changes in enumerate(images, 1)) + "</WIM>"
    description = text.encode("utf-16")
    content = bytes(300000)
    header = bytearray(208)
    header[:8] = b"MSWIM\0\0\0"
    struct.pack_into("<II", header, 8, 208, 0x10D00)
    struct.pack_into("<QQQ", header, 72, len(description) | 2 << 56, 208 + len(content),
                     len(description))
    return bytes(header) + content + description


def make(path, images=({},), name="sources/install.wim", data=None, boot=None):
    """`images`: what differs from PROFESSIONAL, for each; `boot`: code that the BIOS starts."""
    if not shutil.which("genisoimage"):
        pytest.skip("no genisoimage: ci/setup.sh kit")
    tree = path.parent / f"{path.name}.tree"
    (tree / "sources").mkdir(parents=True)
    (tree / "readme.txt").write_text("Windows")
    (tree / name).parent.mkdir(exist_ok=True)
    (tree / name).write_bytes(wim(images) if data is None else data)
    command = ["genisoimage", "-quiet", "-udf", "-V", "GRMCPRXFRER", "-o", path]
    if boot is not None:
        (tree / "boot.bin").write_bytes(boot)
        command += ["-b", "boot.bin", "-no-emul-boot", "-boot-load-size", "4", "-c", "boot.cat"]
    subprocess.run([*command, tree], check=True, capture_output=True)
    shutil.rmtree(tree)
    return path
