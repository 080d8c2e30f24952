# SPDX-License-Identifier: MIT
"""Looks at what a guest can do, by doing it, on a machine of the first configuration."""

from dataclasses import dataclass

from ..errors import GuestError

PROBED = ("msi", "unload")


@dataclass
class Facts:
    arch: str
    missing: dict           # capability -> reason


def at(vm, said=()):
    """Ask a machine at its prompt, whose device offers messages, but for what it is `said` to
    lack. Raises GuestError where the guest is of no use at all."""
    arch = vm.console.command("info").fields["arch"]
    devices = vm.console.command("devices")
    if not devices.lines:
        raise GuestError("the guest's agent runs, but sees no device: the driver isn't installed, "
                         "or not for this device; docs/guests.md says how")
    missing = {}
    if "interrupt=message" not in devices.lines[0]:
        missing["msi"] = "the device offers messages and got its line"
    why = None if "unload" in said else _cannot_reload(vm.console)
    if why:
        missing["unload"] = why
    return Facts(arch, missing)


def _cannot_reload(console):
    answer = console.command("driver unload", check=False)
    if not answer.ok:
        return f"driver unload: {answer.name}"
    answer = console.command("driver load", check=False)
    if not answer.ok:
        raise GuestError(f"the driver was unloaded and can't be loaded again: {answer.name}")
    return None
