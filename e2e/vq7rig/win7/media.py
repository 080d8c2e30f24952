# SPDX-License-Identifier: MIT
"""Looks at a Windows ISO: which editions, architecture, language and service pack it has. Only
its directory and a few kilobytes at the end of install.wim are read."""

import pathlib
import struct
import xml.etree.ElementTree as ET
from dataclasses import dataclass

from ..errors import UsageError
from . import udf

WIM_MAGIC = b"MSWIM\0\0\0"
WIM_HEADER = 208
MOST_XML = 16 << 20
ARCHITECTURES = {"0": "x86", "9": "x64", "5": "ARM", "6": "Itanium", "12": "ARM64"}
WINDOWS_7 = ("6", "1")


@dataclass(frozen=True)
class Edition:
    """An image of install.wim."""
    index: int
    name: str           # "Windows 7 PROFESSIONAL": what Setup is told
    edition: str        # "Professional"
    arch: str
    language: str
    version: tuple      # ("6", "1")
    build: str
    service_pack: str   # "0", "1"
    server: bool

    @property
    def release(self):
        return "RTM" if self.service_pack == "0" else f"SP{self.service_pack}"


def _text(node, path, otherwise=""):
    found = node.find(path)
    return found.text.strip() if found is not None and found.text else otherwise


def _edition(image):
    windows = image.find("WINDOWS")
    if windows is None:
        raise udf.Damaged("install.wim has an image that is no Windows")
    number = _text(windows, "ARCH")
    return Edition(int(image.get("INDEX")), _text(image, "NAME"), _text(windows, "EDITIONID"),
                   ARCHITECTURES.get(number, f"architecture {number}"),
                   _text(windows, "LANGUAGES/DEFAULT"),
                   (_text(windows, "VERSION/MAJOR"), _text(windows, "VERSION/MINOR")),
                   _text(windows, "VERSION/BUILD"), _text(windows, "VERSION/SPLEVEL", "0"),
                   _text(windows, "INSTALLATIONTYPE", "Client") != "Client")


def _description(wim):
    """The XML at the end of a WIM file (its header's rhXmlData), which isn't compressed."""
    header = wim.read(0, WIM_HEADER)
    if header[:8] != WIM_MAGIC:
        raise udf.Damaged("its sources/install.wim is none")
    size, offset = struct.unpack_from("<QQ", header, 72)
    size &= (1 << 56) - 1           # the eighth byte holds flags
    if not 2 < size <= MOST_XML:
        raise udf.Damaged("its sources/install.wim is damaged")
    try:
        return ET.fromstring(wim.read(offset, size).decode("utf-16"))
    except (UnicodeDecodeError, ET.ParseError) as bad:
        raise udf.Damaged(f"its sources/install.wim is damaged ({bad})") from bad


def look(path):
    """The editions of an ISO. Raises UsageError, one line, for whatever is not Windows 7's."""
    path = pathlib.Path(path)
    try:
        with open(path, "rb") as file:
            volume = udf.Volume(file)
            wim = volume.find("sources/install.wim")
            if wim is None:
                esd = volume.find("sources/install.esd") is not None
                raise UsageError(f"{path} is " + (
                    "the medium of a newer Windows (it has an install.esd), not of Windows 7"
                    if esd else "no Windows medium: it has no sources/install.wim"))
            editions = [_edition(image) for image in _description(wim).findall("IMAGE")]
            if file.seek(0, 2) < wim.end:
                raise udf.Damaged("it ends within install.wim: the download isn't complete")
    except OSError as bad:
        raise UsageError(f"can't read {path}: {bad.strerror}") from bad
    except (udf.Damaged, struct.error, ValueError, TypeError) as bad:
        raise UsageError(f"{path} is no Windows ISO, or a damaged one: {bad}") from bad
    return _only_windows_7(path, editions)


def _only_windows_7(path, editions):
    for each in editions:
        if each.version != WINDOWS_7:
            raise UsageError(f"{path} has {each.name} (version {'.'.join(each.version)}, build "
                             f"{each.build}), not Windows 7 (6.1)")
        if each.server:
            raise UsageError(f"{path} has {each.name}, a server, not Windows 7")
    if not editions:
        raise UsageError(f"{path} has an install.wim without a Windows")
    return editions


def choose(editions, edition=None, arch=None):
    """The one to install: of that name, or the largest there is that needs no key of a kind of
    its own. Raises UsageError that lists what there is."""
    known = ", ".join(f"{e.edition} {e.arch}" for e in editions)
    for each in editions:
        if each.arch not in ("x86", "x64"):
            raise UsageError(f"the ISO is for {each.arch}; there is: {known}")
    fit = [e for e in editions if arch in (None, e.arch)]
    if not fit:
        raise UsageError(f"ARCH={arch}: the ISO has only {known}")
    if edition is None:
        order = ("professional", "ultimate", "enterprise", "homepremium", "homebasic", "starter")
        fit.sort(key=lambda e: order.index(e.edition.lower())
                 if e.edition.lower() in order else len(order))
        return fit[0]
    for each in fit:
        if edition.lower() in (each.edition.lower(), each.name.lower()):
            return each
    raise UsageError(f"EDITION={edition}: the ISO has only {known}")
