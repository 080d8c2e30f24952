# SPDX-License-Identifier: MIT
"""The client's side of the console protocol.

Every wait watches for the bug check, for an unexpected restart and for the end
of the machine; a wait that is too long says what it waited for, what came last
and where the full log is.
"""

import errno
import random
import re
from contextlib import contextmanager

from .clock import lost, now
from .disk import disk_full
from .errors import CommandError, GuestCrash, Hang, MachineGone, ProtocolError, RigError
from .frames import MAX_LINE, MAX_SEQ, Answer, answer_of, parse, seal
from .patience import patience

PROMPT = "vq7> "
QUIET = 10.0            # seconds without a sign of life: a hang, by the protocol
RESEND = 1.5            # seconds of silence after which a request is sent again
SETTLE = 0.3            # silence that ends a damaged answer
MAX_REPAIRS = 6
DRAIN = 2.0             # seconds, after a deadline, to look through what has arrived by then
TAIL = 8192
REQUEST_LOST = 0xE007000A   # the agent gave it up

_STOP = re.compile(r"\*\*\* STOP: 0x([0-9A-Fa-f]+)")


class Console:
    """Talks to one guest over a channel (see channel.py). Not thread safe."""

    def __init__(self, channel, log_path, why_gone=lambda: None, starved=lambda: 0.0):
        """`why_gone` gives the error for a machine whose end isn't the guest's doing, `starved`
        the seconds so far in which it got no CPU."""
        self.channel, self._why_gone, self._starved = channel, why_gone, starved
        self.log_path = str(log_path)
        self._sinks = [open(self.log_path, "ab", buffering=0)]
        self._buffer = b""
        self._tail = b""
        self._watch = True
        self._seq = random.randrange(1, 1 << 31)
        self.boot = None            # boot id of the last hello
        self.hello = {}
        # Time of the guest's: a debugger that stops it stops this, a host that is busy slows it.
        self.now = self._now
        self._stood, self._still_since = 0.0, None
        self.crashed = False        # by a bug check, be it one that a test wanted
        self.lossy_end = False      # the port's last words may be lost when the machine ends
        self.before_sending = lambda data: None     # called with what a command sends
        self.explained = lambda hang: hang  # gives what a hang turns out to be, looked at closely
        self.resends = 0            # requests sent again since the console was opened

    # --- time --------------------------------------------------------------

    def _now(self):
        since = self._still_since       # once: another thread may end the standing still
        return (now() - self._starved() if since is None else since) - self._stood

    @contextmanager
    def standing_still(self):
        """Time in here isn't the guest's: somebody keeps it from running."""
        self._still_since = now() - self._starved()
        try:
            yield
        finally:
            stood = now() - self._starved() - self._still_since
            self._still_since = None
            self._stood += stood

    # --- bytes and lines ---------------------------------------------------

    def also_log_to(self, path):
        """Copy what comes and goes into a second file until `stop_copy`."""
        self._sinks.append(open(path, "ab", buffering=0))

    def stop_copy(self):
        while len(self._sinks) > 1:
            self._sinks.pop().close()

    def _record(self, data):
        try:
            for sink in self._sinks:
                sink.write(data)
        except OSError as bad:
            if bad.errno == errno.ENOSPC:
                raise disk_full(self.log_path) from bad
            raise RigError(f"can't write {self.log_path}: {bad.strerror}") from bad

    def _receive(self, timeout):
        """Read what is there into the buffer. Returns False if nothing came."""
        data = self.channel.recv(timeout)
        if data is None:
            raise self._why_gone() or MachineGone("the machine went away: its console is closed\n"
                                                  + self._last())
        if not data:
            return False
        self._record(data)
        self._buffer += data
        self._tail = (self._tail + data)[-TAIL:]
        return True

    def _line(self, deadline):
        """The next line without its end, or None when the deadline has passed."""
        while b"\n" not in self._buffer:
            if len(self._buffer) > 64 * MAX_LINE:
                self._buffer = self._buffer[-MAX_LINE:]
            left = deadline - self.now()
            self._receive(max(0.0, left))
            # What has arrived counts, however late this process comes to look.
            if left <= 0 and b"\n" not in self._buffer:
                return None
        raw, self._buffer = self._buffer.split(b"\n", 1)
        line = raw.decode("ascii", "replace").rstrip("\r").removeprefix(PROMPT)
        self._watch_for_stop(line)
        return line

    def _watch_for_stop(self, line):
        stop = _STOP.search(line)
        if not stop or not self._watch:
            return
        text = [line]
        self.crashed = True
        self._watch = False                     # the rest of the screen belongs to it
        before, self.now = self.now, now        # a debugger may have stopped it behind that
        try:
            deadline = self.now() + 1.0
            while (more := self._line(min(deadline, self.now() + 0.3))) is not None:
                text.append(more)
        except (GuestCrash, RigError):
            pass                                # the machine ended after it: say the bug check
        finally:
            self._watch, self.now = True, before
        raise GuestCrash("\n".join(text[:40]), int(stop.group(1), 16))

    @contextmanager
    def bug_check_allowed(self):
        """Within this block `*** STOP:` on the console is just text."""
        self._watch = False
        try:
            yield
        finally:
            self._watch = True

    def _last(self):
        tail = self._tail.decode("ascii", "replace")
        return "\n".join(f"  | {line}" for line in tail.splitlines()[-12:]) + \
            f"\nfull log: {self.log_path}"

    def _hang(self, what, began, why):
        return self.explained(Hang(what, self.now() - began,
                                   self._tail.decode("ascii", "replace"), self.log_path, why))

    def _send(self, data):
        self.before_sending(data)
        self._record(b"".join(b"<< " + line + b"\n" for line in data.splitlines()))
        began = self.now()
        sent = self.channel.send(data, clock=self.now)
        while sent is None:
            self._line(began + 1.0)     # its last words, then that it went away
        if not sent:
            raise self._hang("the guest to take a line", began, "the guest's serial port is full")

    # --- start -------------------------------------------------------------

    def wait_boot(self, timeout=30.0):
        """Wait for hello and the first prompt. Returns hello's fields.

        A kernel that prints nothing at all, or a lot and never a prompt, is a Hang.
        A damaged hello is made up for by `info`.
        """
        began = self.now()
        hello, previous = None, self.boot
        while True:
            self.wait_prompt(timeout - (self.now() - began), began)
            for line in self._before:
                frame = parse(line) if line.startswith("@0 ") else None
                if frame and frame.kind == "hello":
                    hello = frame.fields
            if hello or "vq7agent " in "\n".join(self._before):
                break
        self.boot = None
        if hello is None:
            answer = self.command("info")
            hello = dict(answer.fields)
        if hello.get("version") != "1":
            raise ProtocolError(f"the agent speaks protocol version {hello.get('version')}, not 1")
        if previous is not None and hello.get("boot") == previous:
            raise ProtocolError("the agent started again with the same boot id")
        self.boot, self.hello = hello.get("boot"), hello
        return hello

    def wait_prompt(self, timeout, began=None):
        """Wait for a prompt at the beginning of a line; returns the lines before it."""
        began = began or self.now()
        deadline = self.now() + timeout
        self._before = []
        while True:
            while b"\n" in self._buffer:
                self._before.append(self._line(deadline))
            if self._buffer.startswith(PROMPT.encode()):
                self._buffer = self._buffer[len(PROMPT):]
                return self._before
            left = deadline - self.now()
            came = self._receive(max(0.0, min(1.0, left)))
            if left <= 0 and not came or left < -DRAIN:
                raise self._hang(f"the prompt {PROMPT!r}", began, "no prompt")

    def type(self, text, timeout=10.0):
        """What a person does: type a line and read the text until the next prompt."""
        self._send(text.encode("ascii") + b"\r")
        lines = self.wait_prompt(timeout)
        return lines[1:] if lines and lines[0].strip() == text.strip() else lines

    # --- commands ----------------------------------------------------------

    def command(self, text, timeout=30.0, check=True, quiet=QUIET):
        """Execute one command at most once and return its Answer.

        Lines damaged on the way are asked for again. Raises CommandError for an
        `error` answer (not with check=False), Hang where the guest gave up a request
        that its device didn't complete (REQUEST_LOST), after `quiet` seconds of
        silence or `timeout` seconds in all.
        """
        self._seq = self._seq % MAX_SEQ + 1
        began, stood_still = self.now(), lost()
        try:
            answer = _Exchange(self, self._seq, text, timeout, quiet).run()
        except MachineGone:
            if text != "poweroff" or not self.lossy_end:
                raise
            return Answer(True, {}, [])         # it did as it was told
        if answer.status == REQUEST_LOST or any(" REQUEST_LOST" in line or
                                                "status=0xe007000a" in line.lower()
                                                for line in answer.lines):
            gap = lost() - stood_still
            if gap > 1:                         # and QEMU maybe, too, but not the guest's clock
                raise RigError(f"this machine stood still for {gap:.0f} s during "
                               f"{text!r}, and requests timed out in the guest")
            raise self._hang(f"the device to complete what {text!r} asked for", began,
                             f"requests time out in the guest ({answer.msg})")
        if check and not answer.ok:
            raise CommandError(text, answer)
        return answer

    def send_again(self, text, seq_offset=0, timeout=30.0):
        """Send `text` under the sequence number of the last command (for tests)."""
        return _Exchange(self, self._seq + seq_offset, text, timeout, QUIET).run()

    def close(self):
        self.channel.close()
        self.stop_copy()
        self._sinks[0].close()


class _Exchange:
    """One request and its answer, with resending."""

    def __init__(self, console, seq, text, timeout, quiet):
        self.console, self.seq, self.text = console, seq, text
        self.wire = seal(f"@{seq} {text}").encode("ascii") + b"\r\n"
        if len(self.wire) > MAX_LINE:
            raise ValueError(f"the request is longer than {MAX_LINE} bytes")
        self.quiet, timeout = quiet * patience(), timeout * patience()
        self.began = self.alive = self.sent = self.console.now()
        self.deadline = self.began + timeout
        self.data, self.busy, self.damaged_at, self.repairs = {}, "", None, 0

    def run(self):
        self.console._send(self.wire)
        while True:
            line = self.console._line(self._next_deadline())
            if line is None:
                self._silence()
            elif line.startswith("@"):
                answer = self._framed(line)
                if answer:
                    return answer
            elif self.console.now() >= self._next_deadline() + DRAIN:
                self._silence()                 # a guest that prints and prints answers nothing

    def _next_deadline(self):
        ends = [self.deadline, self.alive + self.quiet, max(self.alive, self.sent) + RESEND]
        if self.damaged_at is not None:
            ends.append(self.damaged_at + SETTLE)
        return min(ends)

    def _silence(self):
        at = self.console.now()
        what = f"the answer to {self.text!r} (@{self.seq})"
        if at >= self.deadline:
            why = f"the agent lives but the command doesn't end, last {self.busy!r}" \
                if self.busy else "no answer"
            raise self.console._hang(what, self.began, why)
        if at >= self.alive + self.quiet:
            raise self.console._hang(what, self.began, f"a quiet line for {self.quiet:.0f} s")
        if self.damaged_at is not None and at >= self.damaged_at + SETTLE:
            self._repair()
        elif at >= max(self.alive, self.sent) + RESEND:
            self._resend()

    def _repair(self):
        """Ask again for what came damaged. Silence isn't counted here: it is a hang."""
        self.repairs += 1
        if self.repairs > MAX_REPAIRS:
            raise RigError(f"the console damaged the answer to {self.text!r} {MAX_REPAIRS} times; "
                           f"log: {self.console.log_path}")
        self._resend()

    def _resend(self):
        self.console.resends += 1
        self.damaged_at, self.sent = None, self.console.now()
        self.console._send(self.wire)

    def _framed(self, line):
        frame = parse(line)
        if frame is None or frame.kind == "damaged":
            self.alive = self.damaged_at = self.console.now()
            return None
        if frame.kind == "hello":
            self._hello(frame)
            return None
        if frame.seq != self.seq:
            return None                         # a late repeat of an earlier answer
        self.alive = self.console.now()
        if frame.kind == "data":
            self.data[frame.number] = frame.text
        elif frame.kind == "busy":
            self.busy = frame.text
        else:
            return self._final(frame)
        return None

    def _hello(self, frame):
        boot = frame.fields.get("boot")
        if self.console.boot is not None and boot != self.console.boot:
            self.console.boot = boot
            raise GuestCrash(f"the guest restarted by itself during {self.text!r} (boot {boot})\n"
                             + self.console._last())

    def _final(self, frame):
        count = int(frame.fields["lines"])
        if any(n not in self.data for n in range(1, count + 1)):
            self._repair()                      # a data line is missing
            return None
        if frame.fields.get("name") != "ANSWER_TOO_LONG" and len(self.data) != count:
            raise ProtocolError(f"{len(self.data)} data lines came, lines={count}: {frame.text!r}")
        return answer_of(frame, [self.data[n] for n in range(1, count + 1)])
