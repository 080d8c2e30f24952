# SPDX-License-Identifier: MIT
"""A security catalog without its signature: a certificate trust list (PKCS #7 SignedData
with the content szOID_CTL) whose subjects are the files of a driver package.

The object identifiers are those of wintrust.h, mscat.h and wincrypt.h. A subject is
named by its digest in hexadecimal and carries the digest once more, as Authenticode
stores it, beside the file's name and the systems that it is meant for.
"""

import hashlib

from . import der

SIGNED_DATA = "1.2.840.113549.1.7.2"
CTL = "1.3.6.1.4.1.311.10.1"
CATALOG_LIST = "1.3.6.1.4.1.311.12.1.1"
CATALOG_LIST_MEMBER = "1.3.6.1.4.1.311.12.1.2"
NAME_VALUE = "1.3.6.1.4.1.311.12.2.1"
MEMBER_INFO = "1.3.6.1.4.1.311.12.2.2"
INDIRECT_DATA = "1.3.6.1.4.1.311.2.1.4"
PE_IMAGE_DATA = "1.3.6.1.4.1.311.2.1.15"
FILE_DATA = "1.3.6.1.4.1.311.2.1.25"
SHA1 = "1.3.14.3.2.26"

# The subject interface packages that compute a digest: of PE images, and of any file.
PE_SUBJECT = "{C689AAB8-8E78-11D0-8C47-00C04FC295EE}"
FLAT_SUBJECT = "{DE351A42-8E59-11D0-8C47-00C04FC295EE}"

# CRYPTCAT_ATTR_AUTHENTICATED, _DATAASCII, _NAMEASCII
ATTRIBUTE_FLAGS = 0x10010001
MEMBER_VERSION = 0x200
WINDOWS_7 = "2:6.1"  # platform 2 (NT), version 6.1: RTM and SP1


class Member:
    """A file of the package: its name, its SHA-1 digest, whether it is a PE image."""

    def __init__(self, name, digest, is_image):
        self.name, self.digest, self.is_image = name, digest, is_image


def _utf16(text):
    return (text + "\0").encode("utf-16-le")


def _name_value(name, value):
    return der.sequence(der.bmp(name), der.integer(ATTRIBUTE_FLAGS), der.octets(_utf16(value)))


def _attribute(kind, value):
    return der.sequence(der.oid(kind), der.set_of(value))


def _no_link():
    """SpcLink: a file's name that nobody reads any more."""
    return der.context(2, der.tlv(0x80, "<<<Obsolete>>>".encode("utf-16-be")))


def _indirect_data(member):
    if member.is_image:
        flags = der.tlv(der.BIT_STRING, bytes((5, 0xA0)))  # resources, import table
        data = der.sequence(der.oid(PE_IMAGE_DATA),
                            der.sequence(flags, der.context(0, _no_link())))
    else:
        data = der.sequence(der.oid(FILE_DATA), _no_link())
    algorithm = der.sequence(der.oid(SHA1), der.null())
    return der.sequence(data, der.sequence(algorithm, der.octets(member.digest)))


def _subject(member, systems):
    info = der.sequence(der.bmp(PE_SUBJECT if member.is_image else FLAT_SUBJECT),
                        der.integer(MEMBER_VERSION))
    return der.sequence(
        der.octets(_utf16(member.digest.hex().upper())),
        der.set_of(_attribute(NAME_VALUE, _name_value("File", member.name.lower())),
                   _attribute(NAME_VALUE, _name_value("OSAttr", systems)),
                   _attribute(MEMBER_INFO, info),
                   _attribute(INDIRECT_DATA, _indirect_data(member))))


def _extension(name, value):
    return der.sequence(der.oid(NAME_VALUE), der.octets(_name_value(name, value)))


def unsigned(members, os_names, hardware_ids, moment, systems=WINDOWS_7):
    """The catalog of `members`, as DER. os_names: as Inf2Cat's /os; moment: when it was made.
    The same package gives the same bytes."""
    members = sorted(members, key=lambda member: member.digest)
    identifier = hashlib.sha1(b"".join(member.digest for member in members)).digest()[:16]
    extensions = [_extension("OS", os_names)]
    for number, hardware_id in enumerate(hardware_ids, 1):
        extensions.append(_extension(f"HWID{number}", hardware_id.lower()))
    trust_list = der.sequence(
        der.sequence(der.oid(CATALOG_LIST)),
        der.octets(identifier),
        der.utc_time(moment),
        der.sequence(der.oid(CATALOG_LIST_MEMBER), der.null()),
        der.sequence(*(_subject(member, systems) for member in members)),
        der.context(0, der.sequence(*extensions)))
    signed_data = der.sequence(der.integer(1), der.set_of(),
                               der.sequence(der.oid(CTL), der.context(0, trust_list)),
                               der.set_of())
    return der.sequence(der.oid(SIGNED_DATA), der.context(0, signed_data))
