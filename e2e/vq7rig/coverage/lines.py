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
    """`counts`: line -> how often it was executed."""
    name: str
    counts: dict = field(default_factory=dict)

    @property
    def missed(self):
        return [line for line, count in sorted(self.counts.items()) if count == 0]


def measured(guest, folders, work):
    """(the Files of both parts, how many machines they come from). Raises RigError."""
    if counters.section_of(guest) is None:
        raise RigError(f"{guest / counters.IMAGE} isn't instrumented", "make coverage-e2e builds "
                       "one that is")
    work.mkdir(parents=True, exist_ok=True)
    raws, machines = [], 0
    for image in counters.IMAGES:
        section = counters.section_of(guest, image)
        sums, count = counters.total(folders, section) if section else (None, 0)
        if count:
            raws.append((guest / image, _raw(guest / image, sums, work)))
            machines += count
    if not raws:
        raise RigError(f"no counters of this driver in {', '.join(map(str, folders))}")
    merged = work / "driver.profdata"
    _tool(["llvm-profdata", "merge", "-o", str(merged), *(str(raw) for _, raw in raws)])
    first, *others = [str(image) for image, _ in raws]
    text = _tool(["llvm-cov", "export", "-format=lcov", f"-instr-profile={merged}", first,
                  *(word for other in others for word in ("-object", other))])
    return files_of(text), machines


def _raw(image, sums, work):
    """Writes the raw profile of an image; its path."""
    raw = work / f"{image.stem}.profraw"
    layout = profile.Layout(profile.description())
    raw.write_bytes(profile.raw_profile(file_image(image), sums.tobytes(), layout))
    return raw


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
        elif kind == "DA" and current is not None:
            number, count = map(int, rest.split(",")[:2])
            current.counts[number] = max(count, current.counts.get(number, 0))
    return [found[name] for name in sorted(found)]


def share(files):
    """(lines executed, all lines)."""
    return (sum(len(f.counts) - len(f.missed) for f in files), sum(len(f.counts) for f in files))


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
    """Why a line isn't reached: `text` is the line without blanks at its ends."""
    file: str
    text: str
    reason: str


@dataclass(frozen=True)
class Rules:
    """`least` percent of each part; at most `unlisted` lines without a reason."""
    least: float
    unlisted: int
    unreached: list


def load_rules(path=LIST):
    """The Rules of the list. Raises RigError naming what is wrong."""
    try:
        with open(path, "rb") as file:
            data = tomllib.load(file)
        unreached = [Reason(entry["file"], text, entry["reason"])
                     for entry in data.get("unreached", []) for text in entry["lines"]]
        return Rules(float(data["least"]), int(data["unlisted"]), unreached)
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
