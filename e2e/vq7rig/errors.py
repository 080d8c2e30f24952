# SPDX-License-Identifier: MIT
"""What can go wrong, and what each of it says about the run.

Every exception belongs to one verdict. Whatever isn't listed here is a `fail`:
the test ran and its expectation didn't hold.
"""

PASS = "pass"
FAIL = "fail"
CRASH = "guest crash"
HANG = "hang"
RIG = "rig error"
SKIP = "skipped"

# From best to worst: what a table cell shows when it stands for several tests.
SEVERITY = (PASS, SKIP, FAIL, HANG, CRASH, RIG)

EXIT_PASS = 0
EXIT_FAIL = 1
EXIT_USAGE = 2
EXIT_RIG = 3
EXIT_INTERRUPTED = 130


class UsageError(Exception):
    """The caller asked for something that doesn't exist; one line says what."""


class RigError(Exception):
    """The rig or the machine it runs on is at fault, not the guest.

    `remedy` is what a person can do about it.
    """

    def __init__(self, message, remedy=None):
        super().__init__(f"{message}; {remedy}" if remedy else message)
        self.remedy = remedy


class Lacking(Exception):
    """What a test needs isn't there, and that is nobody's fault: the test is skipped.

    As with a property that this QEMU doesn't have; the text says which.
    """


class GuestError(Exception):
    """Base of what a guest can do wrong on its console."""


class ProtocolError(GuestError):
    """A line with a good checksum that the console protocol doesn't allow."""


class CommandError(GuestError):
    """The agent answered `error`. Fields of the answer are attributes."""

    def __init__(self, command, answer):
        detail = "".join(f"\n  {line}" for line in answer.lines[:16])
        super().__init__(f"{command}: {answer.name} 0x{answer.status:08x}: {answer.msg}{detail}")
        self.answer = answer
        self.name = answer.name
        self.status = answer.status


class GuestCrash(GuestError):
    """The guest stopped with a bug check, restarted by itself, or went away.

    `code` is the bug check code, None where there was none.
    """

    def __init__(self, message, code=None):
        super().__init__(message)
        self.code = code


class MachineGone(GuestCrash):
    """Its console is closed."""


class Hang(GuestError):
    """The guest said nothing, or nothing of use, for too long."""

    def __init__(self, waited_for, seconds, tail, log, why="a quiet line"):
        shown = "\n".join(f"  | {line}" for line in tail.splitlines()[-12:]) or "  | (nothing)"
        super().__init__(f"{why}: waited {seconds:.1f} s for {waited_for}\n"
                         f"last output:\n{shown}\nfull log: {log}")
        self.waited_for = waited_for
        self.tail = tail


def verdict_of(exception):
    """Verdict of an exception that ended a test; None means it passed."""
    if exception is None:
        return PASS
    if isinstance(exception, (RigError, OSError)) or type(exception).__name__ == "libvirtError":
        return RIG              # OSError: a full disk and the like
    if isinstance(exception, GuestCrash):
        return CRASH
    if isinstance(exception, Hang):
        return HANG
    return FAIL


def worst(verdicts):
    """The verdict that stands for several."""
    return max(verdicts, key=SEVERITY.index)


def exit_code(verdicts):
    """Exit code of a run. A rig error outweighs failures: the run proves nothing."""
    verdicts = list(verdicts)
    if RIG in verdicts or not verdicts:
        return EXIT_RIG
    if any(v not in (PASS, SKIP) for v in verdicts):
        return EXIT_FAIL
    return EXIT_PASS
