# SPDX-License-Identifier: MIT
"""Framed lines of the console protocol (docs/console-protocol.md)."""

import re
import zlib
from dataclasses import dataclass, field

from .errors import ProtocolError

MAX_LINE = 1024
MAX_SEQ = 4294967295

_SEALED = re.compile(r"(@.*) \*([0-9a-f]{8})\Z", re.DOTALL)
_FIELD = re.compile(r'([A-Za-z0-9_]+)=(?:"((?:[^"\\]|\\["\\])*)"|([^\s"]*))(?:\s+|\Z)')


@dataclass
class Frame:
    """One framed line. `kind`: data, ok, error, damaged, hello or busy."""
    kind: str
    seq: int
    text: str = ""
    number: int = 0
    fields: dict = field(default_factory=dict)


@dataclass
class Answer:
    """The whole answer to a request."""
    ok: bool
    fields: dict
    lines: list
    status: int = 0
    name: str = ""
    msg: str = ""

    def __getitem__(self, key):
        if key not in self.fields:
            raise ProtocolError(f"the answer has no {key}=: {self.fields}")
        return self.fields[key]

    def num(self, key):
        """A numeric field, decimal or 0x."""
        try:
            return int(self[key], 0)
        except ValueError as bad:
            raise ProtocolError(f"{key}={self[key]} is not a number") from bad

    def rows(self):
        """The data lines, each as a dictionary of its k=v fields."""
        return [parse_fields(line) for line in self.lines]


def seal(text):
    """`text` with its checksum, without an end of line."""
    return f"{text} *{zlib.crc32(text.encode('ascii')):08x}"


def unseal(line):
    """The text of a framed line, or None if its checksum doesn't match."""
    match = _SEALED.match(line)
    if not match:
        return None
    text = match.group(1)
    if not text.isascii() or zlib.crc32(text.encode("ascii")) != int(match.group(2), 16):
        return None
    return text


def parse_fields(text):
    """`k=v k="quoted"` as a dictionary.

    Raises ProtocolError for anything else, so that a field can't be lost.
    """
    fields, at = {}, 0
    text = text.strip()
    while at < len(text):
        match = _FIELD.match(text, at)
        if not match:
            raise ProtocolError(f"not a list of name=value: {text[at:]!r}")
        key, quoted, plain = match.groups()
        if key in fields:
            raise ProtocolError(f"{key}= twice in {text!r}")
        fields[key] = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        at = match.end()
    return fields


def parse(line):
    """A Frame, or None if the line is damaged (bad or no checksum).

    Call it only for lines that begin with `@`. Raises ProtocolError for a line
    with a good checksum that the protocol doesn't have.
    """
    text = unseal(line)
    if text is None:
        return None
    match = re.match(r"@(\d+) (?:#(\d+) ?(.*)|([a-z]+)(?: (.*))?)\Z", text)
    if not match or int(match.group(1)) > MAX_SEQ:
        raise ProtocolError(f"not a framed line: {text!r}")
    seq, number, data, kind, rest = match.groups()
    seq = int(seq)
    if number is not None:
        return Frame("data", seq, data, int(number))
    allowed = ("damaged", "hello") if seq == 0 else ("ok", "error", "busy")
    if kind not in allowed:
        raise ProtocolError(f"unknown kind of line: {text!r}")
    fields = parse_fields(rest or "")
    if kind in ("ok", "error") and not fields.get("lines", "").isdigit():
        raise ProtocolError(f"lines= is missing: {text!r}")
    return Frame(kind, seq, rest or "", 0, fields)


def answer_of(frame, data):
    """The Answer that a final frame (ok or error) and its data lines make."""
    fields = dict(frame.fields)
    fields.pop("lines")
    if frame.kind == "ok":
        return Answer(True, fields, data)
    for key in ("status", "name", "msg"):
        if key not in fields:
            raise ProtocolError(f"{key}= is missing: {frame.text!r}")
    if not re.fullmatch(r"0x[0-9a-fA-F]{8}", fields["status"]):
        raise ProtocolError(f"status is not 0x and eight digits: {frame.text!r}")
    return Answer(False, fields, data, int(fields["status"], 16), fields["name"], fields["msg"])
