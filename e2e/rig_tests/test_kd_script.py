# SPDX-License-Identifier: MIT
"""Scripts of WinDbg's language at our prompt, and the one that shows a queue."""

import pathlib

import pytest

from test_kd_types import (BASE, built, debugger, memory, pytestmark, queue,     # noqa: F401
                           types)
from vq7rig.errors import UsageError
from vq7rig.kd import script, shell
from vq7rig.kd.shell import Shell

VIRTQ = pathlib.Path(shell.__file__).with_name("virtq.wds")


@pytest.fixture
def prompt(debugger, monkeypatch, capsys):       # noqa: F811
    """prompt(line) is what is said to it."""
    class Stdin:
        isatty, fileno = staticmethod(lambda: False), staticmethod(lambda: 0)

    monkeypatch.setattr("sys.stdin", Stdin)
    made = Shell(debugger)
    made._interrupts.asked = False

    def say(line):
        made._line(line)
        return capsys.readouterr().out

    return say


@pytest.mark.parametrize("line, said", [
    ('.printf "%d %x %u|%p|%%|%5d|%-3x|%c\\n", 0n10, 1f, 5, fffff80000001234, 7, a, 41',
     "10 1f 5|fffff800`00001234|%|    7|a  |A\n"),
    ('.printf "%d %I64x %08x", ffffffff, 1234567890, 5', "-1 1234567890 00000005"),
    ("r $t0 = 5; r $t1 = @$t0 * 2; ? @$t1", "Evaluate expression: 10 = 00000000`0000000a\n"),
    (".for (r $t0 = 0; @$t0 < 3; r $t0 = @$t0 + 1) { .printf \"%d;\", @$t0 }", "0;1;2;"),
    ("r $t0 = 0; .while (@$t0 < 2) { r $t0 = @$t0 + 1; .printf \"x\" }", "xx"),
    ('.if (1 == 2) { .printf "a" } .elsif (2 == 2) { .printf "b" } .else { .printf "c" }', "b"),
    ('.if (0) { .printf "a" } .else { .printf "}" }', "}"),
    ('$$ a comment; .printf "shown"', "shown"), ("* a comment; .printf", ""),
    ('r $t3 = 2; r $t3', "$t3=2\n"),
])
def test_language(prompt, line, said):
    assert prompt(line) == said


@pytest.mark.parametrize("line, words", [
    (".if 1 { }", "a condition in parentheses is missing"), (".if (1) x", "a { is missing"),
    (".for (1; 2) { }", ".for (first; condition; step)"),
    (".while (1) { r $t0 = 1", "isn't closed"),
    ('.printf "%d"', "nothing is given for %d"), (".printf x", '.printf "format"'),
    ('.printf "%q", 1', "%q isn't known here"), ("$$>a<nowhere.wds", "No such file"),
    (".while (1) { r $t0 = 1 }", "the loop was left after"), ("$$; what", "unknown command 'what'"),
])
def test_language_that_is_none(prompt, monkeypatch, line, words):
    monkeypatch.setattr(script, "LIMIT", 10)
    assert words in prompt(line)


def test_arguments_of_a_script(prompt, tmp_path):
    (tmp_path / "x.wds").write_text("$$ SPDX\nr $t0 = ${$arg1}\n.if (@$t0 > 1) {\n"
                                    '    .printf "%d", ${$arg2}\n} .else {\n.printf "no"\n}\n')
    assert prompt(f"$$>a<{tmp_path}/x.wds 2 0n13") == "13"
    assert prompt(f"$$>a<{tmp_path}/x.wds 1 0n13") == "no"
    assert "the script wants an argument 2" in prompt(f"$$>a<{tmp_path}/x.wds 1")


def test_queue_by_the_script(prompt, types, memory):                    # noqa: F811
    """The same as !virtq says, of the same memory."""
    queue(types, memory)
    assert prompt(f"$$>a<{VIRTQ} {BASE:x}").splitlines() == [
        "VIRTQ_SPLIT ffff8000`00001000: size 4, 2 free, 1 in flight",
        "  avail idx: driver 1, ring 1", "  used idx:  driver 0, ring 1, 1 waiting",
        "  flags: avail 0, used 0", "  used_event 7, avail_event 5", "  free list: 2 3",
        "  used[0]: head 0, 513 bytes",
        "  head 0 in flight: 2 descriptor(s), cookie 00000000`00000aa0",
        "    desc[0]: 00000000`00001000 16 bytes, flags 1, next 1",
        "    desc[1]: 00000000`00002000 513 bytes, flags 2, next 0"]
    split = types.named("_VIRTQ_SPLIT")
    memory.put(BASE + split["broken_status"].offset, "<I", 0xC000000D)
    assert "  BROKEN, status c000000d\n" in prompt(f"$$>a<{VIRTQ} {BASE:x}")
    memory.put(BASE, "<H", 0)
    assert prompt(f"$$>a<{VIRTQ} {BASE:x}") == "no queue: size 0\n"


def test_script_keeps_to_what_windbg_reads():
    """$$>a< makes one line of it: a comment ends at the first semicolon, wherever that is, and
    a brace stands where its command does."""
    for line in VIRTQ.read_text().splitlines():
        text = line.strip()
        if text.startswith("$$"):
            assert ";" not in text and '"' not in text
        else:
            assert text.count('"') % 2 == 0 and not text.startswith(("{", ".else"))


def test_endless_script_is_left_by_ctrl_c(debugger):                    # noqa: F811
    asked = []
    with pytest.raises(UsageError, match="left after 1 rounds"):
        script.execute(script.parse(".while (1) { x }"), asked.append, lambda _: 1,
                       lambda: not asked)
