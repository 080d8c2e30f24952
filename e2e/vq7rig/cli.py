# SPDX-License-Identifier: MIT
"""python3 -m vq7rig: a job, as `run`; `--help` lists them.

Exit codes: 0 all passed; 1 a test failed, crashed or hung the guest; 2 usage;
3 the rig or the machine it runs on is at fault; 130 interrupted.
"""

import argparse
import os
import pathlib
import shutil
import signal
import sys

from . import check, choice, guests, machine
from .errors import (EXIT_FAIL, EXIT_INTERRUPTED, EXIT_PASS, EXIT_RIG, EXIT_USAGE, GuestError,
                     RIG, RigError, UsageError, exit_code)
from .coverage import job as coverage_job
from .dump import live
from .gdb import job as gdb_job
from .kd import job as kd_job, windbg as kd_windbg
from .libvirt_host import Host, end_leftovers
from .paths import E2E, GUEST, ROOT, need_names
from .win7 import job as win7_job
from .workers import SIGNALS, Lock, jobs_of, jobs_with_debugger

_interrupted = False


def main(argv=None):
    """Returns the exit code; every error is one line on stderr."""
    for number in SIGNALS:
        signal.signal(number, _interrupt)
    sys.stdout.reconfigure(errors="backslashreplace")       # as stderr: names can be anything
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        args, rest = _parser().parse_known_args(arguments)
        if rest and args.job != "run":
            raise UsageError(f"unknown argument {rest[0]!r}; see `python3 -m vq7rig --help`")
        return args.function(args, rest)
    except UsageError as bad:
        print(f"vq7rig: {bad}", file=sys.stderr)
        return EXIT_USAGE
    except RigError as bad:
        print(f"vq7rig: {bad}", file=sys.stderr)
        return EXIT_RIG
    except GuestError as bad:
        print(f"vq7rig: {bad}", file=sys.stderr)
        return EXIT_FAIL
    except OSError as bad:
        print(f"vq7rig: {bad}", file=sys.stderr)
        return EXIT_RIG
    except KeyboardInterrupt:
        print("vq7rig: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


def _interrupt(_number, _frame):
    """The first one ends the job; what it then does to clean up is short and not to be broken."""
    global _interrupted
    _interrupted = True
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _parser():
    parser = argparse.ArgumentParser(prog="vq7rig", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    jobs = parser.add_subparsers(dest="job", required=True)
    run = jobs.add_parser("run", help="run the e2e suite; other arguments go to pytest")
    run.add_argument("--results", default=str(E2E / "latest"), help="folder for logs and reports")
    run.add_argument("--jobs", default="1", metavar="N",
                     help="processes to share the tests, or auto: one for each CPU")
    run.add_argument("--qemu2", metavar="PATH",
                     help="a second QEMU, of another version, to save, restore and migrate to")
    run.add_argument("--debugger", action="store_true",
                     help="the machine of the first test that fails waits for a debugger")
    run.set_defaults(function=_run)
    vm = jobs.add_parser("vm", help="boot a machine and talk to the guest's console")
    choice.add_arguments(vm)
    vm.set_defaults(function=_vm)
    debug, windbg = kd_job.add_parser(jobs), kd_windbg.add_parser(jobs)
    gdb = gdb_job.add_parser(jobs)
    live.add_parser(jobs)
    coverage_job.add_parser(jobs)
    fuzzer = _fuzz_parser(jobs, "fuzz", "a hostile device, at random, while workloads run")
    faulty = _fuzz_parser(jobs, "faults", "faults of host and operator, at random, likewise")
    win7 = win7_job.add_parser(jobs)
    look = jobs.add_parser("check", help="say what is missing on this machine")
    look.set_defaults(function=lambda args, rest: check.main(args))
    guest = jobs.add_parser("guest", help="say whether a guest's image is there and of use")
    guest.set_defaults(function=_guest)
    for each in (run, vm, guest, windbg):
        guests.add_options(each.add_argument)
    for each in (run, vm, guest, win7, debug, windbg, gdb, fuzzer, faulty, look):
        each.add_argument("--connect", metavar="URI", help="libvirt URI; default: embedded")
        each.add_argument("--qemu", metavar="PATH", help="another QEMU than libvirt's own")
        each.add_argument("--pool", metavar="NAME",
                          help="a storage pool there; default: one of our own")
        each.add_argument("--guest", default=str(GUEST), help="folder of the guest's files")
    return parser


def _guest(args, _rest):
    system = check.need_system(args)
    print(f"{system.title}: {system.image or args.guest}")
    return EXIT_PASS


def _fuzz_parser(jobs, name, text):
    parser = jobs.add_parser(name, help=text)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (60)")
    parser.add_argument("--seed", type=int, help="of everything; default: at random, and said")
    parser.add_argument("--step", type=int, help="this step of the seed alone: a finding again")
    parser.add_argument("--only", metavar="WORDS", help="with --step: this one of its rules")
    parser.add_argument("--results", default=str(E2E / name), help="folder for logs and report")
    parser.set_defaults(function=_fuzz)
    return parser


def _fuzz(args, rest):
    check.need_python()
    from . import faults, fuzz          # want numpy
    return {"fuzz": fuzz, "faults": faults}[args.job].main(args, rest)


def _run(args, rest):
    jobs = jobs_with_debugger(args.jobs) if args.debugger else jobs_of(args.jobs)
    check.need_python()
    need_names(args.guest, args.results)
    check.need_system(args)
    machine.load_matrix()
    import pytest
    results = pathlib.Path(args.results).absolute()
    if not any(word.startswith("-m") for word in rest):
        rest = ["-m", "not nightly"] + rest
    if not _names_tests(rest):
        rest = rest + [str(ROOT / "e2e" / "tests")]
    options = ["-q", "--no-header", "--tb=short", "--show-capture=no", "-rN",
               "-o", "console_output_style=none", "-p", "no:cacheprovider",
               "-p", "no:junitxml", "-p", "vq7rig.plugin", "--rootdir", str(ROOT / "e2e"),
               f"--results={results}", f"--guest={args.guest}",
               f"--system={args.system}"]
    options += [f"--image={os.path.abspath(args.image)}"] if args.image else []
    options += [f"--arch={args.arch}"] if args.arch else []
    options += [f"--lacks={args.lacks}"] if args.lacks else []
    options += ["--no-update"] if args.no_update else []
    options += [f"--connect={args.connect}"] if args.connect else []
    options += [f"--qemu={args.qemu}"] if args.qemu else []
    options += [f"--qemu2={os.path.abspath(args.qemu2)}"] if args.qemu2 else []
    options += [f"--pool={args.pool}"] if args.pool else []
    options += ["--debugger"] if args.debugger else []
    if jobs > 1:
        check.need_xdist()
        options += ["-n", str(jobs), "--dist", "loadgroup", "--max-worker-restart", "0",
                    f"--basetemp={results / 'pytest'}"]      # or it would leave a folder in /tmp
    with Lock():
        clear_results(results)
        if jobs > 1:
            end_leftovers()
        catcher = _Catcher()
        code = pytest.main(options + rest, plugins=[catcher])
    if catcher.fatal is not None:
        raise catcher.fatal
    if _interrupted:                    # pytest's code says it of other ends too
        raise KeyboardInterrupt
    if code == pytest.ExitCode.NO_TESTS_COLLECTED:
        raise UsageError("no test was chosen: look at -m, -k and the names of the tests")
    if code == pytest.ExitCode.USAGE_ERROR:
        return EXIT_USAGE
    if code == pytest.ExitCode.INTERNAL_ERROR:
        raise RigError("pytest or one of its plugins failed: see INTERNALERROR above")
    if code == pytest.ExitCode.OK and not catcher.results:
        return EXIT_PASS                # --collect-only and the like
    verdict = exit_code(result.verdict for result in catcher.results)
    if verdict == EXIT_RIG:
        raise RigError(_first_rig_error(catcher.results))
    return verdict


def _first_rig_error(results):
    """What and, if known, how to help it, for the last line of a run."""
    from .report import first_line
    for result in results:
        if result.verdict == RIG:
            text = first_line(result.attempts[-1].text)
            return f"rig error in {result.nodeid.partition('::')[2]}: {text}"
    return "no test ran"


def _names_tests(words):
    """Is one of pytest's arguments a test file, and not the value of an option?"""
    return any(not word.startswith("-") and os.path.exists(word.partition("::")[0])
               and not (at and words[at - 1] in ("-m", "-k", "-p", "-o"))
               for at, word in enumerate(words))


def clear_results(results):
    """Remove the last run's results; refuse to remove what isn't a run's folder."""
    try:
        if results.exists():
            marks = [name for name in os.listdir(results)]
            if marks and ".vq7-results" not in marks:
                raise UsageError(f"--results {results}: it exists and isn't a run's folder")
            shutil.rmtree(results)
        results.mkdir(parents=True)
        (results / ".vq7-results").touch()
    except OSError as bad:
        raise RigError(f"can't prepare {results}: {bad.strerror}") from bad


class _Catcher:
    """Sees the end of the pytest session from inside."""

    def __init__(self):
        self.results, self.fatal = [], None

    def pytest_runtest_logstart(self):
        if _interrupted:                # and something turned it into another exception
            raise KeyboardInterrupt

    def pytest_sessionfinish(self, session):
        self.results = session.config.vq7.results
        self.fatal = session.config.vq7.fatal


def _vm(args, _rest):
    config, settings = choice.config_of(args)
    check.need_python()
    need_names(args.guest)
    system = check.need_system(args)
    from . import terminal
    with Lock(), Host(args.connect, qemu=args.qemu, pool=args.pool) as host:
        terminal.session(host, config, pathlib.Path(args.guest).absolute(), E2E / "vm", settings,
                         system=system)
    return EXIT_PASS
