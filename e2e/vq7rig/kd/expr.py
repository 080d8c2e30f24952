# SPDX-License-Identifier: MIT
"""Addresses and numbers as they are typed: `vq7test!VirtqSplitGetUsed+10`, `poi(@rcx)+8`.

WinDbg's MASM syntax, what of it is of use: numbers are hexadecimal, `0n` begins a decimal one,
a grave accent may divide a long one. All arithmetic has 64 bits, unsigned.
"""

import re

from ..errors import UsageError

MASK = (1 << 64) - 1
_TOKEN = re.compile(
    r"\s*(?:(?P<cxx>@@(?:c\+\+)?\()|(?P<number>0x[0-9a-fA-F`]+|0n\d+)"
    r"|(?P<name>@?\$?[\w?~:.`][\w?~:<>.`]*(?:![\w?~:<>$.]+)?)"
    r"|(?P<sign><<|>>|<=|>=|==|!=|[-+*/%&^|<>=()]))")
_SIZES = {"by": 1, "wo": 2, "dwo": 4, "qwo": 8, "poi": 8}
# Of equal precedence, from those that bind least.
_LEVELS = (
    {"|": lambda a, b: a | b, "or": lambda a, b: a | b},
    {"^": lambda a, b: a ^ b, "xor": lambda a, b: a ^ b},
    {"&": lambda a, b: a & b, "and": lambda a, b: a & b},
    {"=": lambda a, b: int(a == b), "==": lambda a, b: int(a == b), "!=": lambda a, b: int(a != b),
     "<": lambda a, b: int(a < b), ">": lambda a, b: int(a > b), "<=": lambda a, b: int(a <= b),
     ">=": lambda a, b: int(a >= b)},
    {"<<": lambda a, b: a << b if b < 64 else 0, ">>": lambda a, b: a >> b},
    {"+": lambda a, b: a + b, "-": lambda a, b: a - b},
    {"*": lambda a, b: a * b, "/": lambda a, b: a // b, "%": lambda a, b: a % b,
     "mod": lambda a, b: a % b})


def evaluate(text, lookup, number, cxx=None):
    """The value. `lookup(name)` gives a register's or symbol's, or None; `number(address,
    size)` what memory has there; `cxx(text)` the value of @@c++(text). Raises UsageError."""
    return _Expression(text, lookup, number, cxx).value()


class _Expression:
    def __init__(self, text, lookup, number, cxx):
        self._text, self._lookup, self._memory, self._cxx = text, lookup, number, cxx
        self._tokens, at = [], 0
        text = text.rstrip()
        while at < len(text):
            found = _TOKEN.match(text, at)
            if not found:
                raise UsageError(f"{self._text!r}: can't read {text[at:].strip()!r}")
            at = found.end()
            if found.lastgroup == "cxx":
                inner = _closed(text, at)
                if inner is None:
                    raise UsageError(f"{self._text!r}: a parenthesis isn't closed")
                self._tokens.append(("cxx", inner))
                at += len(inner) + 1
            else:
                self._tokens.append((found.lastgroup, found[found.lastgroup]))

    def value(self):
        value = self._level(0)
        if self._tokens:
            raise UsageError(f"{self._text!r}: can't read {self._tokens[0][1]!r}")
        return value

    def _level(self, number):
        if number == len(_LEVELS):
            return self._one()
        value = self._level(number + 1)
        while self._tokens and self._tokens[0][1] in _LEVELS[number]:
            sign = self._tokens.pop(0)[1]
            other = self._level(number + 1)
            if sign in ("/", "%", "mod") and other == 0:
                raise UsageError(f"{self._text!r}: division by 0")
            value = _LEVELS[number][sign](value, other) & MASK
        return value

    def _one(self):
        if not self._tokens:
            raise UsageError(f"{self._text!r}: something is missing at its end")
        kind, token = self._tokens.pop(0)
        if token == "-":
            return -self._one() & MASK
        if token == "+":
            return self._one()
        if token == "not":
            return int(self._one() == 0)
        if kind == "cxx":
            return self._cxx(token) & MASK if self._cxx else self._unknown(token)
        if token == "(":
            return self._close(self._level(0))
        if kind == "name" and token in _SIZES and self._tokens and self._tokens[0][1] == "(":
            self._tokens.pop(0)
            return self._memory(self._close(self._level(0)), _SIZES[token])
        if kind == "sign":
            raise UsageError(f"{self._text!r}: can't read {token!r}")
        return self._number(token) if kind == "number" else self._name(token)

    def _close(self, value):
        if not self._tokens or self._tokens.pop(0)[1] != ")":
            raise UsageError(f"{self._text!r}: a parenthesis isn't closed")
        return value

    def _number(self, token):
        return (int(token[2:]) if token.startswith("0n")
                else int(token.replace("`", ""), 16)) & MASK

    def _name(self, token):
        if re.fullmatch(r"[0-9a-fA-F`]+", token):      # the radix is 16: `add` is a number
            return int(token.replace("`", ""), 16) & MASK
        value = self._lookup(token)
        return self._unknown(token) if value is None else value & MASK

    def _unknown(self, token):
        raise UsageError(f"Couldn't resolve {token!r}: no such register or symbol; "
                         "`x module!pattern` looks for symbols, `lm` shows modules")


def _closed(text, at):
    """What is between the parenthesis before `at` and its partner, or None."""
    depth = 1
    for end in range(at, len(text)):
        depth += {"(": 1, ")": -1}.get(text[end], 0)
        if depth == 0:
            return text[at:end]
    return None
