# SPDX-License-Identifier: MIT
"""Addresses as they are typed: `vq7test!VirtqSplitGetUsed+10`, `@rsp`, `poi(@rcx)+8`.

Numbers are hexadecimal, `0n` begins a decimal one, a grave accent may divide a long one.
"""

import re

from ..errors import UsageError

_TOKEN = re.compile(
    r"\s*(?:(?P<number>0x[0-9a-fA-F`]+|0n\d+)|(?P<name>@?\$?[\w?~:<>.`]+(?:![\w?~:<>$.]+)?)"
    r"|(?P<sign>[-+*()]))")


def evaluate(text, lookup, poi):
    """The value. `lookup(name)` gives a register's or symbol's, or None; `poi(address)` the
    pointer there. Raises UsageError."""
    return _Expression(text, lookup, poi).value()


class _Expression:
    def __init__(self, text, lookup, poi):
        self._text, self._lookup, self._poi = text, lookup, poi
        self._tokens, at = [], 0
        text = text.rstrip()
        while at < len(text):
            found = _TOKEN.match(text, at)
            if not found:
                raise UsageError(f"{self._text!r}: can't read {text[at:].strip()!r}")
            self._tokens.append((found.lastgroup, found[found.lastgroup]))
            at = found.end()

    def value(self):
        value = self._sum()
        if self._tokens:
            raise UsageError(f"{self._text!r}: can't read {self._tokens[0][1]!r}")
        return value & (1 << 64) - 1

    def _sum(self):
        value = self._product()
        while self._tokens and self._tokens[0][1] in "+-":
            value = value + self._product() if self._tokens.pop(0)[1] == "+" \
                else value - self._product()
        return value

    def _product(self):
        value = self._one()
        while self._tokens and self._tokens[0][1] == "*":
            self._tokens.pop(0)
            value *= self._one()
        return value

    def _one(self):
        if not self._tokens:
            raise UsageError(f"{self._text!r}: something is missing at its end")
        kind, token = self._tokens.pop(0)
        if token == "-":
            return -self._one()
        if token == "(":
            return self._close(self._sum())
        if kind == "name" and token == "poi" and self._tokens and self._tokens[0][1] == "(":
            self._tokens.pop(0)
            return self._poi(self._close(self._sum()) & (1 << 64) - 1)
        if kind == "sign":
            raise UsageError(f"{self._text!r}: can't read {token!r}")
        return self._number(token) if kind == "number" else self._name(token)

    def _close(self, value):
        if not self._tokens or self._tokens.pop(0)[1] != ")":
            raise UsageError(f"{self._text!r}: a parenthesis isn't closed")
        return value

    def _number(self, token):
        return int(token[2:]) if token.startswith("0n") else int(token.replace("`", ""), 16)

    def _name(self, token):
        if re.fullmatch(r"[0-9a-fA-F`]+", token):      # the radix is 16: `add` is a number
            return int(token.replace("`", ""), 16)
        value = self._lookup(token)
        if value is None:
            raise UsageError(f"Couldn't resolve {token!r}: no such register or symbol; "
                             "`x module!pattern` looks for symbols, `lm` shows modules")
        return value
