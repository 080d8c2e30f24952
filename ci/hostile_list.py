# SPDX-License-Identifier: MIT
"""The list of checks of what a device says, e2e/hostile/checks/*.toml, and whether it is whole."""
import re
import tomllib

from hostile_bench import LIES, TOP, BenchError
from mutation_operators import blanked

E2E = TOP / "e2e"
FOLDER = E2E / "hostile" / "checks"
KINDS = ("way", "start", "lie", "library", "unit", "test")

# By these library and driver say that the device is at fault: each place that has one is
# listed, as a check or as none.
BLAME = re.compile(r"\b(?:STATUS_DEVICE_(?:CONFIGURATION_ERROR|DATA_ERROR|PROTOCOL_ERROR"
                   r"|DOES_NOT_EXIST|BUSY)|STATUS_(?:IO_TIMEOUT|NOT_SUPPORTED|NOT_FOUND"
                   r"|IO_DEVICE_ERROR|BUFFER_OVERFLOW)|VIRTQ_STATUS_USED_\w+|VQ7_FAILURE_\w+)\b")
# By this one the library says that a device refuses a vector; elsewhere it is memory.
VECTOR = re.compile(r"\bSTATUS_INSUFFICIENT_RESOURCES\b")
# The fast paths of the library mark what they refuse.
REFUSAL = re.compile(r"\bVIRTIO_UNLIKELY\b")
FAILURE = re.compile(r"#define (VQ7_FAILURE_\w+) (\d+) +/\*")
NAMES = re.compile(r"kFailures\[\] = \{([^}]*)\}")      # by their numbers, of the agent


def kind(check):
    return next(kind for kind in KINDS if kind in check)


def named(check):
    """The test, as the list names it."""
    return f"{kind(check)} {check[kind(check)]}"


def rows():
    """(checks, others) as they are listed."""
    checks, others = [], []
    for path in sorted(FOLDER.glob("*.toml")):
        with open(path, "rb") as file:
            listed = tomllib.load(file)
        checks += listed.get("check", [])
        others += listed.get("other", [])
    return checks, others


def load():
    """The checks. Raises BenchError where the list doesn't fit the sources or the tests."""
    checks, others = rows()
    for check in checks:
        fits(check)
    _no_name_twice(checks)
    is_whole(checks, others)
    return checks


def _no_name_twice(checks):
    names = [check["name"] for check in checks]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BenchError(f"two checks have the name '{twice[0]}'")


def fits(check):
    """Raises BenchError where its text or its test isn't there."""
    there = (TOP / check["file"]).read_text().count(check["old"])
    if there != 1:
        raise BenchError(f"'{check['name']}': {check['file']} has the text {there} times, not once")
    if sum(kind in check for kind in KINDS) != 1:
        raise BenchError(f"'{check['name']}': one of {', '.join(KINDS)} names its test")
    if not _exists(check):
        raise BenchError(f"'{check['name']}': there is no {named(check)}")


def _exists(check):
    """Whether its test does, as far as its text tells."""
    what, name = kind(check), check[kind(check)]
    first, _, rest = name.partition("::" if what == "test" else " ")
    if what in ("way", "start"):
        return f'name = "{name}"' in (E2E / "hostile" / f"{what}s.toml").read_text()
    if what == "lie":
        return first in LIES and f'Lie("{rest}"' in (E2E / "tests/test_liar.py").read_text()
    if what == "test":
        function = rf"^def {re.escape(rest.partition('[')[0])}\("
        return (E2E / first).exists() and re.search(function, (E2E / first).read_text(), re.M)
    if what == "library":
        return _has(TOP / "guest_driver" / "libtest", "*.cpp", re.escape(f'{{"{name}", '))
    suite, _, case = rest.partition(".")
    folder = TOP / "unit" / ("driver" if first.startswith("driver_") else ".")
    return _has(folder, "*_test.cpp", rf"\bTEST(_F|_P)?\({re.escape(suite)}, {re.escape(case)}\)")


def _has(folder, names, text):
    return any(re.search(text, path.read_text()) for path in folder.glob(names))


# ---- whether each place is listed ---------------------------------------------------------

def _sources():
    for folder in ("lib", "guest_driver/driver"):
        for path in sorted((TOP / folder).glob("*")):
            if path.suffix in (".cpp", ".h"):
                yield path


def _end(code, start, least):
    """Where the statement ends that begins at `start`, and goes on to `least` at least."""
    depth = 0
    for at in range(start, len(code)):
        depth += (code[at] == "{") - (code[at] == "}")
        if at + 1 >= least and (depth < 0 or depth == 0 and code[at] in ";}"):
            return at + 1
    return len(code)


def _spans(path, checks, others):
    """(start, end) of what the list names of a source."""
    source = path.read_text()
    code, name = blanked(source), str(path.relative_to(TOP))
    texts = [check["old"] for check in checks if check["file"] == name]
    for other in others:
        if name.startswith(other["file"]):
            texts += other["at"]
    for text in texts:
        for found in re.finditer(re.escape(text), source):
            yield found.start(), _end(code, found.start(), found.end())


def _unlisted(path, checks, others):
    """The places of a source where a device is blamed, and that no entry names."""
    source = path.read_text()
    code, spans = blanked(source), list(_spans(path, checks, others))
    words = [BLAME, REFUSAL] + [VECTOR] * path.name.startswith("virtio_pci_")
    for found in [each for word in words for each in word.finditer(code)]:
        if not any(start <= found.start() < end for start, end in spans):
            line = source.count("\n", 0, found.start()) + 1
            yield f"{path.relative_to(TOP)}:{line}: {found.group()}"


def _stale(others):
    """Texts of `other` entries that are in no source."""
    texts = {str(path.relative_to(TOP)): path.read_text() for path in _sources()}
    for other in others:
        for at in other["at"]:
            if not any(at in text for name, text in texts.items()
                       if name.startswith(other["file"])):
                yield f"{other['file']} has no '{at}' any more"


def _failures():
    """{VQ7_FAILURE_*: what the agent calls it} of the driver's."""
    agent = (TOP / "guest_driver/agent/core/commands_stats.cpp").read_text()
    names = re.findall(r'"([^"]*)"', NAMES.search(agent)[1])
    header = (TOP / "guest_driver/driver/vq7_ioctl.h").read_text()
    return {name: names[int(number)] for name, number in FAILURE.findall(header)}


def _unprovoked(checks, others):
    """Failures of the driver's that no entry is about, and ways that end with another one."""
    named = {name for other in others for name in other.get("failures", ())}
    named.update(check.get("failure") for check in checks)
    failures = _failures()
    yield from (f"{name}: no check has it as its `failure`" for name in failures
                if name not in named)
    with open(E2E / "hostile" / "ways.toml", "rb") as file:
        ways = {way["name"]: way["expect"] for way in tomllib.load(file)["way"]}
    for check in checks:
        if "failure" in check and "way" in check:
            seen = ways[check["way"]] + check.get("says", "")
            if failures[check["failure"]] not in seen:
                yield f"'{check['name']}': its way has no {check['failure']}"


def is_whole(checks, others):
    """Raises BenchError naming what isn't listed, and what is and is gone."""
    missing = [*_stale(others), *_unprovoked(checks, others)]
    for path in _sources():
        if path.suffix == ".cpp" or path.name == "virtqueue_split_private.h":
            missing += _unlisted(path, checks, others)
    if missing:
        raise BenchError("e2e/hostile/checks must list each place where a device is blamed, as a "
                         "check, or as an `other` with the reason:\n  " + "\n  ".join(missing))
