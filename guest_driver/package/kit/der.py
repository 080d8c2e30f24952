# SPDX-License-Identifier: MIT
"""The few ASN.1 types that a catalog is made of, in DER (ITU-T X.690)."""

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, NULL, OID = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
UTC_TIME, BMP_STRING, SEQUENCE, SET = 0x17, 0x1E, 0x30, 0x31


def tlv(tag, content):
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def integer(value):
    return tlv(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def octets(content):
    return tlv(OCTET_STRING, content)


def null():
    return tlv(NULL, b"")


def bmp(text):
    return tlv(BMP_STRING, text.encode("utf-16-be"))


def utc_time(moment):
    return tlv(UTC_TIME, moment.strftime("%y%m%d%H%M%SZ").encode())


def sequence(*elements):
    return tlv(SEQUENCE, b"".join(elements))


def set_of(*elements):
    """A SET OF is sorted by its elements' encodings (X.690, 11.6)."""
    return tlv(SET, b"".join(sorted(elements)))


def context(number, *elements):
    """[number], constructed."""
    return tlv(0xA0 | number, b"".join(elements))


def oid(text):
    first, second, *rest = map(int, text.split("."))
    content = bytearray()
    for arc in (first * 40 + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(arc & 0x7F | 0x80)
        content += bytes(reversed(groups))
    return tlv(OID, bytes(content))
