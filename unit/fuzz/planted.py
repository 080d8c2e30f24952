#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Do the fuzzers find bugs? Plants one after the other in a copy of lib/.

    unit/fuzz/planted.py BUILD [--limit S] [--only NAME] [--afl] [--seed N]
    unit/fuzz/planted.py --check        only whether each can be planted

BUILD is the folder where CMake has built the fuzzers (build/unit/unit/fuzz). Each
bug is one change of one place; the fuzzer starts without a corpus and has S
seconds (default 60) to end with a crash. Prints a table of how long it took.
--afl asks AFL++ the same, about the bugs of the queue's first four lines.

Exit status: 0 all found, 1 some not, 2 wrong use, 3 a bug cannot be planted, since
the text that it replaces is not in the source any more: change it here too.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
LIB = HERE.parent.parent / "lib"
PRIVATE = "virtqueue_split_private.h"
# As in CMakeLists.txt.
FLAGS = ["-std=c++20", "-O2", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
COVERAGE = ["-fsanitize=fuzzer-no-link", "-fno-sanitize-coverage=trace-cmp,indirect-calls",
            "-fno-sanitize=pointer-overflow"]
MAX_LEN = {"virtqueue_split": 196, "virtio_sg_pfn": 274, "virtio_pci": 272}

# (name, harness, file, text that is there once, what it becomes)
BUGS = [
    ("used id in range: off by one", "virtqueue_split", PRIVATE, "*id > mask", "*id > mask + 1u"),
    ("used id in flight: not checked", "virtqueue_split", PRIVATE,
     "chain->state != VIRTQ_CHAIN_IN_FLIGHT", "FALSE"),
    ("used length: not checked", "virtqueue_split", PRIVATE, "*len > chain->writable", "FALSE"),
    ("free list: the chain's tail is lost", "virtqueue_split", PRIVATE,
     "vq->chains[chain->last].next = vq->free_head;", "chain->next = vq->free_head;"),
    ("indirect table: not given back", "virtqueue_split", PRIVATE, "vq->indirect_num_free++;", ""),
    ("used length: cut to one too many", "virtqueue_split", PRIVATE,
     "*len = chain->writable;", "*len = chain->writable + 1;"),
    ("used->idx ahead: not checked", "virtqueue_split", "virtqueue_split.cpp",
     "if (VIRTIO_UNLIKELY(waiting > VirtqInFlight(vq))) {", "if (FALSE) {"),
    ("completed chain: still in flight", "virtqueue_split", "virtqueue_split.cpp",
     "(UINT16)id, VIRTQ_CHAIN_DONE);", "(UINT16)id, VIRTQ_CHAIN_IN_FLIGHT);"),
    ("avail->idx: read back from the ring", "virtqueue_split", "virtqueue_split.cpp",
     "const UINT16 avail_idx = vq->avail_idx;", "const UINT16 avail_idx = vq->avail->idx;"),
    ("kick: event passed one too late", "virtqueue_split", "virtqueue_split.cpp",
     "VirtqNeedEvent(event, avail_idx,", "VirtqNeedEvent(event, (UINT16)(avail_idx - 1),"),
    ("refused publish batch: half of it stays", "virtqueue_split", "virtqueue_split_batch.cpp",
     "chains[heads[i]].state = VIRTQ_CHAIN_ADDED;", ""),
    ("indirect table: longer than it is", "virtqueue_split", "virtqueue_split_add.cpp",
     "sg_count > vq->indirect_threshold && sg_count <= vq->indirect_max_desc &&",
     "sg_count > vq->indirect_threshold &&"),
    ("segment: may pass the end of memory", "virtqueue_split", "virtqueue_split_add.cpp",
     "sg->addr + sg->len != 0));", "FALSE));"),
    ("detach: forgets what was not published", "virtqueue_split", "virtqueue_split_detach.cpp",
     "chain->state != VIRTQ_CHAIN_ADDED && ", ""),
    ("reset: interrupts stay off", "virtqueue_split", "virtqueue_split_setup.cpp",
     "vq->follow = vq->event_idx ?", "vq->follow = FALSE ?"),
    ("submit of one: a slot too far", "virtqueue_split", "virtqueue_split_add.cpp",
     "Place(vq, VirtqAvailRing(avail), pair >> 16, head);",
     "Place(vq, VirtqAvailRing(avail), (pair >> 16) + 1, head);"),
    ("submit of one: the kick forgets others", "virtqueue_split", "virtqueue_split_add.cpp",
     "VirtqAdvanceAvail(vq, avail, pair, 1);",
     "VirtqAdvanceAvail(vq, avail, pair & 0xFFFF0000u, 1);"),
    ("submit of many: slot not advanced", "virtqueue_split", "virtqueue_split_add.cpp",
     "Place(vq, ring, slot, head);", "Place(vq, ring, pair >> 16, head);"),
    ("submit of many: a slot behind them too", "virtqueue_split", "virtqueue_split_add.cpp",
     "Place(vq, ring, slot, head);",
     "Place(vq, ring, slot, head); Place(vq, ring, slot + 1, head);"),
    ("submit of some: not published", "virtqueue_split", "virtqueue_split_add.cpp",
     "if (submitted != 0) {", "if (submitted == count) {"),
    ("kick in one: num_added not settled", "virtqueue_split", "virtqueue_split.cpp",
     "VirtioStorePair16(&vq->num_added, pair & 0xFFFF0000u);", ""),
    ("kick in one: still full", "virtqueue_split", "virtqueue_split.cpp",
     "    vq->was_full = VIRTQ_FULL_NOT;\n    VirtioStorePair16(&vq->num_added",
     "    VirtioStorePair16(&vq->num_added"),
    ("enable: forgets that something was waiting", "virtqueue_split",
     "virtqueue_split_private.h", "waiting != 0 ? VIRTQ_SEEN_WAITING : VIRTQ_SEEN_NOTHING",
     "VIRTQ_SEEN_NOTHING"),
    ("kick: settles what was refused since", "virtqueue_split", "virtqueue_split.cpp",
     "if (VIRTIO_UNLIKELY(vq->was_full == VIRTQ_FULL_PREPARED)) {", "if (TRUE) {"),
    ("batch of one: used_event stays behind", "virtqueue_split", "virtqueue_split_batch.cpp",
     "VirtqAdvanceUsed(vq, (UINT16)(used_idx + 1));",
     "vq->last_used_idx = (UINT16)(used_idx + 1);"),
    ("batch of many: table not given back", "virtqueue_split", "virtqueue_split_batch.cpp",
     "VirtqFreeTable(vq, chain->table);", ""),
    ("pages joined across the end of memory", "virtio_sg_pfn", "virtio_sg_pfn.cpp",
     "addr == addr_ + len_ && addr != 0", "addr == addr_ + len_"),
    ("page number: not checked", "virtio_sg_pfn", "virtio_sg_pfn.cpp", "pfn > PFN_MAX", "FALSE"),
    ("segments: one more than there is room", "virtio_sg_pfn", "virtio_sg_pfn.cpp",
     "if (count_ <= cap_) {", "if (count_ <= cap_ + 1) {"),
    ("capability list: a loop is walked", "virtio_pci", "virtio_pci_caps.cpp",
     "seen++ == MaxCapabilities", "FALSE"),
    ("structure: may pass the end of its BAR", "virtio_pci", "virtio_pci_caps.cpp",
     "cap->length > bar_length - cap->offset", "FALSE"),
    ("notify offset: its second byte outside", "virtio_pci", "virtio_pci_modern.cpp",
     "at + 2 > device->notify.length", "at + 1 > device->notify.length"),
    ("device configuration: end not checked", "virtio_pci", "virtio_pci.cpp",
     "length <= device->config.length - offset", "length <= device->config.length"),
    ("FEATURES_OK: not read again", "virtio_pci", "virtio_pci.cpp",
     "device->modern && (status & VIRTIO_STATUS_FEATURES_OK) == 0", "FALSE"),
    ("FEATURES_OK: of a device that is gone", "virtio_pci", "virtio_pci.cpp",
     "status = device->ops->GetStatus(device);\n    if (status == AllOnes)",
     "status = device->ops->GetStatus(device);\n    if (FALSE)"),
]


class NotPlanted(Exception):
    pass


def planted(bug):
    """The text of the bug's file with the bug in it."""
    name, _, file, old, new = bug
    text = (LIB / file).read_text()
    if text.count(old) != 1:
        raise NotPlanted(f"{name}: lib/{file} holds {text.count(old)} times, not once: {old}")
    return text.replace(old, new)


def check():
    stale = 0
    for bug in BUGS:
        try:
            planted(bug)
        except NotPlanted as error:
            print(f"planted: {error}", file=sys.stderr)
            stale += 1
    return 3 if stale else 0


def plant(bug, folder):
    """A copy of lib/ in `folder` with the bug; gives the sources to compile anew."""
    file = bug[2]
    shutil.copytree(LIB, folder)
    path = folder / file
    path.write_text(planted(bug))
    return sorted(folder.glob("virt*.cpp")) if file.endswith(".h") else [path]


def run(command, **more):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, **more)
    if done.returncode != 0:
        print(done.stderr[-2000:], file=sys.stderr)
        raise SystemExit(2)


def build(compiler, flags, sources, lib, objects, out, more):
    """Links what was built before, but for the sources that are new."""
    own = {}
    for source in sources:
        own[source.stem] = out.parent / (source.stem + ".o")
        run([compiler, *FLAGS, *flags, "-I", lib, "-c", source, "-o", own[source.stem]])
    kept = [o for o in sorted(objects.glob("*.o")) if o.stem not in own]
    run([compiler, *FLAGS[3:], *more, *kept, *own.values(), "-o", out])


def fuzz(bug, args, work):
    """(found, seconds, executions, what was said)"""
    name = bug[1]
    lib, out = work / "lib", work / f"{name}_fuzz"
    sources = plant(bug, lib)
    harness = sorted((args.build / name).glob("*.o"))
    build("clang++", COVERAGE, sources, lib, args.build / "lib", out,
          ["-fsanitize=fuzzer", *harness])
    (work / "corpus").mkdir()
    start = time.monotonic()
    done = subprocess.run(
        [str(out), f"-max_total_time={args.limit}", f"-max_len={MAX_LEN[name]}", "-entropic=0",
         "-timeout=10", f"-seed={args.seed}", "-print_final_stats=1",
         f"-artifact_prefix={work}/", str(work / "corpus")],
        capture_output=True, text=True, errors="replace")
    seconds = time.monotonic() - start
    count = re.search(r"number_of_executed_units: *(\d+)", done.stderr)
    said = re.search(r"(property broken: .*|ERROR: AddressSanitizer: [\w-]+|runtime error: .*)",
                     done.stderr)
    return (done.returncode != 0 and said is not None, seconds,
            int(count.group(1)) if count else 0, said.group(1) if said else "")


def fuzz_with_afl(bug, args, work):
    name = bug[1]
    lib = work / "lib"
    sources = plant(bug, lib)
    harness = args.build / f"afl.{name}" / f"{name}_fuzz.o"
    build("afl-clang-fast++", [], sources, lib, args.build / "afl", work / f"{name}_afl", [harness])
    shutil.copy(args.build / f"{name}_afl.so", work)
    seeds = work / "seeds"
    seeds.mkdir()
    (seeds / "none").write_bytes(b"\0")
    start = time.monotonic()
    done = subprocess.run(
        [str(HERE / "afl.sh"), name, str(work), str(args.limit), str(MAX_LEN[name]), str(seeds)],
        capture_output=True, text=True, errors="replace",
        env={**os.environ, "AFL_BENCH_UNTIL_CRASH": "1"})
    count = re.search(r"(\d+) executions", done.stdout)
    return (done.returncode == 1, time.monotonic() - start, int(count.group(1)) if count else 0,
            "a crash saved" if done.returncode == 1 else done.stderr[-200:])


def main():
    parser = argparse.ArgumentParser(description="Plants bugs in a copy of lib/ and fuzzes it.")
    parser.add_argument("build", type=pathlib.Path, nargs="?")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--limit", type=int, default=60)
    parser.add_argument("--only", default="")
    parser.add_argument("--afl", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if args.check:
        return check()
    if args.build is None:
        parser.error("which folder has the fuzzers? (build/unit/unit/fuzz)")
    args.build = args.build.resolve()
    if not (args.build / "lib").is_dir():
        parser.error(f"no fuzzers in {args.build}: build them first (make unit)")
    os.environ["AFL_QUIET"] = "1"
    missed = 0
    for bug in BUGS[:4] if args.afl else BUGS:
        if args.only not in bug[0]:
            continue
        with tempfile.TemporaryDirectory() as work:
            try:
                found, seconds, count, said = (fuzz_with_afl if args.afl else fuzz)(
                    bug, args, pathlib.Path(work))
            except NotPlanted as error:
                print(f"planted: {error}", file=sys.stderr)
                return 3
        missed += not found
        verdict = f"{seconds:5.1f} s" if found else "NOT FOUND"
        print(f"{bug[1]:16} {bug[0]:42} {verdict:9} {count:9} executions  {said}", flush=True)
    if missed:
        print(f"planted: {missed} bugs not found", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
