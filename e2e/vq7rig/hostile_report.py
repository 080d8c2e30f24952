# SPDX-License-Identifier: MIT
"""The tables of the hostile device's ways, and of faults of host and operator: expected and
seen, on each transport and interrupt."""

import json

from .errors import PASS, SKIP
from .report import first_line

NOTE = "hostile"            # of a test's result: rows, as JSON
FAULT = "fault"             # of a test with the mark of that name: its row, as JSON
SAME = "as expected"
COLUMNS = ("legacy msix", "legacy line", "modern msix", "modern line")


def rows_of(results):
    """The rows of all tests' notes, in order; of a test that ran twice, those of the last."""
    rows = []
    for result in results:
        rows += json.loads(result.notes.get(NOTE, "[]"))
    return rows


def note_of(mark, config):
    """The notes of a test that begins, by its mark `fault(name, expected)`."""
    if mark is None:
        return {}
    name, expected = mark.args
    return {FAULT: json.dumps({"way": name, "expected": expected, "on": _column(config)})}


def _column(config):
    """A transitional device's interface and interrupt are as the driver's settings have them."""
    settings = dict(each.split("=", 1) for each in config.settings)
    interrupt = "line" if settings.get("vq7test.MSISupported") == "0" else config.interrupt
    return f"{settings.get('vq7test.Transport', config.flavour)} {interrupt}"


def fault_rows(results):
    """A row for each test of a fault that ran."""
    rows = []
    for result in results:
        if FAULT in result.notes and result.verdict != SKIP:
            row = json.loads(result.notes[FAULT])
            row["seen"] = row["expected"] if result.verdict == PASS else \
                f"{result.verdict}: {first_line(result.attempts[-1].text)}"
            rows.append(row)
    return rows


def table(rows, title="hostile device: way"):
    """Plain text: a line a way, a column for each device it was tried on. "" without rows."""
    if not rows:
        return ""
    columns = [each for each in COLUMNS if any(row["on"] == each for row in rows)]
    columns += sorted({row["on"] for row in rows} - set(columns))
    ways = list(dict.fromkeys((row["way"], row["expected"]) for row in rows))
    lines = [[title, "expected"] + columns]
    for way, expected in ways:
        cells = [_cell([row for row in rows if row["way"] == way and row["on"] == column])
                 for column in columns]
        lines.append([way, expected] + cells)
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
            for line in lines]
    wrong = sum(row["seen"] != row["expected"] for row in rows)
    hits = [f"{sum(row['hits'] for row in rows)} requests hit"] if "hits" in rows[0] else []
    return "\n".join(text + [", ".join([f"{len(ways)} ways", f"tried {len(rows)} times", *hits,
                                        f"{wrong} not as expected"])])


def _cell(rows):
    other = [row["seen"] for row in rows if row["seen"] != row["expected"]]
    return other[0] if other else SAME if rows else ""


def write(folder, results):
    """Into the results' folder, for people and for programs. Returns the text."""
    texts = []
    for name, title, rows in (("hostile", "hostile device: way", rows_of(results)),
                              ("host-faults", "host or operator: fault", fault_rows(results))):
        text = table(rows, title)
        if text:
            (folder / f"{name}.txt").write_text(text + "\n")
            (folder / f"{name}.json").write_text(json.dumps(rows, indent=1) + "\n")
            texts.append(text)
    return "\n\n".join(texts)
