# SPDX-License-Identifier: MIT
"""`python3 -m vq7rig faults`: random faults of host and operator while verified workloads run."""

import collections
import time

from . import fault_kinds, fault_steps, fuzz
from .errors import Lacking


def main(args, rest):
    """Returns the exit code."""
    return fuzz.main(args, rest, Faults)


class Faults(fuzz.Fuzz):
    """One run of it. What the rig finds is a finding, too: it is the rig that does the faults."""

    steps_of = fault_steps
    ends_run = (Lacking,)

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.totals = collections.Counter()

    def passed(self, step, course):
        self.totals += course.figures
        if course.spent:
            self.pool.release()
        return "served"

    def figures(self):
        return {"figures": dict(sorted(self.totals.items()))}

    def report(self):
        """Faults × machines, and the figures."""
        machines = [fuzz.device_of(config) for config in fault_steps.devices()]
        lines = [["fault", *machines]]
        for name in fault_kinds.KINDS:
            times = [sum(n for (way, _, device, _), n in self.outcomes.items()
                         if (way, device) == (name, machine)) for machine in machines]
            lines.append([name, *(str(each or "") for each in times)])
        figures = ", ".join(f"{what} {times}" for what, times in sorted(self.totals.items())
                            if not what.startswith("fault "))
        faults = sum(times for what, times in self.totals.items() if what.startswith("fault "))
        return "\n".join(fuzz.columns(lines) + [
            figures,
            f"faults: seed {self.seed}, {self.steps} steps, {faults} faults on "
            f"{self.pool.boots} machines in {time.monotonic() - self.began:.0f} s; "
            f"{len(self.findings)} findings"])
