# SPDX-License-Identifier: MIT
"""What the rig asks of a guest."""

# What a test may need, and how it is said of a guest that lacks it.
CAPABILITIES = {
    "settings": "the host can't give it registry values",
    "rules": "it isn't ntcompat, whose rules are broken there",
    "faults": "its kernel makes no faults on demand",
    "kernel log": "its kernel doesn't log on port 0xE9",
    "debugger": "its kernel isn't ntcompat's, whose symbols are at hand",
    "crash": "its agent can't stop the kernel",
    "sleep": "its agent can't put one device to sleep",
    "msi": "its devices get no messages",
    "unload": "its agent can't unload the driver",
    "poweroff": "it can't turn the machine off",
    "restart": "its agent can't restart the machine",
    "hotplug": "devices can't come and go",
    "firmware": "it isn't started by the rig's own loader",
}


class Guest:
    """A system under test. One object serves all machines of a run."""

    name = ""
    boot_s = None           # seconds to the prompt, at most; None: the matrix's
    off_s = 0               # seconds that it may take, at least, to turn the machine off
    pace = 1.0              # how many times longer than ntcompat it may take for anything
    never = frozenset()     # capabilities that no image of this kind has
    has_screen = False      # is there something to see when it hangs?
    needs_files = False     # are the files of `--guest` wanted?
    watched_by = ()         # options of the machine whose kernel watches over the driver

    def __init__(self, image=None, arch=None):
        self.image, self.arch = image, arch
        self.said = set()   # capabilities that whoever started the run says it lacks
        self.missing = {}   # capability -> reason, as looked at in this run
        self.lost = {}      # capability -> reason: an earlier run had it

    def check(self):
        """Raises RigError or UsageError where something is missing, with the remedy."""

    def prepare(self, run, config=None, host=None):
        """Make what one machine of this configuration needs in the folder `run`."""

    def place(self, xml, config, run):
        """The domain XML of a machine that boots this guest."""
        return xml

    def look(self, vm):
        """Ask a booted machine what this guest can do; fill in `missing`."""

    def lacks(self, needs):
        """Why a test with these needs can't run, or None."""
        for need in sorted(needs):
            if need in self.never:
                return f"{self.title}: {CAPABILITIES[need]}"
            if need in self.said:
                return f"{self.title}: {CAPABILITIES[need]} (--lacks)"
            if need in self.missing:
                return f"{self.title}: {CAPABILITIES[need]} ({self.missing[need]})"
        return None

    def has_lost(self, needs):
        """What a test needs, and the guest had in an earlier run and lacks now; or None."""
        for need in sorted(needs):
            if need in self.lost:
                return (f"{self.title} had this before and lacks it now: {need} "
                        f"({CAPABILITIES[need]}: {self.lost[need]})")
        return None

    def facts(self):
        """For the report."""
        return {}

    @property
    def title(self):
        return self.name
