# SPDX-License-Identifier: MIT
"""What QEMU says of a machine whose guest hangs: its CPUs, interrupt controllers, serial ports.

A driver's own counters say nothing where the guest no longer answers: whether an interrupt
waits at a controller, at a CPU that has it masked, or nowhere, is seen here only.
"""

import pathlib
import re

from .bindings import MonitorError

NAME = "machine.txt"
COMMANDS = ("info status", "info registers -a", "info pic", "info irq", "info chardev")
# Of a 16550, those that can be read without harm; the one that takes a pending interrupt back
# comes last.
UART = (("interrupt enable", 1), ("line control", 3), ("modem control", 4), ("line status", 5),
        ("modem status", 6), ("interrupt identification", 2))
PORTS = (("COM1", 0x3F8), ("COM2", 0x2F8))


def write(vm, folder):
    """Into a file in the folder. Returns its name, or why there is none."""
    try:
        text = "\n".join(_parts(vm))
        (pathlib.Path(folder) / NAME).write_text(text, encoding="utf-8")
    except OSError as bad:
        return f"no {NAME}: {bad}"
    return NAME


def _parts(vm):
    for command in COMMANDS:
        said = _said(vm, command)
        yield f"# {command}\n{said}"
        if command == "info registers -a":
            for cpu in range(len(re.findall(r"^CPU#\d+", said, re.M))):
                yield f"# info lapic {cpu}\n{_said(vm, f'info lapic {cpu}')}"
    for name, base in PORTS:
        yield f"# {name}, at {base:#x}"
        yield from (f"{register}: {_said(vm, f'i /1xb {base + offset:#x}')}"
                    for register, offset in UART)


def _said(vm, command):
    """One that this QEMU lacks, or that fails, leaves the others."""
    try:
        return vm.host.hmp(vm.dom, command).replace("\r", "").rstrip()
    except MonitorError as bad:
        return f"({bad})"
