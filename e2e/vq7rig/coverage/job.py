# SPDX-License-Identifier: MIT
"""`python3 -m vq7rig coverage`: what the runs with an instrumented driver have executed."""

import pathlib

from ..errors import EXIT_FAIL, EXIT_PASS, RigError
from ..paths import BUILD

BUILT = BUILD / "coverage" / "guest"
RESULTS = [BUILD / "coverage" / name for name in ("results", "results-long")]


def add_parser(jobs):
    parser = jobs.add_parser("coverage", help="which lines of lib/ and the driver runs executed")
    parser.add_argument("results", nargs="*", default=[*map(str, RESULTS)],
                        help="folders of runs with the instrumented guest, as run --results says")
    parser.add_argument("--guest", default=str(BUILT), help="folder of the instrumented guest")
    parser.set_defaults(function=_job)
    return parser


def of_run(folder, guest):
    """The table of a run, also in its results. "" where its driver isn't instrumented."""
    from . import lines             # wants numpy
    if lines.counters.section_of(guest) is None:
        return ""
    try:
        text = lines.table(*lines.measured(guest, [folder], folder))
    except RigError as bad:
        return f"in-guest coverage: {bad}"
    (folder / "coverage.txt").write_text(text + "\n")
    return text


def _job(args, _rest):
    from .. import check
    check.need_python()
    from . import lines             # wants numpy
    folders = [pathlib.Path(each).absolute() for each in args.results]
    files, machines = lines.measured(pathlib.Path(args.guest).absolute(), folders, folders[0])
    rules = lines.load_rules()
    missed, stale = lines.judge(files, rules.unreached)
    text = "\n".join([lines.table(files, machines), _listed(files, missed),
                      *(f"not executed, no reason listed: {name}:{number}: {line}"
                        for name, number, line in missed)])
    faults = [f"{lines.LIST.name} names what isn't in {each.file}: {each.text}" for each in stale]
    faults += [f"{part}/: {lines.percentage(part, files):.1f} % of its lines, below {rules.least:g}"
               for part in lines.PARTS if lines.percentage(part, files) < rules.least]
    if len(missed) > rules.unlisted:
        faults.append(f"{len(missed)} lines are missed without a reason, {rules.unlisted} may be")
    print("\n".join([text, *faults]))
    (folders[0] / "coverage.txt").write_text("\n".join([text, *faults, ""]))
    return EXIT_FAIL if faults else EXIT_PASS


def _listed(files, missed):
    left = sum(len(each.missed) for each in files)
    return (f"{left} lines were not executed: {len(missed)} for no reason that is listed, the "
            "others for one that is, or of braces alone")
