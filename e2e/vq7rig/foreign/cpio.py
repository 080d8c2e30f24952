# SPDX-License-Identifier: MIT
"""An initramfs: a cpio archive of the format "newc", as Linux'
Documentation/driver-api/early-userspace/buffer-format.rst has it."""

DIRECTORY, FILE = 0o040755, 0o100755


def archive(entries):
    """`entries`: (name, mode, content) of each, parents first. Returns bytes."""
    whole = b"".join(_entry(number, *each) for number, each in enumerate(entries, 1))
    return whole + _entry(0, "TRAILER!!!", 0, b"")


def _entry(number, name, mode, content):
    named = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(named), 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + named
    return _padded(head) + _padded(content)


def _padded(data):
    return data + bytes(-len(data) % 4)
