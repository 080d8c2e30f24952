# SPDX-License-Identifier: MIT
"""Framed lines: checksums, fields, and what is refused."""

import pytest

from vq7rig.errors import ProtocolError
from vq7rig.frames import answer_of, parse, parse_fields, seal, unseal


def test_checksum_is_zlibs():
    # CRC-32 (IEEE 802.3) of "123456789" is its well-known check value.
    assert seal("123456789") == "123456789 *cbf43926"


@pytest.mark.parametrize("at", range(len(seal("@7 ok lines=0"))))
def test_any_changed_byte_is_seen(at):
    line = bytearray(seal("@7 ok lines=0").encode())
    line[at] ^= 1
    assert unseal(line.decode()) is None


@pytest.mark.parametrize("line", ["@", "@1 ok", "@1 ok *", "@1 ok *0000000", "@1 ok *DEADBEEF",
                                  "@1 ok lines=0*00000000", seal("@1 ok lines=0") + " "])
def test_no_or_malformed_checksum_is_damage(line):
    assert parse(line) is None


def test_kinds_of_line():
    assert parse(seal("@5 #3 some  text")).text == "some  text"
    assert parse(seal("@5 #3 some text")).number == 3
    assert parse(seal("@5 #1")).text == ""
    assert parse(seal("@0 damaged")).kind == "damaged"
    assert parse(seal("@0 hello version=1 guest=x arch=x64 boot=1 devices=1")).fields["boot"] == "1"
    assert parse(seal("@5 busy ops=3")).fields == {"ops": "3"}


@pytest.mark.parametrize("text", ["@x ok lines=0", "@5 great lines=0", "@0 ok lines=0",
                                  "@5 hello version=1", "@5 ok", "@5 ok lines=x", "@5 ok lines=-1",
                                  "@99999999999 ok lines=0", "@5 ok lines=0 lines=1", "@5"])
def test_wrong_lines_with_a_good_checksum_are_errors(text):
    with pytest.raises(ProtocolError):
        parse(seal(text))


def test_fields():
    assert parse_fields(r'a=1 b= msg="say \"hi\" \\ now" c=0x1f') == {
        "a": "1", "b": "", "msg": r'say "hi" \ now', "c": "0x1f"}
    for bad in ("a", "a=1 b", 'a="x', 'a=x"y', "=1", "a=1 a=2"):
        with pytest.raises(ProtocolError):
            parse_fields(bad)


def test_answers():
    good = answer_of(parse(seal("@5 ok lines=1 n=7 hex=0x10")), ["row=1 k=v"])
    assert good.ok and good.num("n") == 7 and good.num("hex") == 16
    assert good.rows() == [{"row": "1", "k": "v"}]
    with pytest.raises(ProtocolError):
        good.num("missing")
    bad = answer_of(parse(seal(
        '@5 error lines=0 status=0xc0000185 name=STATUS_IO_DEVICE_ERROR msg="no"')), [])
    assert (bad.ok, bad.status, bad.name, bad.msg) == \
        (False, 0xC0000185, "STATUS_IO_DEVICE_ERROR", "no")
    for text in ("@5 error lines=0 status=0x1 name=A msg=b",
                 "@5 error lines=0 status=0x00000001 name=A"):
        with pytest.raises(ProtocolError):
            answer_of(parse(seal(text)), [])
