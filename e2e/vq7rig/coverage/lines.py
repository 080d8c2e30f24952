# SPDX-License-Identifier: MIT
"""Which lines were executed, by llvm-cov, and which of the others have their reason."""

import re
import subprocess
import tomllib
from dataclasses import dataclass, field

from ..errors import RigError
from ..kd.pe import file_image
from ..paths import ROOT
from . import counters, profile

PARTS = ("lib", "guest_driver/driver")
LIST = ROOT / "e2e" / "coverage.toml"


@dataclass
class File:
    """`counts`: line -> how often it was executed; `functions`: first line -> mangled name."""
    name: str
    counts: dict = field(default_factory=dict)
    functions: dict = field(default_factory=dict)

    @property
    def missed(self):
        return [line for line, count in sorted(self.counts.items()) if count == 0]


def measured(guest, folders, work):
    """(the Files of both parts, how many machines they come from). Raises RigError."""
    section = counters.section_of(guest)
    if section is None:
        raise RigError(f"{guest / counters.IMAGE} isn't instrumented", "make coverage-e2e builds "
                       "one that is")
    sums, machines = counters.total(folders, section)
    if not machines:
        raise RigError(f"no counters of this driver in {', '.join(map(str, folders))}")
    image = guest / counters.IMAGE
    work.mkdir(parents=True, exist_ok=True)
    raw, merged = work / "driver.profraw", work / "driver.profdata"
    layout = profile.Layout(profile.description())
    raw.write_bytes(profile.raw_profile(file_image(image), sums.tobytes(), layout))
    _tool(["llvm-profdata", "merge", "-o", str(merged), str(raw)])
    text = _tool(["llvm-cov", "export", "-format=lcov", f"-instr-profile={merged}", str(image)])
    return files_of(text), machines


def _tool(words):
    try:
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout
    except OSError as bad:
        raise RigError(f"{words[0]}: {bad.strerror}", "install llvm (ci/setup.sh build)") from bad
    except subprocess.CalledProcessError as bad:
        raise RigError(f"{words[0]} failed: {bad.stderr.strip()}") from bad


def files_of(lcov):
    """The Files of both parts in a report of lcov's format."""
    found, current = {}, None
    for line in lcov.splitlines():
        kind, _, rest = line.partition(":")
        if kind == "SF":
            name = rest.removeprefix(f"{ROOT}/")
            current = found.setdefault(name, File(name)) \
                if name.rpartition("/")[0] in PARTS else None
        elif kind == "FN" and current is not None:
            first, _, function = rest.partition(",")
            current.functions[int(first)] = function
        elif kind == "DA" and current is not None:
            number, count = map(int, rest.split(",")[:2])
            current.counts[number] = max(count, current.counts.get(number, 0))
    return [found[name] for name in sorted(found)]


def share(files):
    """(lines executed, all lines)."""
    return (sum(len(f.counts) - len(f.missed) for f in files), sum(len(f.counts) for f in files))


def without(files, uncalled):
    """The Files less the functions that the driver doesn't call, and of those the ones that fit
    none."""
    left = [File(f.name, dict(f.counts), f.functions) for f in files]
    unknown = []
    for entry in uncalled:
        fits = False
        for each in left:
            if each.name == entry.file:
                fits = _leave_out(each, entry.text) or fits
        unknown += [] if fits else [entry]
    return left, unknown


def _leave_out(file, function):
    """Take the lines of a function (`*`: of all) out of a File. False: it has none."""
    starts = sorted(file.functions)
    found = False
    for first, end in zip(starts, starts[1:] + [1 << 30]):
        name = file.functions[first].rpartition(":")[2]
        if function in ("*", name) or f"{len(function)}{function}" in name:
            found = True
            for line in [n for n in file.counts if first <= n < end]:
                del file.counts[line]
    return found


def table(files, machines):
    """Plain text: a row a file, and both parts."""
    rows = [("in-guest coverage: file", "lines", "not", "")]
    for part in PARTS:
        own = [f for f in files if f.name.rpartition("/")[0] == part]
        rows += [_row(f.name, [f]) for f in own] + [_row(f"{part}/", own)]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = [f"{a:<{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}  {d:>{widths[3]}}".rstrip()
             for a, b, c, d in rows]
    return "\n".join(lines + [f"from {machines} machines"])


def _row(name, files):
    done, every = share(files)
    return name, str(every), str(every - done), percent(done, every)


def percent(done, every):
    return f"{100 * done / every:.1f} %" if every else "-"


def percentage(part, files):
    done, every = share([f for f in files if f.name.rpartition("/")[0] == part])
    return 100 * done / every if every else 0.0


# --- lines that are listed with their reason --------------------------------------

@dataclass(frozen=True)
class Reason:
    """Why a line isn't reached: `text` is the line without blanks at its ends, or a function."""
    file: str
    text: str
    reason: str


@dataclass(frozen=True)
class Rules:
    """`least` percent of what the driver calls; at most `unlisted` lines without a reason."""
    least: float
    unlisted: int
    uncalled: list
    unreached: list


def load_rules(path=LIST):
    """The Rules of the list. Raises RigError naming what is wrong."""
    try:
        with open(path, "rb") as file:
            data = tomllib.load(file)
        uncalled, unreached = ([Reason(entry["file"], text, entry["reason"])
                                for entry in data.get(table, []) for text in entry[names]]
                               for table, names in (("uncalled", "functions"),
                                                    ("unreached", "lines")))
        return Rules(float(data["least"]), int(data["unlisted"]), uncalled, unreached)
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as bad:
        raise RigError(f"{path}: {type(bad).__name__}: {bad}") from bad


def judge(files, reasons):
    """(lines that are missed without a reason, reasons that fit no line). Lines are
    (file, number, text); a reason whose lines were all executed is none that doesn't fit."""
    known = {}
    for each in reasons:
        known.setdefault((each.file, each.text), []).append(each)
    missed, fits = [], set()
    for each in files:
        source = (ROOT / each.name).read_text().splitlines()
        for number in each.counts:
            text = source[number - 1].strip()
            if (each.name, text) in known:
                fits.add((each.name, text))
            elif each.counts[number] == 0 and not re.fullmatch(r"[{}]*;?|#define .*", text):
                missed.append((each.name, number, text))
    stale = [each[0] for key, each in known.items() if key not in fits]
    return sorted(missed), stale
