# SPDX-License-Identifier: MIT
"""A reader of Windows' crash dumps that isn't ours opens memory.dmp, and what it reads there is
what the live machine says."""

import re

import pytest

from radare import Radare, RadareDump
from test_dump import FRAME, MODULES, crashed
from vq7rig.dump import take
from vq7rig.dump.frozen import Frozen
from vq7rig.kd.debugger import Debugger

pytestmark = [pytest.mark.needs("debugger"), pytest.mark.nightly]
STOP = re.compile(r"\*\*\* STOP: 0x([0-9A-F]{8}) \(0x([0-9A-F]{16}),0x([0-9A-F]{16}),"
                  r"0x([0-9A-F]{16}),0x([0-9A-F]{16})\)")
REGISTERS = ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "rip", "r8", "r9", "r10",
             "r11", "r12", "r13", "r14", "r15")


@pytest.mark.fresh
@pytest.mark.on("one")
def test_radare2_opens_the_dump(vm, artefacts):
    """Bug check, registers, modules and stack."""
    with Radare("-") as radare:             # skips before anything crashes
        version = radare.ask("?V").strip()
    error = crashed(vm)
    live, text = vm.hmp("info registers"), str(error)
    take.explain(vm, error, artefacts)
    with Radare(artefacts / take.DUMP) as radare:
        assert "Windows NT Workstation 15.7601" in radare.ask("i"), version
        dump = RadareDump(radare)
        header = dump.header
        assert (header["MachineImageType"], header["NumberProcessors"]) == (0x8664, 1)
        bug_check = [header[f"BugCheck{name}"] for name in
                     ("Code", *(f"Parameter{number}" for number in (1, 2, 3, 4)))]
        assert bug_check == [int(each, 16) for each in STOP.search(text).groups()]
        assert bug_check[0] == error.code == 0xE2
        assert header["DirectoryTableBase"] == int(re.search("CR3=([0-9a-f]+)", live)[1], 16)
        said = dict(re.findall(r"\b([A-Z0-9]{2,3}) ?=([0-9a-f]{16})\b", live))
        for name in REGISTERS:
            assert dump.cpus[0].context[name] == int(said[name.upper()], 16), name
        # The list's head and a page of each image, as the machine has them.
        debugger = Debugger(Frozen(dump), [vm.guest])
        modules = debugger.module_list.all()
        assert sorted(each.file.lower() for each in modules) == sorted(map(str.lower, MODULES))
        assert dump.words(header["PsLoadedModuleList"], 2) == \
            words(vm, header["PsLoadedModuleList"], 2)
        for each in modules:
            assert dump.words(each.base, 64) == words(vm, each.base, 64), each.file
        loaded = {each.file.lower(): each.base for each in modules}
        printed = [loaded[name.lower()] + int(offset, 16) for name, offset in FRAME.findall(text)]
        walked = [frame.frame.rip for frame in debugger.stack()]
        at = walked.index(printed[2])       # the first two have gone on since
        assert len(printed) > 4 and walked[at:at + len(printed) - 2] == printed[2:]
        debugger.module_list.close()


def words(vm, address, count):
    """Of the live machine's virtual memory, as QEMU's monitor says."""
    said = re.findall(r"0x([0-9a-f]{16})(?!:)", vm.hmp(f"x /{count}gx {address:#x}"))
    return tuple(int(each, 16) for each in said)
