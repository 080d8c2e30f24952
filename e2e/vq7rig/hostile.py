# SPDX-License-Identifier: MIT
"""Ways in which the vhost-user back end misbehaves (e2e/hostile/ways.toml): what each does to
a verified workload, against what is expected of it.

After each way the device behaves again, is restarted where that is needed, and has to serve
another verified workload; the disk must hold what the guest was told.
"""

import dataclasses
import tomllib
from dataclasses import dataclass

from . import inflight
from .errors import RigError
from .paths import ROOT
from .workload import Workload, expected_counts

WAYS = ROOT / "e2e" / "hostile" / "ways.toml"
STARTS = ROOT / "e2e" / "hostile" / "starts.toml"
BACKEND = ("backend=vhost-user", "sectors=8192")
SPAN = 2048                 # sectors worked on
TIMEOUT_MS = 300            # of the driver's, where a device that doesn't answer is expected
PATIENT_MS = 10000          # and elsewhere: a busy host isn't such a device
GUARD = 64                  # bytes around each buffer that nobody may write

LOADS = {
    "one": Workload(depth=1, ops=40, sizes=(512, 4096), segments=3, span=SPAN),
    "many": Workload(depth=16, ops=80, sizes=(512, 4096), segments=3, span=SPAN, flush=25),
    "tables": Workload(depth=16, ops=60, sizes=(16384,), segments=17, span=SPAN),
    "full": Workload(depth=96, ops=200, sizes=(2048, 4096), segments=3, span=SPAN),
    "reads": Workload(depth=1, ops=40, sizes=(4096,), segments=1, write=0, span=SPAN),
}
OUTCOMES = ("served", "request", "failed", "recovered", "changed")
CHANGES = ("MISCOMPARE", "MEMORY_CHANGED")      # what the agent itself sees

# What a request gets whose device is given up, and one that comes after that.
GIVEN_UP = {"STATUS_DEVICE_PROTOCOL_ERROR", "STATUS_DEVICE_NOT_READY"}


@dataclass(frozen=True)
class Way:
    """One way, as data."""
    name: str
    rules: tuple
    load: str
    expect: str
    also: tuple = ()
    counts: str = ""
    timeout: int = 0
    smoke: bool = False

    @property
    def timeout_ms(self):
        silent = self.expect.startswith("recovered")
        return self.timeout or (TIMEOUT_MS if silent else PATIENT_MS)


def load_ways(path=None):
    """All ways by name. Raises RigError naming what is wrong."""
    path = path or WAYS
    try:
        with open(path, "rb") as file:
            rows = tomllib.load(file)["way"]
        ways = [Way(**{name: tuple(value) if isinstance(value, list) else value
                       for name, value in row.items()}) for row in rows]
    except (OSError, KeyError, TypeError, tomllib.TOMLDecodeError) as bad:
        raise RigError(f"can't read {path}: {bad}") from bad
    for way in ways:
        if way.load not in LOADS or way.expect.partition(" ")[0] not in OUTCOMES or not way.rules:
            raise RigError(f"{path}: way '{way.name}': its load must be one of "
                           f"{', '.join(LOADS)}, its outcome one of {', '.join(OUTCOMES)}")
    by_name = {way.name: way for way in ways}
    if len(by_name) != len(ways):
        raise RigError(f"{path}: two ways have the same name")
    return by_name


@dataclass(frozen=True)
class Start:
    """What a device says of itself before it is started, as data."""
    name: str
    properties: tuple
    expect: str

    @property
    def options(self):
        return BACKEND + tuple(f"backend.{each}" for each in self.properties)


def load_starts():
    """All of starts.toml by name."""
    with open(STARTS, "rb") as file:
        rows = tomllib.load(file)["start"]
    return {row["name"]: Start(row["name"], tuple(row["properties"]), row["expect"])
            for row in rows}


def run_start(vm, start):
    """A machine that has booted with it. Returns the outcome's words."""
    if vm.console.command("devices")["devices"] == "0":
        words = start.expect.removeprefix("refused ")
        return start.expect if words in vm.kernel_log() else "refused, for another reason"
    if start.expect != "serves":
        return "started"
    verify(vm, 1)
    capacity = vm.console.command("blk info").num("capacity")
    for sector in (capacity - 1, 1 << 55, (1 << 55) - 1):       # bytes beyond 2^64, or nearly
        refused = vm.console.command(f"blk read {sector} 1 quiet=1", check=False)
        assert refused.ok == (sector < vm.disk.capacity), f"{sector}: {refused}"
    return "serves"


def run_capacities(vm, capacities, seed):
    """The capacity is one after the other while a workload runs. Returns the outcome."""
    load = dataclasses.replace(LOADS["many"], ops=400, seed=seed, base=1)
    fill(vm, seed)
    vm.console.command("stats clear")
    before = vm.backend.status()["read"]
    with inflight.background(workload, vm, load) as answer:
        vm.backend.wait("read", before + 1)     # the agent has looked at the capacity: it's 0 soon
        while not answer.done():
            for capacity in capacities:
                vm.backend.set(capacity=capacity)
        answer = answer.result()
    vm.backend.set(capacity=vm.disk.capacity)
    state, stats = state_of(vm), vm.console.command("stats")
    check_once(answer, state)
    settle(vm, load, answer)
    assert stats.num("config_changes") > 0
    verify(vm, seed + 1)
    return classify(answer, state, failures_of(stats))


@dataclass
class Seen:
    """What came of a way."""
    outcome: str
    hits: int           # requests that it changed
    operations: int


def classify(answer, state, failures):
    """The outcome in the words of the table. `state`, `failures`: what the driver says."""
    names = sorted({row["name"] for row in answer.rows() if "name" in row})
    changes = [name for name in names if name in CHANGES]
    failed = [name for name in names if name not in CHANGES]
    if state != "running":
        return f"{state} {failures}"
    if changes:
        return f"changed {' '.join(changes)}"
    if failed:
        return f"request {' '.join(failed)}"
    return f"recovered {failures}" if failures != "none" else "served"


def state_of(vm):
    """The driver's word for the device."""
    return vm.console.command("devices").rows()[0]["state"]


def failures_of(stats):
    """The names of the failures counted, without how often."""
    return " ".join(each.partition(":")[0] for each in stats["failed"].split(","))


def verify(vm, seed):
    """It serves, and the disk holds what it must."""
    load = Workload(ops=40, depth=8, sizes=(512, 4096), seed=seed, span=SPAN, flush=20)
    answer = vm.console.command(load.command())
    vm.console.command("blk flush")
    want = expected_counts(load, vm.disk.capacity)
    assert {name: answer.num(name) for name in want} == want
    vm.expected.ran(load)
    vm.expected.check()


def misbehave(vm, rule):
    """Add a rule as the table has it; returns its number."""
    name, *options = rule.split()
    return vm.backend.misbehave(name, **dict(option.split("=", 1) for option in options))


def fill(vm, seed):
    """What reads find that come before a write."""
    vm.console.command(f"blk write 0 {SPAN} seed={seed} gen=0")
    vm.expected.wrote(0, SPAN, seed, 0)


def workload(vm, load):
    """Its answer, in which each operation that failed has a line."""
    return vm.console.command(f"{load.command()} guard={GUARD} then=removal", timeout=60,
                              check=False)


def recover(vm, state):
    """The device behaves again: the driver's usual time-out, and a start where it is given up."""
    vm.console.command("device timeout ms=60000")
    if state != "running":
        vm.console.command("device restart")


def run_way(vm, way, seed):
    """Do it once. Returns what was Seen; raises where anything was lost, completed twice or
    isn't what the guest was told, or the device doesn't serve afterwards."""
    load = dataclasses.replace(LOADS[way.load], seed=seed, base=1)
    fill(vm, seed)
    vm.console.command(f"device timeout ms={way.timeout_ms}")
    vm.console.command("stats clear")
    rules = [misbehave(vm, rule) for rule in way.rules]
    answer = workload(vm, load)
    hits = max(vm.backend.hits(rule) for rule in rules)
    vm.backend.behave()
    state, stats = state_of(vm), vm.console.command("stats")
    seen = Seen(classify(answer, state, failures_of(stats)), hits, answer.num("ops"))
    check_once(answer, state)
    settle(vm, load, answer)
    if way.counts:
        assert stats.num(way.counts) >= hits, f"{way.counts} ({seen.outcome})"
    recover(vm, state)
    verify(vm, seed + 1)
    assert state_of(vm) == "running"
    return seen


def check_once(answer, state):
    """Every operation came back, once; a device that is given up fails its requests alike."""
    assert answer.num("duplicates") == 0
    if state != "running":
        names = {row["name"] for row in answer.rows() if "name" in row}
        assert names <= GIVEN_UP, names


def settle(vm, load, answer):
    """The disk against the answer; what only the agent's own checks saw isn't a failure."""
    kept = [line for line in answer.lines if not any(f"name={c}" in line for c in CHANGES)]
    flushes = sum("kind=flush" in line for line in kept)
    fields = {**answer.fields, "errors": str(answer.num("errors") - flushes)}
    inflight.settle(vm, load, dataclasses.replace(answer, lines=kept, fields=fields))
