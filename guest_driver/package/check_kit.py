#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks a kit: check_kit.py KIT CERTIFICATE.pem

Shares nothing with what makes the kit: reads the catalog's DER with code of its own,
computes Authenticode's digest the other way that Microsoft's document describes (header,
then sections in the order of the file, then what follows them), and finds names in the INF
by pattern. Signatures are verified by osslsigncode. What is said of a kit is the first
fault found, on one line; exit code 3.
"""

import hashlib
import pathlib
import re
import struct
import subprocess
import sys

from kit.errors import KitError

SUBJECT_OF = {True: "{C689AAB8-8E78-11D0-8C47-00C04FC295EE}",  # PE image
              False: "{DE351A42-8E59-11D0-8C47-00C04FC295EE}"}  # any other file
ARCHITECTURES = {"x86": (0x14C, "7X86", "x86"), "x64": (0x8664, "7X64", "amd64")}
OID_SHA1 = bytes.fromhex("2b0e03021a")
OID_CTL = bytes.fromhex("2b060104018237 0a01")
OID_CATALOG_LIST = bytes.fromhex("2b060104018237 0c0101")
OID_NAME_VALUE = bytes.fromhex("2b060104018237 0c0201")
OID_MEMBER_INFO = bytes.fromhex("2b060104018237 0c0202")
OID_INDIRECT_DATA = bytes.fromhex("2b060104018237 020104")


class Node:
    """One DER element."""

    def __init__(self, data, at=0):
        try:
            self.tag, size, at = data[at], data[at + 1], at + 2
            if size & 0x80:
                count = size & 0x7F
                size, at = int.from_bytes(data[at:at + count], "big"), at + count
        except IndexError:
            raise KitError("DER ends in the middle of an element") from None
        self.content, self.end = data[at:at + size], at + size
        if self.end > len(data):
            raise KitError("DER ends in the middle of an element")

    def __iter__(self):
        at = 0
        while at < len(self.content):
            child = Node(self.content, at)
            yield child
            at = child.end

    def __getitem__(self, index):
        children = list(self)
        if index >= len(children):
            raise KitError("DER element with too few parts")
        return children[index]

    def bmp(self):
        return self.content.decode("utf-16-be")

    def utf16(self):
        text = self.content.decode("utf-16-le")
        if not text.endswith("\0"):
            raise KitError(f"catalog text without its end: {text!r}")
        return text[:-1]


def name_value(node):
    name, flags, value = node
    if int.from_bytes(flags.content, "big") != 0x10010001:
        raise KitError(f"catalog attribute {name.bmp()} has odd flags")
    return name.bmp(), value.utf16()


class Member:
    def __init__(self, node):
        self.tag = node[0].utf16()
        self.attributes, self.digest, self.subject = {}, None, None
        for attribute in node[1]:
            kind, value = attribute[0].content, attribute[1][0]
            if kind == OID_NAME_VALUE:
                self.attributes.update([name_value(value)])
            elif kind == OID_MEMBER_INFO:
                self.subject = value[0].bmp()
            elif kind == OID_INDIRECT_DATA:
                if value[1][0][0].content != OID_SHA1:
                    raise KitError("a member's digest isn't SHA-1, the only one RTM knows")
                self.digest = value[1][1].content
        if self.digest is None or self.tag != self.digest.hex().upper():
            raise KitError(f"catalog member {self.tag} has another digest than its name")


class Catalog:
    def __init__(self, data):
        content = Node(data)[1][0][2]
        if content[0].content != OID_CTL:
            raise KitError("the catalog holds no certificate trust list")
        trust_list = list(content[1][0])
        if trust_list[0][0].content != OID_CATALOG_LIST:
            raise KitError("the trust list is no catalog")
        self.members = [Member(node) for node in trust_list[4]]
        self.extensions = dict(name_value(Node(extension[1].content))
                               for extension in trust_list[5][0])
        tags = [member.tag for member in self.members]
        if tags != sorted(tags):
            raise KitError("the catalog's members aren't sorted")


class Image:
    """A PE image by its section table."""

    def __init__(self, data):
        self.data = data
        pe = struct.unpack_from("<I", data, 0x3C)[0]
        self.machine, count = struct.unpack_from("<HH", data, pe + 4)
        optional_size = struct.unpack_from("<H", data, pe + 20)[0]
        self.optional = pe + 24
        wide = struct.unpack_from("<H", data, self.optional)[0] == 0x20B
        self.headers_size = struct.unpack_from("<I", data, self.optional + 60)[0]
        self.security_entry = self.optional + (144 if wide else 128)
        self.security = struct.unpack_from("<II", data, self.security_entry)
        table = self.optional + optional_size
        self.sections = [struct.unpack_from("<II", data, table + 40 * i + 16)
                         for i in range(count)]  # SizeOfRawData, PointerToRawData

    def digest(self):
        checksum = self.optional + 64
        header = bytearray(self.data[:self.headers_size])
        del header[self.security_entry:self.security_entry + 8]
        del header[checksum:checksum + 4]
        hashed = hashlib.sha1(header)
        end = self.headers_size
        for size, start in sorted(self.sections, key=lambda section: section[1]):
            if size:
                hashed.update(self.data[start:start + size])
                end += size
        extra = len(self.data) - self.security[1] - end
        hashed.update(self.data[end:end + extra])
        return hashed.digest()

    def signature(self):
        """The PKCS #7 of its WIN_CERTIFICATE, revision 2.0, type 2."""
        at, size = self.security
        if not size:
            raise KitError("it has no embedded signature")
        length, revision, kind = struct.unpack_from("<IHH", self.data, at)
        if (revision, kind) != (0x200, 2) or length > size:
            raise KitError("its certificate table is odd")
        return Node(self.data, at + 8)


def check_embedded(image):
    signed = image.signature()[1][0]
    indirect = signed[2][1][0]
    if indirect[1][0][0].content != OID_SHA1 or signed[1][0][0].content != OID_SHA1:
        raise KitError("its signature isn't SHA-1, the only one RTM knows")
    if indirect[1][1].content != image.digest():
        raise KitError("its embedded signature is of other bytes")


def verified(*arguments):
    done = subprocess.run(["osslsigncode", "verify", *map(str, arguments)], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode or "Succeeded" not in done.stdout:
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        raise KitError("osslsigncode: " + (lines[-1] if lines else "it failed"))


def inf_names(text):
    """What the INF says, found by pattern: files, and hardware IDs of both architectures."""
    files = re.search(r"(?ms)^\[SourceDisksFiles\]\n(.*?)^\[", text)
    sections = {name: set(re.findall(r"PCI\\VEN_\w{4}&DEV_\w{4}", body)) for name, body in
                re.findall(r"(?ms)^\[Vq7\.NT(x86|amd64)\.6\.1\]\n(.*?)(?=^\[)", text)}
    if not files or set(sections) != {"x86", "amd64"}:
        raise KitError("the INF lacks its files or its models")
    return re.findall(r"(?m)^([\w.]+)\s*=", files.group(1)), sections


def check_members(folder, catalog, files):
    expected = {name.lower() for name in files}
    found = {member.attributes.get("File"): member for member in catalog.members}
    if set(found) != expected:
        raise KitError(f"the catalog names {sorted(map(str, found))}, the package has "
                       f"{sorted(expected)}")
    for name, member in found.items():
        data = (folder / name).read_bytes()
        is_image = data[:2] == b"MZ"
        digest = Image(data).digest() if is_image else hashlib.sha1(data).digest()
        if digest != member.digest:
            raise KitError(f"{name} isn't the file that the catalog names")
        if member.subject != SUBJECT_OF[is_image]:
            raise KitError(f"{name} has the wrong kind of digest in the catalog")
        if member.attributes.get("OSAttr") != "2:6.1":
            raise KitError(f"{name} isn't meant for Windows 7 (2:6.1) in the catalog")


def check_architecture(folder, trusted):
    machine, os_name, inf_name = ARCHITECTURES[folder.name]
    files, ids = inf_names((folder / "vq7test.inf").read_text("ascii").replace("\r\n", "\n"))
    catalog = Catalog((folder / "vq7test.cat").read_bytes())
    check_members(folder, catalog, [*files, "vq7test.inf"])
    if catalog.extensions.pop("OS", None) != os_name:
        raise KitError(f"the catalog isn't for {os_name}")
    listed = set(catalog.extensions.values())
    if listed != {name.lower() for name in ids[inf_name]}:
        raise KitError("the catalog's hardware IDs aren't those of the INF")
    for name in (*files, "vq7agent.exe"):
        image = Image((folder / name).read_bytes())
        if image.machine != machine:
            raise KitError(f"{name} is for machine 0x{image.machine:x}")
        try:
            check_embedded(image)
        except KitError as error:
            raise KitError(f"{name}: {error}") from None
        verified("-CAfile", trusted, "-in", folder / name)
    for name in files:  # osslsigncode hashes no INF, but the signature is over that digest, too
        verified("-CAfile", trusted, "-catalog", folder / "vq7test.cat", "-in", folder / name)


def check(kit, trusted):
    for name in ARCHITECTURES:
        try:
            check_architecture(kit / name, trusted)
        except (KitError, OSError, ValueError, struct.error) as error:
            raise KitError(f"{name}: {error}") from None


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: check_kit.py KIT CERTIFICATE.pem")
    try:
        check(pathlib.Path(sys.argv[1]), sys.argv[2])
    except KitError as fault:
        print(f"check_kit: {fault}", file=sys.stderr)
        sys.exit(3)
