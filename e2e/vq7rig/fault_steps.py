# SPDX-License-Identifier: MIT
"""Steps of the random faults: what each does is a function of seed and number alone.

A step is loads, one after the other, on one machine, and some faults of host and operator in
the midst of them. Each operation comes back once; it fails only where the faults explain it;
the disk is what the guest was told, and afterwards the device serves.
"""

import collections
import contextlib
import dataclasses
import os
import random
import signal
import threading
import time
from dataclasses import dataclass

import numpy as np

from . import fuzz_steps, hostile, inflight
from .errors import CommandError, Hang, Lacking
from .fault_kinds import KINDS, LAST, LATE_MS, LATE_TRIES, ROOM, SPAN
from .journal import written_by
from .machine import Config
from .workload import Workload, operations

JOB = "faults"
STEPS_A_MACHINE = 12        # then the next device of the list
GUARD = 64                  # bytes around each buffer that nobody may write
STEP_S = 180.0              # what a step may take before its machine is ended
COMMAND_S = 90.0
MOST_OFTEN = (1, 2, 2, 3, 3, 4)
USUAL = "device timeout ms=60000 retries=1"
OPTIONS = (f"sectors={ROOM}", "request-merging=off", "werror=enospc")

LOADS = {
    "one": Workload(depth=1, ops=150, sizes=(512, 4096), segments=3, span=SPAN),
    "many": Workload(depth=16, ops=800, sizes=(512, 4096), segments=3, span=SPAN, flush=40),
    "tables": Workload(depth=16, ops=400, sizes=(16384,), segments=17, span=SPAN, flush=50),
    "full": Workload(depth=96, ops=1000, sizes=(2048, 4096), segments=3, span=SPAN),
    "writes": Workload(depth=32, ops=600, write=100, sizes=(512, 8192), span=SPAN, flush=10),
}


@dataclass(frozen=True)
class Step(fuzz_steps.Step):
    """All there is to know of one."""
    job: str = JOB

    @property
    def faults(self):
        """(name, milliseconds before it, its words) of each."""
        for rule in self.rules:
            name, *words = rule.split()
            values = {key: int(value) for key, value in (word.split("=") for word in words)}
            yield name, values.pop("wait"), values


def devices():
    return [Config(flavour=flavour, interrupt=interrupt, options=(*OPTIONS, "memory-backing=file"))
            for flavour, interrupt in (("modern", "msix"), ("legacy", "line"),
                                       ("modern", "line"), ("legacy", "msix"))]


def step_of(seed, number):
    chance = random.Random(f"{seed}:{number}:faults")
    config = devices()[number // STEPS_A_MACHINE % len(devices())]
    load = chance.choice(list(LOADS))
    names = [chance.choice(list(KINDS)) for _ in range(chance.choice(MOST_OFTEN))]
    last = [name for name in names if name in LAST][:1]
    names = [name for name in dict.fromkeys(names) if name not in LAST] + last
    return Step(seed, number, config, load, tuple(_rule(chance, name) for name in names))


def _rule(chance, name):
    values = {key: chance.choice(may) for key, may in KINDS[name].values.items()}
    words = "".join(f" {key}={value}" for key, value in values.items())
    return f"{name} wait={chance.randrange(400)}{words}"


def run(vm, step):
    """Do it. Returns what came of it (Course); raises what a test would."""
    course = Course(vm, step)
    with course.watched():
        course.begin()
        with course.loads():
            for name, wait, words in step.faults:
                course.sleep(wait / 1000)
                KINDS[name].do(course, **words)
                course.count(f"fault {name}")
            course.sleep(0.1)
            course.end_loads()
        course.end()
    return course


def kill(vm):
    """QEMU, as the kernel does for want of memory."""
    process = vm.host.process_of(vm.name)
    if process is not None:
        with contextlib.suppress(OSError):
            os.kill(process, signal.SIGKILL)


class Course:
    """A step under way. What the faults know of it, and do to it."""

    def __init__(self, vm, step):
        self.vm, self.step = vm, step
        self.bad = set()            # (kind, sector) that were bad
        self.leaving = False        # the disk may be gone from now on
        self.pulled = False         # and without being asked
        self.spent = False          # the machine isn't what its configuration says any more
        self.figures = collections.Counter()
        self._failing = 0
        self._stop, self._loads, self._overdue = threading.Event(), None, False
        self._number = 0            # of the load
        self._filling = 0           # seed of what was filled in last
        self._names = set().union(*(KINDS[name].names for name in step.names))
        self._chosen = dict((name, words) for name, _, words in step.faults)

    # --- what faults use -----------------------------------------------------

    def count(self, what, times=1):
        self.figures[what] += times

    def process(self):
        process = self.vm.host.process_of(self.vm.name)
        if process is None:
            raise Lacking("QEMU is no process of this rig's: the embedded driver's is")
        return process

    @contextlib.contextmanager
    def failing(self):
        """Within this, commands of ours may fail, too."""
        self._failing += 1
        try:
            yield
        finally:
            self._failing -= 1

    def sleep(self, seconds):
        """Time passes; what the loads have to say is said at once."""
        until = time.monotonic() + seconds
        while self._loads is not None and (left := until - time.monotonic()) > 0:
            if self._loads.done():
                self._loads.result()
            time.sleep(min(left, 0.02))

    def end_loads(self):
        """The last load comes to its end and is judged."""
        self._stop.set()
        if self._loads is not None:
            loads, self._loads = self._loads, None
            loads.result()

    def cut_off(self, end, seconds):
        """Typed, since a framed command would be sent again to the agent of the next start."""
        load = self._load()
        self._fill(load.seed)
        with inflight.background(self.vm.console.type, load.command(), timeout=30) as said:
            time.sleep(seconds)
            end()
            lines = said.result()
        if not any("vq7agent 1 " in line for line in lines):
            self.vm.console.wait_boot(self.vm.hello_timeout)
        old_or_new(self.vm, load)

    # --- the run of it -------------------------------------------------------

    @contextlib.contextmanager
    def watched(self):
        """A machine that keeps libvirt or the console for ever is ended."""
        timer = threading.Timer(STEP_S, self._kill)
        timer.daemon = True
        timer.start()
        try:
            yield
        except Exception as bad:
            if not self._overdue:
                raise
            raise Hang("the step", STEP_S, "", self.vm.console.log_path,
                       f"the machine or libvirt didn't answer ({bad})") from bad
        finally:
            timer.cancel()

    def _kill(self):
        self._overdue = True
        kill(self.vm)

    def begin(self):
        command = self.vm.console.command
        command(f"device timeout ms={LATE_MS} retries={LATE_TRIES}"
                if "late" in self.step.names else USUAL)
        command("stats clear")

    @contextlib.contextmanager
    def loads(self):
        """Within this, loads run, one after the other, until end_loads()."""
        with inflight.background(self._run_loads) as self._loads:
            try:
                yield
            except BaseException:
                self._stop.set()
                self.vm.faults.hang_up()        # or we would wait for the load
                raise

    def _run_loads(self):
        while True:
            try:
                self._run_load()
            except CommandError as bad:
                if not (self.leaving and bad.name == "NO_DEVICE" or self.pulled):
                    raise
                return
            if self.pulled or self._stop.is_set():
                return

    def _load(self):
        self._number += 1
        seed = 1 + (self.step.number << 16) + 2 * self._number
        return dataclasses.replace(LOADS[self.step.load], seed=seed, base=1)

    def _run_load(self):
        load = self._load()
        self._fill(load.seed)
        event = "removal"
        if "powercycle" in self._chosen:
            event = "powercycle" + "".join(
                f" {key}={value}" for key, value in self._chosen["powercycle"].items())
        line = f"{load.command()} guard={GUARD} then={event}"
        answer = self.vm.console.command(line, timeout=COMMAND_S, check=False)
        if not answer.ok and answer.name != "WORKLOAD_FAILED":
            raise CommandError(line, answer)
        self._judge(load, answer)

    def _fill(self, seed):
        """What reads find that come before a write. It may meet a bad sector, too."""
        self._filling = seed
        while True:
            might = bool(self._failing)
            try:
                hostile.fill(self.vm, seed)
                return
            except CommandError as bad:
                if not (might or self._failing) or bad.name not in self._names or self.pulled:
                    raise
                time.sleep(0.05)

    def adopt(self):
        """The disk went, maybe while it was being filled: of that, what is there is expected."""
        for sector in range(SPAN):
            if inflight.holds(self.vm.expected, sector, self._filling, 0):
                self.vm.expected.wrote(sector, 1, self._filling, 0)
        self.vm.expected.check()

    def _judge(self, load, answer):
        assert answer.num("duplicates") == answer.num("miscompares") == 0, str(answer)
        rows = [row for row in answer.rows() if "op" in row]
        names = {row["name"] for row in rows}
        assert names <= self._names, f"{sorted(names - self._names)} of {self.step.rules}"
        assert rows or answer.num("ops") == load.ops, "operations are missing"
        done = operations(load, self.vm.disk.capacity)
        for row in rows:
            if row["name"] == "STATUS_IO_DEVICE_ERROR":
                self._explain(done, row)
        hostile.settle(self.vm, load, answer)
        self.count("loads")
        self.count("requests", answer.num("ops") + answer.num("flushes"))
        self.count("requests that failed", len(rows))

    def _explain(self, done, row):
        """It touches a sector that was bad."""
        k, kind = int(row["op"]), row["kind"]
        place, end = int(done.place[k]), int(done.place[k] + done.count[k])
        assert any(kind == bad and place <= sector < end for bad, sector in self.bad), \
            f"operation {k}, a {kind} of [{place}, {end}), failed; bad were {sorted(self.bad)}"

    def count_driver(self):
        """The driver's own counters, before they are gone."""
        stats = self.vm.console.command("stats")
        assert stats.num("in_flight") == 0, str(stats)
        for name in ("restarts", "resent", "timed_out", "config_changes"):
            self.count(name, stats.num(name))
        if "late" not in self.step.names:
            assert stats.num("lost_interrupts") == stats.num("restarts") == 0, str(stats)

    def end(self):
        """It serves, nobody holds anything, and the driver leaves nothing behind."""
        self.vm.console.command(USUAL)
        assert hostile.state_of(self.vm) == "running"
        hostile.verify(self.vm, 2 + (self.step.number << 16))
        reload = KINDS["reload"].do
        reload(self)


def old_or_new(vm, load):
    """A run was cut off at any moment. Each sector holds what it held, or what some write of
    the run put there; of the writes before the last that is there, no more are missing than
    were in flight. What is there is expected from then on."""
    done, disk = operations(load, vm.disk.capacity), vm.expected
    words = np.frombuffer(disk.disk.read(0, SPAN), dtype="<u8").reshape(SPAN, -1)
    ours = words[:, 2] == load.seed
    generation = np.where(ours, words[:, 1], 0).astype(np.int64)
    there = np.flatnonzero(generation)
    own = written_by(load, vm.disk.capacity, there, generation[there])
    assert own.all(), f"sector {there[~own][0]}: no write of that place"
    for sector in there.tolist():
        disk.wrote(sector, 1, load.seed, int(generation[sector]))
    disk.check()
    last = int(generation.max(initial=0))
    missing = [k for k in np.flatnonzero(done.is_write[:last]).tolist()
               if (generation[done.place[k]:done.place[k] + done.count[k]] < k + 1).any()]
    assert len(missing) < load.depth, f"writes {missing} are missing, {last - 1} is there"
