# SPDX-License-Identifier: MIT
"""Reads the driver's INF, as far as it goes: sections, entries, strings."""

import datetime

from .errors import KitError


def _fields(text):
    """Fields between commas; quotes keep commas, and "" is a quote within them."""
    fields, field, quoted = [], "", False
    for character in text:
        if character == '"':
            quoted = not quoted
        elif character == "," and not quoted:
            fields.append(field.strip())
            field = ""
            continue
        field += character
    fields.append(field.strip())
    return [f[1:-1].replace('""', '"') if len(f) > 1 and f[0] == f[-1] == '"' else f
            for f in fields]


def _without_comment(line):
    quoted = False
    for position, character in enumerate(line):
        if character == '"':
            quoted = not quoted
        elif character == ";" and not quoted:
            return line[:position]
    return line


class Inf:
    def __init__(self, text, name="the INF"):
        self.name = name
        self.sections = {}
        lines = None
        for line in text.splitlines():
            line = _without_comment(line).strip()
            if line.startswith("["):
                lines = self.sections.setdefault(line.strip("[]").lower(), [])
            elif line and lines is not None:
                lines.append(line)
        self.strings = {key.lower(): value[0] for key, value in self.entries("strings")}

    def lines(self, section):
        try:
            return self.sections[section.lower()]
        except KeyError:
            raise KitError(f"{self.name} has no section [{section}]") from None

    def entries(self, section):
        """(key, fields) of each `key = field, field`."""
        for line in self.lines(section):
            key, equals, values = line.partition("=")
            if not equals:
                raise KitError(f"{self.name}: [{section}] has a line without '=': {line}")
            yield key.strip(), _fields(values)

    def rows(self, section):
        """The fields of each line of a section without keys, as an AddReg section."""
        return [_fields(line) for line in self.lines(section)]

    def value(self, section, key):
        """The fields of the entry; none: an error."""
        for name, fields in self.entries(section):
            if name.lower() == key.lower():
                return fields
        raise KitError(f"{self.name}: [{section}] has no entry {key}")

    def text(self, token):
        """A %token% replaced by its string."""
        if len(token) > 2 and token[0] == token[-1] == "%":
            try:
                return self.strings[token[1:-1].lower()]
            except KeyError:
                raise KitError(f"{self.name}: no string {token}") from None
        return token

    def models(self):
        """{architecture: [(description, install section, hardware IDs)]}"""
        found = {}
        for _, (base, *targets) in self.entries("manufacturer"):
            for target in targets:
                architecture = target.lower().removeprefix("nt").split(".")[0]
                found[architecture] = [
                    (self.text(key), fields[0], fields[1:])
                    for key, fields in self.entries(f"{base}.{target}")]
        return found

    def files(self):
        """What the package has beside the INF and its catalog."""
        return [key for key, _ in self.entries("sourcedisksfiles")]

    def moment(self):
        """DriverVer's date."""
        month, day, year = map(int, self.value("version", "DriverVer")[0].split("/"))
        return datetime.datetime(year, month, day)
