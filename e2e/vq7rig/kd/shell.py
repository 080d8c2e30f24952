# SPDX-License-Identifier: MIT
"""The prompt of `make kd`: WinDbg's commands while the target is stopped, the agent's console
while it runs."""

import inspect
import os
import select
import signal
import sys
import termios

from ..clock import now
from ..errors import MachineGone, RigError, UsageError
from . import script
from .errors import KdError
from .flow import Flow, Quit
from .show import Show
from .typed import Typed

POLL = 0.2
CTRL_C = b"\x03"
CONTROL_CHARACTERS = 6  # of termios' list of attributes
LINE_WAIT = 10.0        # seconds for the agent to answer a line from a pipe


def write(text):
    sys.stdout.write(text)
    sys.stdout.flush()


class Interrupts:
    """Ctrl-C asks the target to stop, and ends nothing: neither this process nor the `make`
    above it, which a signal of the terminal would reach, too. So it is a character that ends
    a line, as long as this lasts."""

    def __enter__(self):
        self.asked = False
        self._before = signal.signal(signal.SIGINT, self._note)
        self._terminal = termios.tcgetattr(0) if sys.stdin.isatty() else None
        if self._terminal is not None:
            changed = termios.tcgetattr(0)
            changed[CONTROL_CHARACTERS][termios.VINTR] = b"\0"
            changed[CONTROL_CHARACTERS][termios.VEOL] = CTRL_C
            termios.tcsetattr(0, termios.TCSADRAIN, changed)
        return self

    def _note(self, *_):
        self.asked = True

    def __exit__(self, *_):
        if self._terminal is not None:
            termios.tcsetattr(0, termios.TCSADRAIN, self._terminal)
        signal.signal(signal.SIGINT, self._before)


class Input:
    """Lines of a person or of a pipe."""

    def __init__(self):
        self.person = sys.stdin.isatty()
        self._fd = sys.stdin.fileno()
        self._held, self.ended = b"", False
        if self.person:
            import readline     # noqa: F401, input() edits lines with it

    def prompt(self, text):
        """The next line, or None at the end."""
        if self.person:
            try:
                return input(text)
            except EOFError:
                write("\n")
                return None
        while (line := self.line()) is None and not self.ended:
            select.select([self._fd], [], [])
            self.take()
        if line is not None:
            write(f"{text}{line}\n")
        return line

    def take(self):
        """Read what is there. Returns whether Ctrl-C was among it."""
        data = os.read(self._fd, 4096)
        self.ended = self.ended or not data
        self._held += data
        if self.ended and self._held and not self._held.endswith(b"\n"):
            self._held += b"\n"
        _, interrupted, after = self._held.rpartition(CTRL_C)
        if interrupted:
            self._held = after
        return bool(interrupted)

    def line(self):
        """A whole line that has come, or None."""
        line, mark, rest = self._held.partition(b"\n")
        if not mark:
            return None
        self._held = rest
        return line.decode("utf-8", "replace")

    def fileno(self):
        return self._fd


class Shell:
    """`console` has the agent's output and takes lines, see job.AgentConsole; None: none."""

    def __init__(self, debugger, console=None):
        self.d, self._console = debugger, console
        self._input, self._interrupts = Input(), Interrupts()
        debugger.client.on_prompt = self._answer
        self._show = Show(debugger, write)
        self._typed = Typed(debugger, write)
        self._flow = Flow(debugger, self._show, write, self._running)
        self._commands = self._table()
        self._last = ""

    def _table(self):
        show, flow = self._show, self._flow
        table = {"lm": show.lm, "x": show.x, "ln": show.ln, "k": show.k, "r": show.r,
                 "u": show.u, "?": show.evaluate, "!process": show.process,
                 "vertarget": show.version, "g": flow.g, "t": flow.t, "p": flow.p,
                 "gu": flow.gu, "ba": flow.ba, "bl": flow.bl, ".reboot": flow.reboot,
                 ".help": self._help}
        table |= {"kb": show.k, "kn": show.k, "kp": show.k, "!thread": show.process,
                  "version": show.version, "help": self._help}
        table |= {"dt": self._typed.dt, "!virtq": self._typed.virtq, ".printf": self._printf}
        for names, method in (
                (("db", "dw", "dd", "dq", "dp", "da", "du", "dps", "!db", "!dd", "!dq"),
                 show.memory), (("eb", "ew", "ed", "eq"), show.edit),
                (("ib", "iw", "id", "ob", "ow", "od"), show.io),
                (("rdmsr", "wrmsr"), show.msr), (("bp", "bu"), flow.bp),
                (("bc", "bd", "be"), flow.change), (("q", "qd"), flow.quit)):
            for name in names:
                table[name] = lambda text, name=name, method=method: method(name, text)
                table[name].__doc__ = method.__doc__
        return table

    def _help(self, _text):
        """.help           this list"""
        seen = []
        for command in self._commands.values():
            if command.__doc__ and command.__doc__ not in seen:
                seen.append(command.__doc__)
        for text in seen:
            write("  " + inspect.cleandoc(text).replace("\n", "\n  ") + "\n")
        write("Addresses: hexadecimal numbers, 0n10, @rip, module!symbol, poi(@rsp)+8. An empty\n"
              "line repeats the last t, p, u or d. Several commands in a line have ; between\n"
              "them, $$>a<file arguments executes a script of WinDbg's (.if .for .while).\n"
              "While the target runs, what you type goes to the agent; Ctrl-C breaks in, a\n"
              "line of only .break does, too.\n")

    # --- the session -----------------------------------------------------------------

    def run(self, event):
        """Until the session ends. `event`: what it is stopped at; None: it runs."""
        with self._interrupts:
            try:
                self._flow.stopped(event or self._running())
                while (line := self._input.prompt(self._prompt())) is not None:
                    self._line(line.strip())
            except Quit as how:
                self._end_line()
                if how.detach:
                    self.d.detach()
                return how.detach
            except MachineGone:
                write("\n[the machine has ended]\n")
            return False

    def _answer(self, question):
        """What the target gets for a question of its own: an assertion's, for example."""
        self._end_line()
        return self._input.prompt(question) or ""

    def _prompt(self):
        many = self.d.event is not None and self.d.event.processors > 1
        return f"{self.d.client.processor}: kd> " if many else "kd> "

    def _line(self, line):
        """What was typed: a command, several, a script."""
        if line.startswith("*"):                        # a comment, as in WinDbg
            return
        try:
            if line.startswith(("$$>a<", "$$><")):
                statements = self._script(line.partition("<")[2])
            else:
                statements = script.parse(line)
            if not line or statements == [line]:
                self._one(line)
            else:
                self._interrupts.asked = False
                script.execute(statements, self._command, self.d.evaluate,
                               lambda: not self._interrupts.asked)
        except (KdError, UsageError, RigError) as bad:
            write(f"{bad}\n")

    def _script(self, text):
        """The statements of a script's file, with its arguments."""
        name, *arguments = text.split()
        try:
            with open(name, encoding="utf-8") as file:
                return script.parse(script.with_arguments(file.read(), arguments))
        except OSError as bad:
            raise UsageError(f"{name}: {bad.strerror}") from None

    def _printf(self, text):
        """.printf "format", expression...   prints: %d %u %x %p %c %y %ma %mu"""
        write(script.printf(text, self.d.evaluate, self._show.string, self.d.name_of))

    def _one(self, line):
        """One command, or the last one again."""
        line = line or self._last
        name, _, text = line.partition(" ")
        repeats = name in ("t", "p", "u") or (name[:1] == "d" and name != "dt") or name[:2] == "!d"
        self._last = name if repeats and not (name in ("t", "p") and text) else ""
        if line:
            self._command(line)

    def _command(self, line):
        name, _, text = line.partition(" ")
        command = self._commands.get(name)
        if command is None and line:
            name, text = self._split(line)
            command = self._commands.get(name)
        if command is None:
            raise UsageError(f"unknown command {line.split()[0]!r}; .help lists them")
        command(text)

    def _split(self, line):
        """WinDbg takes some commands without a blank: `?1+1`, `k5`, `~`."""
        return (line[0], line[1:]) if line[0] in "?" or line[:1] in "kgtp" and \
            line[1:].isdigit() else (line, "")

    # --- while it runs -----------------------------------------------------------------

    def _running(self):
        """Until the target stops. Raises Quit where nobody can ask it to."""
        self._interrupts.asked = False
        sent = None                     # when a line from a pipe was given to the agent
        while True:
            if (event := self.d.client.poll(0)) is not None:
                if (event := self.d.arrived()) is not None:
                    self._end_line()
                    return event
            if self._interrupts.asked:
                self._interrupts.asked = False
                self._end_line()
                return self.d.break_in()
            sources = [self.d.client.link.channel]
            sources += [self._console.channel] if self._console else []
            takes = self._input.person or self._may_take(sent)
            sources += [self._input] if takes and not self._input.ended else []
            ready, _, _ = select.select(sources, [], [], POLL)
            if self._console:
                self._console.show()
            if self._input in ready and self._input.take():
                self._interrupts.asked = True
            if takes and (line := self._input.line()) is not None:
                if line.strip() == ".break":
                    self._interrupts.asked = True
                elif line.strip() in ("q", "qd"):
                    raise Quit(line.strip() == "qd")
                else:
                    self._to_agent(line)
                    sent = now()
            elif self._input.ended and takes:
                raise Quit(False)       # nobody is left who could stop it

    def _may_take(self, sent):
        """Of a pipe, the next line waits until the agent has answered the last one."""
        if self._console is None or self._console.at_prompt:
            return True
        return sent is not None and now() - sent > LINE_WAIT

    def _to_agent(self, line):
        if self._console is None:
            write("[the agent's console isn't here]\n")
        else:
            self._console.type(line)

    def _end_line(self):
        if self._console is not None:
            self._console.end_line()
