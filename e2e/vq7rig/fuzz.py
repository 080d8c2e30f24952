# SPDX-License-Identifier: MIT
"""`python3 -m vq7rig fuzz`: seeded random misbehaviour while verified workloads run."""

import collections
import dataclasses
import json
import pathlib
import random
import time

from . import fuzz_steps, machine
from .dump import take
from .errors import (EXIT_FAIL, EXIT_PASS, GuestCrash, GuestError, Hang, RigError, UsageError,
                     verdict_of)
from .libvirt_host import Host
from .pool import Pool
from .probe import accelerator
from .report import first_line
from .workers import Lock

MOST_FINDINGS = 5


def main(args, _rest, kind=None):
    """Returns the exit code. `kind`: the class of the run, Fuzz or one derived from it."""
    kind = kind or Fuzz
    job = kind.steps_of.JOB
    if args.step is not None and args.seed is None:
        raise UsageError(f"{job} --step needs the --seed that it is a step of")
    if args.only is not None and args.step is None:
        raise UsageError(f"{job} --only needs a --step")
    from . import check, cli
    check.need_guest(args.guest)
    folder = pathlib.Path(args.results).absolute()
    seed = args.seed if args.seed is not None else random.randrange(1 << 32)
    with Lock(), Host(args.connect, qemu=args.qemu, pool=args.pool) as host:
        cli.clear_results(folder)
        host.accel, why = accelerator(host)
        print(f"{job}: seed {seed}, {host.emulator}, {why}", flush=True)
        fuzz = kind(host, pathlib.Path(args.guest).absolute(), folder, seed)
        try:
            if args.step is not None:
                fuzz.one(chosen(kind.steps_of.step_of(seed, args.step), args.only))
            else:
                fuzz.all(args.seconds)
        finally:
            fuzz.close()
    return EXIT_FAIL if fuzz.findings else EXIT_PASS


def chosen(step, only):
    """The step with one of its rules, named by a word of it."""
    if only is None:
        return step
    rules = tuple(rule for rule in step.rules if only in rule.split())
    if not rules:
        raise UsageError(f"--only {only}: the step's rules are {'; '.join(step.rules)}")
    return dataclasses.replace(step, rules=rules)


class Fuzz:
    """One run. `findings`: (step, what is wrong)."""

    steps_of = fuzz_steps       # the module of the steps
    ends_run = (RigError,)      # what isn't the guest's doing

    def __init__(self, host, guest, folder, seed):
        self.folder, self.seed, self.findings = folder, seed, []
        self.pool = Pool(host, guest, folder, machine.load_matrix()["vm"])
        self.outcomes = collections.Counter()       # (way, load, device, outcome)
        self.steps, self.began = 0, time.monotonic()

    def all(self, seconds):
        number = 0
        while time.monotonic() - self.began < seconds and len(self.findings) < MOST_FINDINGS:
            step = self.steps_of.step_of(self.seed, number)
            bad = self.one(step)
            if bad is not None:
                self.reduce(step)
            number += 1

    def one(self, step):
        """Do a step. Returns what was wrong with the guest, or None; a RigError ends the run."""
        vm = self.pool.get(step.config)
        try:
            outcome = self.steps_of.run(vm, step)
        except self.ends_run:
            raise
        except (GuestError, AssertionError, RigError) as bad:
            self.found(vm, step, bad)
            self.pool.failed(bad)
            return bad
        self.steps += 1
        outcome = self.passed(step, outcome)
        for name in step.names:
            self.outcomes[name, step.load, device_of(step.config), outcome] += 1
        return None

    def passed(self, _step, outcome):
        """A step went well. Returns its outcome's words."""
        return outcome

    def found(self, vm, step, bad):
        folder = self.folder / f"step-{step.number}"
        folder.mkdir(parents=True, exist_ok=True)
        text = first_line(str(bad)) or type(bad).__name__
        if vm.active() and (isinstance(bad, Hang) or isinstance(bad, GuestCrash) and bad.code):
            take.explain(vm, bad, folder)
        (folder / "finding.txt").write_text(
            f"{verdict_of(bad)}: {bad}\n{step}\nagain: {command(step)}\n"
            f"machine: {vm.folder}\n")
        (folder / "debug.log").write_text(vm.kernel_log())
        self.findings.append((step, f"{verdict_of(bad)}: {text}"))
        print(f"{step.job}: FOUND by {'; '.join(step.rules)} ({step.load}, {step.config.name}): "
              f"{verdict_of(bad)}: {text}\n      again: {command(step)}", flush=True)

    def reduce(self, step):
        """Does one of several rules do it alone?"""
        for rule in step.rules if len(step.rules) > 1 else ():
            name = rule.split()[0]
            if self.one(chosen(step, name)) is not None:
                self.findings.pop()                 # the same one
                print(f"{step.job}: this rule does it alone: {command(step)} --only {name}",
                      flush=True)
                return

    def close(self):
        self.pool.close()
        text, job = self.report(), self.steps_of.JOB
        print(text, flush=True)
        (self.folder / f"{job}.txt").write_text(text + "\n")
        (self.folder / f"{job}.json").write_text(json.dumps({
            "seed": self.seed, "steps": self.steps, "seconds": time.monotonic() - self.began,
            "machines": self.pool.boots,
            "findings": [{"step": step.number, "rules": step.rules, "text": text}
                         for step, text in self.findings],
            "covered": [{"way": way, "load": load, "device": device, "outcome": outcome,
                         "times": times}
                        for (way, load, device, outcome), times in sorted(self.outcomes.items())],
            **self.figures(),
        }, indent=1) + "\n")

    def figures(self):
        """What else the results say, by name."""
        return {}

    def report(self):
        return report(self)


def command(step):
    return f"python3 -m vq7rig {step.job} --seed {step.seed} --step {step.number}"


def device_of(config):
    """The name of its device, without the options that all have."""
    return config.name.partition("-backend")[0].partition("-sectors")[0]


def columns(lines):
    """Rows of cells as lines of text."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
            for line in lines]


def report(fuzz):
    """What was covered: ways × loads, and what came of them."""
    loads = sorted({load for _, load, _, _ in fuzz.outcomes})
    lines = [["way", *loads, "outcomes"]]
    for way in fuzz_steps.WAYS:
        mine = {key: n for key, n in fuzz.outcomes.items() if key[0] == way}
        cells = [str(sum(n for key, n in mine.items() if key[1] == load) or "") for load in loads]
        kinds = collections.Counter()
        for (_, _, _, outcome), times in mine.items():
            kinds[outcome.split()[0]] += times
        lines.append([way, *cells, ", ".join(f"{k} {n}" for k, n in kinds.most_common())])
    text = columns(lines)
    devices = {device for _, _, device, _ in fuzz.outcomes}
    covered = len({key[:2] for key in fuzz.outcomes})
    return "\n".join(text + [
        f"fuzz: seed {fuzz.seed}, {fuzz.steps} steps on {len(devices)} devices "
        f"({fuzz.pool.boots} machines) in {time.monotonic() - fuzz.began:.0f} s; "
        f"{covered} of {len(fuzz_steps.WAYS) * len(fuzz_steps.hostile.LOADS)} pairs of way and "
        f"load; {len(fuzz.findings)} findings"])
