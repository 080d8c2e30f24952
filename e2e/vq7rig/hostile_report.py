# SPDX-License-Identifier: MIT
"""The table of the hostile device's ways: expected and seen, on each transport and interrupt."""

import json

NOTE = "hostile"            # of a test's result: rows, as JSON
SAME = "as expected"
COLUMNS = ("legacy msix", "legacy line", "modern msix", "modern line")


def rows_of(results):
    """The rows of all tests' notes, in order; of a test that ran twice, those of the last."""
    rows = []
    for result in results:
        rows += json.loads(result.notes.get(NOTE, "[]"))
    return rows


def table(rows):
    """Plain text: a line a way, a column for each device it was tried on. "" without rows."""
    if not rows:
        return ""
    columns = [each for each in COLUMNS if any(row["on"] == each for row in rows)]
    columns += sorted({row["on"] for row in rows} - set(columns))
    ways = list(dict.fromkeys((row["way"], row["expected"]) for row in rows))
    lines = [["hostile device: way", "expected"] + columns]
    for way, expected in ways:
        cells = [_cell([row for row in rows if row["way"] == way and row["on"] == column])
                 for column in columns]
        lines.append([way, expected] + cells)
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
            for line in lines]
    wrong = sum(row["seen"] != row["expected"] for row in rows)
    return "\n".join(text + [f"{len(ways)} ways, tried {len(rows)} times, "
                             f"{sum(row['hits'] for row in rows)} requests hit, "
                             f"{wrong} not as expected"])


def _cell(rows):
    other = [row["seen"] for row in rows if row["seen"] != row["expected"]]
    return other[0] if other else SAME if rows else ""


def write(folder, results):
    """Into the results' folder, for people and for programs. Returns the text."""
    rows = rows_of(results)
    text = table(rows)
    if text:
        (folder / "hostile.txt").write_text(text + "\n")
        (folder / "hostile.json").write_text(json.dumps(rows, indent=1) + "\n")
    return text
