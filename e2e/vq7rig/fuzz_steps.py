# SPDX-License-Identifier: MIT
"""Steps of the hostile fuzz: what each does is a function of seed and number alone.

A step is a workload on one device, and one or two misbehaviours at random moments in it.
Whatever the device does, each operation comes back once, what succeeded is on the disk, and
afterwards the device serves.
"""

import dataclasses
import random
from dataclasses import dataclass

from . import hostile
from .machine import Config

# Ways that show in what the guest compares are so by their nature: no driver can see them.
SEEN_BY_THE_GUEST = {"no-data": "MISCOMPARE", "scribble": "MEMORY_CHANGED",
                     "outside": "MEMORY_CHANGED"}
# What a request may fail with at such a device.
FAILURES = hostile.GIVEN_UP | {"STATUS_IO_DEVICE_ERROR", "STATUS_NOT_SUPPORTED",
                               "STATUS_IO_TIMEOUT"}
JOB = "fuzz"
TIMEOUT_MS = 400
STEPS_A_MACHINE = 40        # then the next device of the list

# Left out: late-data and late-all, which write into memory that has another owner by then, as
# no driver can keep a device from it; hold, which is forget with somebody to release it.
WAYS = {
    "used-id": (0x100, 0xFFFF, 0x10000, 0x80000000, 0xFFFFFFFF),
    "used-id-beyond": range(0, 70000), "used-id-unissued": (0,), "used-id-inside": (0,),
    "used-twice": (2, 3, 17), "used-index": range(1, 65536),
    "length": range(0, 1 << 32), "length-beyond": range(1, 1 << 20), "length-without-status": (0,),
    "slow": range(0, 30), "forget": (0,), "reverse": range(1, 10), "shuffle": range(1, 10),
    "hang-up": range(0, 100),
    "no-interrupt": (0,), "early-interrupt": range(1, 5), "storm": range(1, 200),
    "avail-event": range(0, 65536), "no-notify": (0,), "flicker": range(1, 100),
    "poll": range(1, 500),
    "io-error": (1,), "status": range(2, 256), "no-status": (0,), "no-data": (0,),
    "late-status": range(0, 5), "status-again": range(0, 5),
    "outside": range(1, hostile.GUARD), "scribble": range(1, 32), "scribble-after": range(1, 8),
}
RARE = {"hang-up": 0.1}     # a front end takes a second to connect again
READS_ONLY = {"no-data", "outside"}
# A second entry for a buffer may complete the next one that has its descriptor, before it is
# done: what is slow would then write into memory that has another owner.
APART = {"used-twice": {"slow", "reverse", "shuffle", "early-interrupt", "hang-up"}}
MOMENTS = ("always", "on:{}", "after:{}", "every:{}", "random:{}")


@dataclass(frozen=True)
class Step:
    """All there is to know of one."""
    seed: int
    number: int
    config: Config
    load: str
    rules: tuple
    job: str = JOB

    @property
    def names(self):
        return tuple(rule.split()[0] for rule in self.rules)


def devices():
    """Transport, interrupt and ring features, in an order that soon has seen each of them."""
    all_ = [Config(flavour=flavour, interrupt=interrupt, event_idx=event, indirect=indirect,
                   options=hostile.BACKEND)
            for event, indirect in ((True, True), (False, True), (True, False), (False, False))
            for flavour, interrupt in (("modern", "msix"), ("legacy", "line"),
                                       ("modern", "line"), ("legacy", "msix"))]
    return all_


def step_of(seed, number):
    chance = random.Random(f"{seed}:{number}")
    config = devices()[number // STEPS_A_MACHINE % len(devices())]
    load = chance.choice(list(hostile.LOADS))
    names = []
    for _ in range(chance.choice((1, 1, 2))):
        names.append(_name(chance, names))
    rules = tuple(_rule(chance, name) for name in names)
    return Step(seed, number, config, load, rules)


def _name(chance, chosen):
    apart = set().union(*(APART.get(each, set()) for each in chosen))
    apart |= {name for name, others in APART.items() if others & set(chosen)}
    while True:
        name = chance.choice(list(WAYS))
        if name not in chosen and name not in apart and chance.random() < RARE.get(name, 1):
            return name


def _rule(chance, name):
    when = chance.choice(MOMENTS).format(chance.randrange(1, 40))
    if name == "hang-up":
        when = f"on:{chance.randrange(1, 20)}"
    kinds = "read" if name in READS_ONLY else chance.choice(("read", "write", "read,write,flush"))
    return (f"{name} value={chance.choice(WAYS[name])} kind={kinds} when={when} "
            f"seed={chance.randrange(1 << 30)}")


def run(vm, step):
    """Do it. Returns the outcome's words; raises what a test would."""
    seed = 1 + 2 * step.number
    load = dataclasses.replace(hostile.LOADS[step.load], seed=seed, base=1)
    hostile.fill(vm, seed)
    vm.console.command(f"device timeout ms={TIMEOUT_MS}")
    vm.console.command("stats clear")
    rules = [hostile.misbehave(vm, rule) for rule in step.rules]
    answer = hostile.workload(vm, load)
    hits = [vm.backend.hits(rule) for rule in rules]
    vm.backend.behave()
    state, stats = hostile.state_of(vm), vm.console.command("stats")
    check_names(answer, step)
    hostile.check_once(answer, "running")
    hostile.settle(vm, load, answer)
    outcome = hostile.classify(answer, state, hostile.failures_of(stats))
    hostile.recover(vm, state)
    hostile.verify(vm, seed + 1)
    return outcome if any(hits) else "unhit"


def check_names(answer, step):
    """No failure that such a device doesn't explain, no change that its ways don't make."""
    right = FAILURES | {SEEN_BY_THE_GUEST[name] for name in step.names
                        if name in SEEN_BY_THE_GUEST}
    names = {row["name"] for row in answer.rows() if "name" in row}
    assert names <= right, f"{sorted(names - right)} of {step.rules}"
