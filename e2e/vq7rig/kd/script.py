# SPDX-License-Identifier: MIT
"""WinDbg's command language, as far as scripts for it need: several commands in a line,
comments, .if, .for, .while, .printf, arguments of a script ("Debugger Command Programs")."""

import re
from dataclasses import dataclass

from ..errors import UsageError
from .show import q

LIMIT = 100_000                 # rounds of a loop
_FORMAT = re.compile(r"%(?P<how>[-0 +#]*\d*(?:\.\d+)?)(?P<wide>I64|ll|l|h)?"
                     r"(?P<kind>[a-zA-Z%]{1,2})")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"'}


@dataclass(frozen=True)
class Loop:
    """.for, and .while, which has no beginning and no step."""
    first: list
    condition: str
    step: list
    body: list


@dataclass(frozen=True)
class Choice:
    """.if, .elsif: (condition, body) of each; .else: the condition is None."""
    branches: list


def with_arguments(text, arguments):
    """A script's text with ${$arg1} and so on replaced. Raises UsageError for a missing one."""
    def value(found):
        number = int(found[1])
        if not 1 <= number <= len(arguments):
            raise UsageError(f"the script wants an argument {number}: $$>a<file arguments")
        return arguments[number - 1]

    return re.sub(r"\$\{\$arg(\d+)\}", value, text)


def parse(text):
    """Statements: a command's text, a Loop or a Choice. Raises UsageError."""
    reader = _Reader(text)
    found = reader.block(None)
    return found


class _Reader:
    def __init__(self, text):
        self._text, self._at = text, 0

    def _skip(self, what):
        while self._at < len(self._text) and self._text[self._at] in what:
            self._at += 1

    def block(self, end):
        """Statements until `end`, a brace, or the end of the text."""
        found = []
        while True:
            self._skip(" \t\r\n;")
            if self._at >= len(self._text):
                if end is not None:
                    raise UsageError("a { of the script isn't closed")
                return found
            if self._text[self._at] == end:
                self._at += 1
                return found
            if (statement := self._statement()) is not None:
                found.append(statement)

    def _statement(self):
        word = re.compile(r"\.\w+").match(self._text, self._at)
        name = word[0] if word else ""
        if name in (".for", ".while"):
            self._at = word.end()
            return self._loop(name)
        if name == ".if":
            self._at = word.end()
            return self._choice()
        text = self._until(";\n}" if not self._text.startswith("$$", self._at) else ";\n")
        return None if text.startswith("$$") else text.strip()

    def _until(self, ends):
        """Text up to one of the characters, which isn't within quotes or parentheses."""
        start, depth, quoted = self._at, 0, False
        while self._at < len(self._text):
            letter = self._text[self._at]
            if quoted and letter == "\\":
                self._at += 1
            elif letter == '"':
                quoted = not quoted
            elif not quoted and letter in ends and (depth == 0 or letter == "\n"):
                break
            elif not quoted:
                depth += {"(": 1, ")": -1}.get(letter, 0)
            self._at += 1
        return self._text[start:self._at]

    def _parenthesis(self):
        self._skip(" \t\r\n;")
        if self._text[self._at:self._at + 1] != "(":
            raise UsageError("a condition in parentheses is missing in the script")
        self._at += 1
        text = self._until(")")
        self._at += 1
        return text

    def _braces(self):
        self._skip(" \t\r\n;")
        if self._text[self._at:self._at + 1] != "{":
            raise UsageError("a { is missing in the script")
        self._at += 1
        return self.block("}")

    def _loop(self, name):
        text = self._parenthesis()
        if name == ".while":
            return Loop([], text, [], self._braces())
        parts = text.split(";")
        if len(parts) != 3:
            raise UsageError(".for (first; condition; step) { commands }")
        return Loop(parse(parts[0]), parts[1], parse(parts[2]), self._braces())

    def _choice(self):
        branches = [(self._parenthesis(), self._braces())]
        while True:
            before = self._at
            self._skip(" \t\r\n;")
            word = re.compile(r"\.els(?:e|if)\b").match(self._text, self._at)
            if not word:
                self._at = before
                return Choice(branches)
            self._at = word.end()
            if word[0] == ".else":
                branches.append((None, self._braces()))
                return Choice(branches)
            branches.append((self._parenthesis(), self._braces()))


def execute(statements, command, evaluate, go_on=lambda: True):
    """Run them: `command(text)` executes one, `evaluate(text)` is a condition's value. Ends
    with a UsageError where `go_on()` is false at a loop's end, or a loop has none."""
    for each in statements:
        if isinstance(each, Loop):
            execute(each.first, command, evaluate, go_on)
            rounds = 0
            while evaluate(each.condition):
                execute(each.body, command, evaluate, go_on)
                execute(each.step, command, evaluate, go_on)
                rounds += 1
                if rounds >= LIMIT or not go_on():
                    raise UsageError(f"the loop was left after {rounds} rounds")
        elif isinstance(each, Choice):
            for condition, body in each.branches:
                if condition is None or evaluate(condition):
                    execute(body, command, evaluate, go_on)
                    break
        else:
            command(each)


# --- .printf -----------------------------------------------------------------------------------

def printf(text, evaluate, string, name_of):
    """What `.printf text` prints. `string(address, wide)` is what is there, `name_of(address)`
    a symbol. Raises UsageError."""
    form, arguments = _arguments(text)
    form = re.sub(r'\\(.)', lambda found: _ESCAPES.get(found[1], found[0]), form)

    def one(found):
        if found["kind"] == "%":
            return "%"
        kind, rest = _kind(found["kind"])
        if not arguments:
            raise UsageError(f".printf: nothing is given for {found[0]}")
        value = evaluate(arguments.pop(0))
        return _formatted(kind, found["how"], found["wide"], value, string, name_of) + rest

    return _FORMAT.sub(one, form)


def _kind(letters):
    """%ma, %mu are of two letters, the others of one; what follows is text."""
    return (letters, "") if letters in ("ma", "mu") else (letters[0], letters[1:])


def _formatted(kind, how, wide, value, string, name_of):
    if kind in ("ma", "mu"):
        return string(value, kind == "mu")
    if kind == "p":
        return q(value)
    if kind == "y":
        return name_of(value)
    if wide not in ("I64", "ll"):
        value &= 0xFFFFFFFF
    if kind in ("d", "i"):
        bits = 64 if wide in ("I64", "ll") else 32
        return f"%{how}d" % (value - (1 << bits) if value >> bits - 1 else value)
    if kind in ("x", "X", "u"):
        return f"%{how}{'d' if kind == 'u' else kind}" % value
    if kind == "c":
        return chr(value & 0xFF)
    raise UsageError(f".printf: %{kind} isn't known here")


def _arguments(text):
    """(the format, what is behind it) of `"format", expression, expression`."""
    found = re.match(r'\s*"((?:[^"\\]|\\.)*)"\s*(.*)$', text, re.S)
    if not found:
        raise UsageError('.printf "format", expression, ...')
    parts, depth, at = [], 0, 0
    rest = found[2]
    for index, letter in enumerate(rest):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            parts.append(rest[at:index])
            at = index + 1
    parts.append(rest[at:])
    return found[1], [part for part in parts if part.strip()]
