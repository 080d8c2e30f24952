# SPDX-License-Identifier: MIT
"""The vhost-user back end (e2e/hostile): its process, and its control socket.

A machine with the option `backend=vhost-user` has its disk from there, and each option
`backend.<property>=<value>` is a property of that device. `vm.backend` is this class.
"""

import contextlib
import pathlib
import signal
import socket
import subprocess
import time

from .errors import RigError
from .options import BACKEND
from .paths import BUILD

PROGRAM = BUILD / "hostile" / "vq7-hostile"
START_S = 20.0              # to listen
ANSWER_S = 10.0
END_S = 5.0                 # from SIGTERM to the end


def properties(config):
    """The device's properties, from the options of a machine and from its axes."""
    found = ["read_only=1"] if config.read_only else []
    # QEMU sets up a queue for each CPU unless told otherwise, and fails where there are fewer.
    for name, option in (("blk_size", "block"), ("serial", "serial"), ("queues", "cpus")):
        value = config.option(option)
        found += [] if value is None else [f"{name}={value}"]
    return found + [option.removeprefix(BACKEND) for option in config.options
                    if option.startswith(BACKEND)]


class Backend:
    """One back end process, from start() to stop(), which may be called at any time."""

    def __init__(self, run, image, log, settings=(), program=None):
        self.socket_path = pathlib.Path(run) / "blk.sock"
        self.control_path = pathlib.Path(run) / "blk.ctl"
        self.image, self.log_path = image, pathlib.Path(log)
        self.settings = list(settings)
        self.program = pathlib.Path(program or PROGRAM)
        self.process = self._control = self._lines = None

    # --- life --------------------------------------------------------------

    def start(self):
        """Start it; returns when it listens. Raises RigError with its last words."""
        if not self.program.is_file():
            raise RigError(f"the back end isn't built: there is no {self.program}",
                           "run `make hostile`")
        words = [str(self.program), f"--socket-path={self.socket_path}",
                 f"--control={self.control_path}", f"--blk-file={self.image}",
                 "--end-with-stdin"] + [f"--set={each}" for each in self.settings]
        with open(self.log_path, "ab") as log:
            # Its standard input ends with this process, however that ends; a Ctrl-C is for
            # this process, which ends the machine first.
            self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=log, stderr=log,
                                            start_new_session=True)
        try:
            self._connect()
        except BaseException:
            self._end()
            raise
        return self

    def _connect(self):
        until = time.monotonic() + START_S
        while True:
            self.check()
            self._control = socket.socket(socket.AF_UNIX)
            self._control.settimeout(ANSWER_S)
            try:
                self._control.connect(str(self.control_path))
                self._lines = self._control.makefile("r", encoding="utf-8", errors="replace")
                self.command("status")      # it listens for a front end, too, by now
                return
            except OSError as bad:
                self._control.close()
                if time.monotonic() > until:
                    raise RigError(f"the back end doesn't listen at {self.control_path}: "
                                   f"{bad.strerror}") from bad
            time.sleep(0.01)

    def check(self):
        """Raises RigError when it has ended."""
        code = self.process.poll() if self.process else None
        if code is not None:
            raise RigError(f"the back end {_how(code)}:\n{self.last_words()}")

    def last_words(self, lines=40):
        """The end of what it has said: of a sanitizer's report the beginning, which says it."""
        try:
            said = self.log_path.read_text(errors="replace").splitlines()
        except OSError:
            said = []
        for number, line in enumerate(said):
            if "ERROR: " in line or "runtime error: " in line:
                return "\n".join(said[number:number + lines])
        return "\n".join(said[-lines:]) or "(it said nothing)"

    def stop(self):
        """End it. Raises RigError unless it had served to the end, and ends well."""
        if self.process is None:
            return
        code = self.process.poll()
        early = code is not None
        if not early:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self.process.wait(END_S)
        self._end()
        if early or code != 0:
            how = _how(code) if code is not None else f"didn't end in {END_S:.0f} s"
            raise RigError(f"the back end {how}:\n{self.last_words()}")

    def _end(self):
        process, self.process = self.process, None
        if self._control is not None:
            self._control.close()
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdin.close()

    # --- commands ------------------------------------------------------------

    def command(self, line):
        """Execute a command of the control socket. Returns (lines, fields of its `ok`).

        Raises ValueError with its words when it refuses, RigError when it is gone.
        """
        lines = []
        if self.process is None:
            raise RigError(f"the back end has been stopped: `{line}`")
        try:
            self._control.sendall(line.encode() + b"\n")
            while True:
                answer = self._lines.readline()
                if not answer:
                    raise ConnectionResetError("it has closed its control socket")
                word, _, rest = answer.rstrip("\n").partition(" ")
                if word == "error":
                    raise ValueError(f"{line}: {rest}")
                if word == "ok":
                    return lines, dict(field.split("=", 1) for field in rest.split())
                lines.append(answer.rstrip("\n"))
        except OSError as bad:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(END_S)        # its report may take a while
            self.check()
            raise RigError(f"the back end doesn't answer `{line}`: {bad}") from bad

    def status(self):
        """Its counters, by name."""
        return {name: int(value) for name, value in self.command("status")[1].items()}

    def misbehave(self, name, **options):
        """From now on, by one more rule. `options`: value, kind, when, seed, times."""
        words = " ".join(f"{key}={value}" for key, value in options.items())
        return int(self.command(f"misbehave {name} {words}")[1]["rule"])

    def behave(self, which=""):
        """Serve correctly again: all rules end, or those of a name or number."""
        self.command(f"behave {which}")

    @contextlib.contextmanager
    def misbehaving(self, name, **options):
        """A rule for the length of a `with`."""
        rule = self.misbehave(name, **options)
        try:
            yield rule
        finally:
            self.behave(rule)

    def hits(self, rule):
        """How many requests a rule has changed."""
        for line in self.command("rules")[0]:
            fields = dict(word.split("=", 1) for word in line.split())
            if int(fields["rule"]) == rule:
                return int(fields["hits"])
        raise ValueError(f"no rule {rule}")

    def set(self, **values):
        """Properties of the device; the front end is told when the configuration changes."""
        self.command("set " + " ".join(f"{name}={value}" for name, value in values.items()))

    def release(self, count=None):
        """Answer held requests, the oldest first. Returns how many those were."""
        return int(self.command(f"release {'' if count is None else count}")[1]["released"])

    def cut(self, seed):
        """Its power goes: of what no flush has confirmed (property `cache`), sectors of the
        seed's choice are lost, and nobody is answered any more. Returns how many of them."""
        return {name: int(value) for name, value in self.command(f"cut {seed}")[1].items()}

    def wait(self, name, least, timeout=10.0):
        """Wait until a counter is at least so much. Raises RigError."""
        until = time.monotonic() + timeout
        while (now := self.status()[name]) < least:
            if time.monotonic() > until:
                raise RigError(f"the back end's {name} is {now}, not {least}, after {timeout} s")
            time.sleep(0.01)


def _how(code):
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
