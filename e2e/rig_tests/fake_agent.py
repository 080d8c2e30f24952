# SPDX-License-Identifier: MIT
"""A guest agent in Python, for tests of the rig that need no machine.

It speaks docs/console-protocol.md on a socket and works on a disk image. Faults
of a guest are switched on by name: see FAULTS.
"""

import dataclasses
import os
import socket
import threading
import time
import zlib

from vq7rig import features, pattern, workload
from vq7rig.frames import parse_fields, seal, unseal
from vq7rig.pattern import SECTOR

FAULTS = {
    "silent": "says nothing at all",
    "hang": "never answers a command",
    "busy": "blk run never ends, but the agent lives",
    "lost_write": "blk run leaves out its last write",
    "wrong_data": "blk write puts another generation on the disk",
    "restart": "restarts in the middle of blk flush",
    "timeout": "gives up a request that its device doesn't complete",
    "stop": "stops with a bug check in blk flush",
    "no_messages": "its device gets its line, whatever it offers",
    "no_unload": "can't unload the driver",
    "no_device": "sees no device",
    "stray": "writes to a sector nobody asked for",
}

OWN = {"UNKNOWN_COMMAND": 0xE0070001, "BAD_ARGUMENT": 0xE0070002, "NO_DEVICE": 0xE0070003,
       "MISCOMPARE": 0xE0070004, "WORKLOAD_FAILED": 0xE0070005, "SEQUENCE_REUSED": 0xE0070007,
       "STATUS_IO_DEVICE_ERROR": 0xC0000185, "REQUEST_LOST": 0xE007000A,
       "STATUS_MEDIA_WRITE_PROTECTED": 0xC00000A2, "NOT_SUPPORTED": 0xE0070008}


class Refused(Exception):
    def __init__(self, name, msg, lines=()):
        super().__init__(msg)
        self.name, self.lines = name, list(lines)


class Stopped(Exception):
    """The guest is gone until it is started again."""


class FakeAgent:
    """Runs in a thread of its own; `host_end` is the rig's end of the serial line."""

    def __init__(self, config, image=None, capacity=2048, faults=()):
        unknown = set(faults) - set(FAULTS)
        assert not unknown, unknown
        self.config, self.image, self.capacity, self.faults = config, image, capacity, set(faults)
        self.host_end, self._end = socket.socketpair()
        self.executed = []              # framed commands, in the order of execution
        self.on_power = lambda what: None
        self._boot, self._last, self.loaded, self._buffer = 0, None, True, b""
        self._stats = {}

    def start(self):
        threading.Thread(target=self._main, daemon=True).start()

    def stop(self):
        for end in (self._end, self.host_end):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self._end.close()

    # --- serial line -------------------------------------------------------

    def put(self, text):
        self._end.sendall(text.encode("ascii"))

    def _frame(self, text):
        self.put(seal(text) + "\r\n")

    def hello(self):
        self._boot += 1
        self._last = None
        self.loaded = self.facts()[2] in ("legacy", "modern", "auto")
        self._stats = dict.fromkeys(("submitted", "interrupts", "notifications", "suppressed"), 0)
        self.put("SeaBIOS\r\nvq7agent 1 fake x64, 1 device\r\n")
        self._frame(f"@0 hello version=1 guest=fake arch=x64 boot={self._boot:08x} devices=1")
        self.put("vq7> ")

    def _main(self):
        try:
            if "silent" in self.faults:
                return
            self.hello()
            while True:
                data = self._end.recv(65536)
                if not data:
                    return
                self._buffer += data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
                while b"\n" in self._buffer:
                    line, self._buffer = self._buffer.split(b"\n", 1)
                    self._handle(line.decode("ascii", "replace"))
        except (OSError, Stopped):
            pass

    def _handle(self, line):
        if not line.startswith("@"):
            self._typed(line)
            return
        text = unseal(line)
        head, _, command = (text or "").partition(" ")
        if text is None or not head[1:].isdigit() or not 0 < int(head[1:]) < 1 << 32:
            self._frame("@0 damaged")
            return
        seq = int(head[1:])
        if self._last and self._last[0] == seq:
            if self._last[1] == command:
                self.put(self._last[2])
            else:
                self.put(self._error(seq, Refused("SEQUENCE_REUSED", "another text")))
            return
        if "hang" in self.faults:
            return
        self.executed.append(command)
        self._seq = seq
        try:
            ok, lines = self._execute(command)
            answer = self._data(seq, lines) + seal(
                f"@{seq} ok lines={len(lines)}"
                + "".join(f" {k}={v}" for k, v in ok.items())) + "\r\n"
        except Refused as bad:
            answer = self._error(seq, bad)
        self._last = (seq, command, answer)
        self.put(answer)
        if command in ("reset", "poweroff"):
            self.on_power(command)

    def _data(self, seq, lines):
        return "".join(seal(f"@{seq} #{n} {line}") + "\r\n" for n, line in enumerate(lines, 1))

    def _error(self, seq, bad):
        msg = str(bad).replace("\\", "\\\\").replace('"', '\\"')
        return self._data(seq, bad.lines) + seal(
            f"@{seq} error lines={len(bad.lines)} status=0x{OWN[bad.name]:08x} name={bad.name} "
            f'msg="{msg}"') + "\r\n"

    def _typed(self, line):
        self.put(line + "\r\n")
        try:
            ok, lines = self._execute(line)
            lines = [each[:8] + "  " + bytes.fromhex(each[9:]).hex(" ")
                     if line.startswith("blk read") else each for each in lines]
            text = "".join(each + "\r\n" for each in lines)
            self.put(text + "ok" + "".join(f" {k}={v}" for k, v in ok.items()) + "\r\n")
        except Refused as bad:
            self.put(f"error: {bad} ({bad.name}, 0x{OWN[bad.name]:08x})\r\n")
        self.put("vq7> ")

    # --- commands ----------------------------------------------------------

    def _execute(self, command):
        words = command.split()
        options = {}
        while words and "=" in words[-1]:
            options.update(parse_fields(words.pop()))
        dev = int(options.pop("dev", "0"), 0)
        for size in (2, 1):
            method = getattr(self, "do_" + "_".join(words[:size]), None)
            if method:
                needs_device = words[0] in ("blk", "queues", "stats")
                if needs_device and (not self.loaded or dev != 0):
                    raise Refused("NO_DEVICE", f"no device {dev}")
                try:
                    return method(*(int(w, 0) for w in words[size:]), **options)
                except (TypeError, ValueError) as bad:
                    raise Refused("BAD_ARGUMENT", str(bad)) from bad
        raise Refused("UNKNOWN_COMMAND", f"no command {command!r}; try help")

    def do_help(self):
        return {}, [name[3:].replace("_", " ") for name in dir(self) if name.startswith("do_")]

    def do_info(self):
        return {"version": 1, "guest": "fake", "arch": "x64", "boot": f"{self._boot:08x}",
                "uptime_ms": 1, "devices": 1,
                "driver": "loaded" if self.loaded else "unloaded"}, []

    def facts(self):
        """Transport, offered and accepted features of the device."""
        asked = dict(s.partition("=")[::2] for s in self.config.settings)
        wanted = asked.get("vq7test.Transport", "auto")
        modern = self.config.flavour == "modern" or \
            self.config.flavour == "transitional" and wanted != "legacy"
        offered = features.BLK_FLUSH | (features.VERSION_1 if modern else 0)
        offered |= features.EVENT_IDX if self.config.event_idx else 0
        offered |= features.INDIRECT if self.config.indirect else 0
        offered |= features.BLK_RO if self.config.read_only else 0
        line = self.config.interrupt == "line" or asked.get("vq7test.MSISupported") == "0"
        line |= "no_messages" in self.faults
        return ("modern" if modern else "legacy"), offered, wanted, line

    def do_devices(self):
        transport, offered, _, line = self.facts()
        if not self.loaded or "no_device" in self.faults:
            return {"devices": 0}, []
        ident = "1af4:1042" if self.config.flavour == "modern" else "1af4:1001"
        return {"devices": 1}, [
            f"dev=0 type=blk transport={transport} pci=0:4.0 id={ident} queues=1 "
            f"interrupt={'line' if line else 'message'} vectors={1 if line else 2} "
            f"status=0x{0x0f if transport == 'modern' else 0x07:02x} "
            f"device_features=0x{offered:016x} driver_features=0x{offered:016x}"]

    def do_queues(self):
        size = self.config.queue_size
        return {}, [f"queue=0 size={size} max_size={size} vector=0 broken=0 last_error=0x00000000"]

    def do_stats(self):
        return dict(self._stats), []

    def do_stats_clear(self):
        self._stats = dict.fromkeys(self._stats, 0)
        return {}, []

    def do_driver_unload(self):
        if "no_unload" in self.faults:
            raise Refused("NOT_SUPPORTED", "this system can't")
        self.loaded = False
        return {}, []

    def do_driver_load(self):
        self.loaded = True
        return {"devices": 1}, []

    def do_crash(self):
        self.put("\r\n*** STOP: 0x000000E2 (0x0,0x0,0x0,0x0)\r\nMANUALLY_INITIATED_CRASH\r\n")
        raise Stopped

    def do_reset(self):
        return {}, []

    def do_poweroff(self):
        return {}, []

    def do_blk_info(self):
        return {"capacity": self.capacity, "block_size": 512, "seg_max": 254, "size_max": 0,
                "max_segments": 128, "max_transfer": 1 << 20,
                "read_only": int(self.config.read_only), "flush": 1, "write_cache": 1}, []

    def do_blk_id(self):
        return {"id": "VQ7-DISK-0"}, []

    def do_blk_flush(self):
        if "timeout" in self.faults:
            raise Refused("REQUEST_LOST", "the request did not complete within 20 s")
        if "stop" in self.faults:
            self.put("*** STOP: 0x000000D1 (0x8,0x2,0x0,0x9)\r\n"
                     "DRIVER_IRQL_NOT_LESS_OR_EQUAL vq7test.sys\r\n")
            raise Stopped
        if "restart" in self.faults:
            self.hello()
            raise Stopped
        return {}, []

    def _io(self, sector, data=None, count=0):
        count = count if data is None else len(data) // SECTOR
        self._count(1)
        if not 0 < count <= 2048 or sector >> 64:
            raise Refused("BAD_ARGUMENT", "count or sector")
        if sector + count > self.capacity:
            raise Refused("STATUS_IO_DEVICE_ERROR", f"sector {sector}")
        if data is None:
            return os.pread(self.image, count * SECTOR, sector * SECTOR)
        if self.config.read_only:
            raise Refused("STATUS_MEDIA_WRITE_PROTECTED", f"sector {sector}")
        os.pwrite(self.image, data, sector * SECTOR)
        return data

    def _count(self, requests):
        for name in self._stats:
            self._stats[name] += requests

    def do_blk_read(self, sector, count, segments="0", quiet="0"):
        data = self._io(sector, None, count)
        lines = [] if quiet != "0" else [f"{at:08x} {data[at:at + 32].hex()}"
                                         for at in range(0, len(data), 32)]
        return {"bytes": len(data), "crc": f"0x{zlib.crc32(data):08x}"}, lines

    def do_blk_write(self, sector, count, seed, gen, segments="0"):
        data = pattern.content(int(seed, 0), sector, count,
                               int(gen, 0) + ("wrong_data" in self.faults))
        self._io(sector, data)
        return {"bytes": len(data), "crc": f"0x{zlib.crc32(data):08x}"}, []

    def do_blk_verify(self, sector, count, seed, gen, segments="0"):
        want, got = pattern.content(int(seed, 0), sector, count, int(gen, 0)), \
            self._io(sector, None, count)
        for at in range(0, len(want), 8):
            if want[at:at + 8] != got[at:at + 8]:
                raise Refused("MISCOMPARE", f"sector {sector + at // SECTOR}",
                              [f"sector={sector + at // SECTOR} offset={at % SECTOR} "
                               f"want={want[at:at + 8].hex()} got={got[at:at + 8].hex()}"])
        return {"sectors": count}, []

    def do_blk_run(self, **options):
        values = {k: v if k == "pattern" else tuple(int(s, 0) for s in v.split(","))
                  if k == "sizes" else int(v, 0) for k, v in options.items()}
        load = workload.Workload(**values)
        if any(size % SECTOR or size > load.sectors(self.capacity) * SECTOR
               for size in load.sizes):
            raise Refused("BAD_ARGUMENT", "sizes")
        if "busy" in self.faults:
            while True:
                self._frame(f"@{self._seq} busy in_flight=1")
                time.sleep(0.2)
        done = workload.operations(load, self.capacity)
        writes = [k for k in range(load.ops) if done.is_write[k]]
        for k in writes[:-1] if "lost_write" in self.faults else writes:
            place, count = int(done.place[k]), int(done.count[k])
            self._io(place, pattern.content(load.seed, place, count, k + 1))
        if "stray" in self.faults:
            self._io(self.capacity - 1, bytes([0xEE]) * SECTOR)
        self._count(load.ops)
        per = 1 if load.depth == 1 else 2
        return {**workload.expected_counts(load, self.capacity), "time_us": 1000,
                "max_in_flight": load.depth, "submitted": load.ops, "completed": load.ops,
                "notifications": load.ops // per,
                "suppressed": load.ops - load.ops // per,
                "interrupts": load.ops, "dpcs": load.ops,
                "ring_full": int(load.depth > self.config.queue_size),
                "indirect": load.ops * self.config.indirect}, []


def small(**changes):
    """A workload small enough for tests of the rig itself."""
    return dataclasses.replace(workload.Workload(ops=20, span=64, sizes=(512,)), **changes)
