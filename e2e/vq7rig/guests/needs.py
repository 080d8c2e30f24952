# SPDX-License-Identifier: MIT
"""What a test needs of the guest: what its marks name, and what its machine implies."""

from ..errors import UsageError
from .base import CAPABILITIES

OF_FIXTURES = {"kd": "debugger", "running": "debugger", "com2": "debugger"}


def of(item):
    """The capabilities a pytest item needs. Raises UsageError for an unknown one."""
    needs = {name for mark in item.iter_markers("needs") for name in mark.args}
    unknown = needs - set(CAPABILITIES)
    if unknown:
        raise UsageError(f"{item.nodeid} needs {', '.join(sorted(unknown))}, which is unknown; "
                         f"known: {', '.join(CAPABILITIES)}")
    if item.get_closest_marker("rules"):
        needs.add("rules")
    needs |= {OF_FIXTURES[name] for name in item.fixturenames if name in OF_FIXTURES}
    config = getattr(item, "vq7_config", None)
    if config is not None:
        if config.settings:
            needs.add("settings")
        if config.option("boot"):
            needs.add("firmware")
        if config.interrupt == "line":
            needs.discard("msi")
    return needs
