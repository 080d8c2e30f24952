# SPDX-License-Identifier: MIT
"""The prompt's commands that let the target go on, and its breakpoints."""

from ..errors import UsageError
from .messages import ExceptionStop
from .show import count_of, q


class Quit(Exception):
    """The session ends; `detach`: the target goes on."""

    def __init__(self, detach):
        super().__init__()
        self.detach = detach


class Flow:
    """`running()` lets the person watch until the target stops; it returns the event, or None
    where the session is over."""

    def __init__(self, debugger, show, out, running):
        self.d, self.show, self.out, self._running = debugger, show, out, running

    def stopped(self, event):
        """Say why it stopped."""
        for each in self.d.hit:
            if each.text != "(step)":
                self.out(f"Breakpoint {each.number} hit\n")
        if isinstance(event, ExceptionStop) and not self.d.hit and event.code != 0x80000004:
            self.out(f"{event}\n")
        elif not isinstance(event, ExceptionStop):
            self.out(f"{event}\n")
        self.show.here()

    def g(self, text):
        """g [address]     go; with an address: until there. Ctrl-C breaks in"""
        goal = None
        if text.strip():
            goal = self.d.breakpoints.add(text.strip(), self.d.evaluate(text), once=True)
        try:
            event = self.d.go() or self._running()
        finally:
            if goal in self.d.breakpoints.all:
                self.d.breakpoints.remove(goal)
        self.stopped(event)

    def t(self, text):
        """t [count]       one instruction, into calls"""
        for _ in range(count_of(text.strip() or None, 1)):
            event = self.d.step()
            self.stopped(event)
            if self.d.hit or event.code != 0x80000004:
                break

    def p(self, text):
        """p [count]       one instruction, over calls"""
        for _ in range(count_of(text.strip() or None, 1)):
            event = self.d.step_over(self._running)
            self.stopped(event)
            if any(each.text != "(step)" for each in self.d.hit):
                break

    def gu(self, _text):
        """gu              go until the function has returned"""
        self.stopped(self.d.step_out(self._running))

    # --- breakpoints ---------------------------------------------------------------

    def bp(self, command, text):
        """bp address      stops there; bu: also where its module isn't loaded yet"""
        text = text.strip()
        if not text:
            raise UsageError(f"{command} address")
        try:
            address = self.d.evaluate(text)
        except UsageError:
            if command != "bu" and "!" not in text:
                raise
            address = None
            self.out(f"{text}: its module isn't loaded, or has no such symbol; deferred\n")
        else:
            self.d.client.read(address, 1)          # what can't be read can't be written
        self.d.breakpoints.add(text, address)

    def ba(self, text):
        """ba e|w|r size address   stops where the CPU executes, writes, reads or writes it"""
        words = text.split(None, 2)
        if len(words) == 2 and len(words[0]) == 2:  # `ba w4 address`
            words = [words[0][0], words[0][1], words[1]]
        if len(words) != 3 or not words[1].isdigit():
            raise UsageError("ba e|w|r size address, as ba w 4 vq7test!name")
        self.d.breakpoints.add(words[2], self.d.evaluate(words[2]), words[0].lower(),
                               int(words[1]))

    def bl(self, _text):
        """bl              breakpoints, with their hits"""
        for each in self.d.breakpoints.all:
            where = q(each.address) if each.address is not None else "(deferred)       "
            kind = f"{each.kind} {each.length}" if each.kind else "   "
            self.out(f"{each.number:2} {'e' if each.enabled else 'd'} {where} {kind} "
                     f"{each.hits:5}  {each.text}\n")

    def change(self, command, text):
        """bc|bd|be number|*   removes, disables, enables breakpoints"""
        words = text.replace(",", " ").split()
        if not words:
            raise UsageError(f"{command} number or *")
        if words == ["*"]:
            chosen = list(self.d.breakpoints.all)
        else:
            chosen = [self.d.breakpoints.numbered(count_of(word, 0)) for word in words]
        for each in chosen:
            if command == "bc":
                self.d.breakpoints.remove(each)
            else:
                each.enabled = command == "be"

    # --- ends ------------------------------------------------------------------------

    def reboot(self, _text):
        """.reboot         restarts the machine"""
        self.d.reboot()
        event = self._running()
        self.stopped(event)

    def quit(self, command, _text):
        """q               ends the session and the machine; qd: detaches and lets it run on"""
        raise Quit(command == "qd")
