# SPDX-License-Identifier: MIT
"""Results: the record of a run, JUnit XML, and the table at the end."""

import hashlib
import subprocess
import xml.etree.ElementTree as ET
from dataclasses import asdict, dataclass, field

from .errors import CRASH, FAIL, HANG, PASS, RIG, SEVERITY, SKIP, worst
from .paths import GUEST_FILES, ROOT

SHORT = {PASS: "pass", FAIL: "FAIL", CRASH: "CRASH", HANG: "HANG", RIG: "RIG", SKIP: "skip"}
WIDTH = 100


@dataclass
class Attempt:
    """One run of a test."""
    verdict: str
    seconds: float
    text: str = ""


@dataclass
class Result:
    """A test, with all attempts; the last one counts."""
    nodeid: str
    test: str
    column: str             # machine and flavour, or "-"
    config: str = ""
    attempts: list = field(default_factory=list)
    notes: dict = field(default_factory=dict)
    folder: str = ""

    def plain(self):
        """Of plain types, as is sent from one process to another; of_plain() makes it whole."""
        return {**asdict(self), "notes": {name: str(v) for name, v in self.notes.items()}}

    @classmethod
    def of_plain(cls, fields):
        attempts = [Attempt(**each) for each in fields["attempts"]]
        return cls(**{**fields, "attempts": attempts})

    @property
    def verdict(self):
        return self.attempts[-1].verdict

    @property
    def seconds(self):
        return sum(attempt.seconds for attempt in self.attempts)


def provenance(guest):
    """What was tested: commit and hashes of the guest's files."""
    facts = {}
    try:
        git = ["git", "-C", str(ROOT)]
        commit = subprocess.run(git + ["rev-parse", "HEAD"], capture_output=True, text=True,
                                check=True, timeout=10).stdout.strip()
        changed = subprocess.run(git + ["status", "--porcelain", "-uno"], capture_output=True,
                                 text=True, check=True, timeout=10).stdout.strip()
        facts["commit"] = commit + (" with changes" if changed else "")
    except (OSError, subprocess.SubprocessError):
        facts["commit"] = "unknown (no git)"
    for name in GUEST_FILES:
        path = guest / name
        if path.exists():
            facts[f"sha256 {name}"] = hashlib.sha256(path.read_bytes()).hexdigest()
    return facts


def _clean(text):
    """Text that XML 1.0 can hold."""
    return "".join(c if c in "\t\n" or 32 <= ord(c) < 0xD800 or 0xE000 <= ord(c) < 0xFFFE
                   else "?" for c in text)


def write_junit(path, results, facts, seconds):
    """JUnit XML: failures for what the guest did, errors for what the rig did."""
    count = {v: sum(r.verdict == v for r in results) for v in SEVERITY}
    suite = ET.Element("testsuite", {
        "name": "vq7 e2e", "tests": str(len(results)), "time": f"{seconds:.3f}",
        "failures": str(count[FAIL] + count[CRASH] + count[HANG]),
        "errors": str(count[RIG]), "skipped": str(count[SKIP])})
    _properties(suite, facts)
    for result in results:
        module, _, name = result.nodeid.partition("::")
        case = ET.SubElement(suite, "testcase", {
            "classname": module.removesuffix(".py").replace("/", "."), "name": name,
            "time": f"{result.seconds:.3f}"})
        _properties(case, {"verdict": result.verdict, "machine": result.config,
                           "attempts": str(len(result.attempts)), "logs": result.folder,
                           **result.notes})
        last = result.attempts[-1]
        tag = {PASS: None, SKIP: "skipped", RIG: "error"}.get(last.verdict, "failure")
        if tag:
            node = ET.SubElement(case, tag, {
                "type": last.verdict, "message": _clean(first_line(last.text))})
            node.text = _clean(last.text)
        for number, attempt in enumerate(result.attempts[:-1], 1):
            node = ET.SubElement(case, "system-err")
            node.text = _clean(f"attempt {number}: {attempt.verdict}\n{attempt.text}")
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _properties(parent, facts):
    node = ET.SubElement(parent, "properties")
    for name, value in facts.items():
        ET.SubElement(node, "property", {"name": name, "value": _clean(str(value))})


def first_line(text):
    """The line of a failure's text that says most: the exception's message."""
    last = text.rpartition("\nThe above exception was the direct cause of")[2]
    lines = [line for line in last.splitlines() if line.strip()]
    errors = [line[1:].strip() for line in lines if line.startswith("E ")]
    return (errors or lines or [""])[0][:300]


def table(results, boot_times):
    """The table: a row a test, a column a machine; verdict and seconds.

    The head has two lines, machine and flavour, so that seven columns fit in one screen.
    The column `-` is for tests that make machines of their own.
    """
    columns = sorted({r.column for r in results}, key=_column_order)
    rows = list(dict.fromkeys(r.test for r in results))
    cell_width = max(10, min(16, (WIDTH - 34) // max(1, len(columns)) - 1))
    name_width = min(34, WIDTH - (cell_width + 1) * len(columns))

    def line(name, cells):
        text = name[:name_width - 1].ljust(name_width)
        return (text + "".join(" " + cell.rjust(cell_width) for cell in cells)).rstrip()

    heads = [c.replace("transitional", "trans").partition("-") for c in columns]
    lines = [line("test", [machine or "-" for machine, _, _ in heads]),
             line("", [flavour for _, _, flavour in heads])]
    for row in rows:
        lines.append(line(row, [_cell([r for r in results if r.test == row and r.column == c])
                                for c in columns]))
    if boot_times:
        cells = []
        for column in columns:
            times = [t for name, ts in boot_times.items() for t in ts
                     if name == column or name.startswith(column + "-")]
            cells.append(f"{min(times)}-{max(times)}" if times else "")
        lines.append(line("start to prompt, ms", cells))
    return "\n".join(lines)


def _column_order(column):
    machine, _, flavour = column.partition("-")
    known = ("legacy", "transitional", "modern")
    return (not machine, machine != "pc", machine, known.index(flavour) if flavour in known else 9)


def _cell(results):
    if not results:
        return ""
    verdict = worst(r.verdict for r in results)
    retried = "*" if any(len(r.attempts) > 1 for r in results) else ""
    return f"{SHORT[verdict]}{retried} {sum(r.seconds for r in results):.1f}"


def _reasons(results):
    """Why tests were skipped -> how many."""
    found = {}
    for result in results:
        if result.verdict == SKIP:
            why = first_line(result.attempts[-1].text).removeprefix("Skipped: ")
            found[why] = found.get(why, 0) + 1
    return found


def summary(results, seconds):
    """One line: how many of each verdict."""
    parts = [f"{sum(r.verdict == v for r in results)} {v}" for v in SEVERITY
             if any(r.verdict == v for r in results)]
    retried = [r for r in results if len(r.attempts) > 1]
    text = f"{len(results)} tests: {', '.join(parts) or 'none ran'}, in {seconds:.1f} s"
    for reason, count in _reasons(results).items():
        text += f"\n{count} skipped: {reason}"
    for result in retried:
        text += (f"\n* {result.nodeid}: {len(result.attempts)} attempts: "
                 + ", then ".join(f"{a.verdict} ({first_line(a.text)})" if a.text else a.verdict
                                  for a in result.attempts))
    return text
