# SPDX-License-Identifier: MIT
"""The debugger's client against a strict target without a kernel."""

import io
import socket
import struct
import threading
import time

import pytest

from vq7rig.kd.badline import BadLine
from kd_target import KERNEL, PAGE, KdTarget
from vq7rig.channel import SocketChannel
from vq7rig.errors import MachineGone, ProtocolError
from vq7rig.kd import client as client_module
from vq7rig.kd import messages as m
from vq7rig.kd import wire
from vq7rig.kd.client import Client
from vq7rig.kd.errors import NoAnswer, Refused, StillRunning, Unreadable
from vq7rig.kd.link import Link
from vq7rig.kd.pace import FIRST, LONGEST, SHORTEST, Pace


@pytest.fixture
def target():
    made = KdTarget().start()
    yield made
    made.stop()
    assert made.complaints == []


def client_of(target, channel=None):
    return Client(Link(channel or SocketChannel(target.host_end), io.StringIO()))


@pytest.fixture
def client(target):
    made = client_of(target)
    made.attach()
    yield made
    made.close()


def test_attach_to_a_running_target(target):
    client = client_of(target)
    event = client.attach()
    assert isinstance(event, m.ExceptionStop) and event.code == m.BREAKPOINT
    assert event.pc in target.program and event.first_chance and event.processors == 1
    assert event.instructions == target.peek(event.pc, 16)
    assert str(event) == "Break instruction exception - code 80000003 (first chance)"


def test_attach_to_a_stopped_target_needs_no_break_in(target):
    """Which would be latched, and stop it once more after it goes on."""
    client_of(target).attach()
    again = client_of(target, SocketChannel(target.replace_line()))
    again.attach()
    ran = target.executed
    again.go()
    assert again.poll(0.2) is None and target.executed > ran


def test_nobody_there():
    target = KdTarget()                 # doesn't run
    with pytest.raises(NoAnswer, match="no kernel debugger protocol on the serial port"):
        client_of(target).attach(0.5)


def test_another_protocol():
    """As the agent's console: text, and no packets."""
    target = KdTarget()
    target._line.sendall(b"vq7> what? 0000\r\n" * 3)
    with pytest.raises(NoAnswer, match="no kernel debugger protocol"):
        client_of(target).attach(0.5)


def test_machine_gone(target):
    client = client_of(target)
    client.attach()
    target.stop()
    with pytest.raises(MachineGone):
        client.version()


def test_version(client):
    version = client.version()
    assert (version.major, version.minor, version.protocol) == (0xF, 7601, 6)
    assert version.machine == m.AMD64 and version.kernel_base == KERNEL
    assert version.module_list == KERNEL + 0x40 and version.debugger_data == KERNEL + 0x80


def test_memory(client, target):
    data = bytes(range(256)) * 20       # more than a packet holds
    client.write(KERNEL + PAGE - 100, data)
    assert target.peek(KERNEL + PAGE - 100, len(data)) == data
    assert client.read(KERNEL + PAGE - 100, len(data)) == data
    assert client.number(KERNEL + PAGE, 2) == int.from_bytes(data[100:102], "little")


def test_unmapped_memory(client):
    """Failure and count, also where the range begins in what is mapped."""
    with pytest.raises(Unreadable) as caught:
        client.read(KERNEL + 3 * PAGE - 10, 5000)
    assert caught.value.done == 10
    with pytest.raises(Refused) as refused:
        client.write(KERNEL + 3 * PAGE - 4, b"12345678")
    assert refused.value.done == 4 and refused.value.status == m.UNSUCCESSFUL


def test_registers(client, target):
    context = client.context()
    assert context["rip"] == client.event.pc
    context["rax"], context["xmm3"], context["cs"] = 0x1122334455667788, 3 << 100, 0x10
    client.set_context(context)
    assert struct.unpack_from("<Q", target.context, 0x78) == (0x1122334455667788,)
    assert client.context()["xmm3"] == 3 << 100
    special = client.special()
    special["kdr7"] = 0x402
    client.set_special(special)
    assert struct.unpack_from("<Q", target.special, 0x48) == (0x402,)
    with pytest.raises(ValueError, match="efl has 32 bits"):
        context["efl"] = 1 << 32


def test_ports_and_msrs(client, target):
    assert client.read_io(0x80, 1) == 0x55
    client.write_io(0x80, 2, 0x1234)
    assert target.port[0x80] == 0x1234
    assert client.read_msr(0xC0000080) == 0xD01
    client.write_msr(0xC0000080, 0x1_0000_0D01)
    assert client.read_msr(0xC0000080) == 0x1_0000_0D01
    with pytest.raises(Refused, match="c0000001"):
        client.read_msr(0x1234)


def test_unknown_request(client):
    got = client.request(0x31FF)
    assert got.status == m.UNSUCCESSFUL and got.failed
    with pytest.raises(Refused):
        client.query_memory(KERNEL)


def test_steps(client, target):
    at = target.program.index(client.event.pc)
    for n in range(1, 4):
        client.go(trace=True)
        event = client.wait(5)
        assert event.code == m.SINGLE_STEP
        assert event.pc == target.program[(at + n) % len(target.program)]


def test_breakpoint(client, target):
    # Not where it stands: it would be hit at once, and lifted.
    at = target.program.index(client.event.pc)
    where = target.program[(at + 3) % len(target.program)]
    handle = client.write_breakpoint(where)
    assert target.peek(where, 1) == b"\xcc"
    client.go()
    assert client.wait(5).pc == where and target.hits == 1
    assert target.peek(where, 1) == b"\x90"         # lifted: it is among the 16 bytes shown
    assert client.restore_breakpoint(handle) is False
    with pytest.raises(Refused, match="breakpoint at"):
        client.write_breakpoint(0x1000)


def test_prints_while_it_runs(client, target):
    said = []
    client.on_print = said.append
    client.go()
    target.to_say += ["one\n", "two 0000 iiii\n"]
    deadline = time.monotonic() + 10
    while len(said) < 2 and time.monotonic() < deadline:
        client.poll(0.1)
    assert said == ["one\n", "two 0000 iiii\n"]
    client.break_in()


def test_needs_a_stop(client):
    client.go()
    with pytest.raises(StillRunning, match="break in first"):
        client.version()
    client.break_in()
    client.version()


def test_many_break_ins(client):
    for _ in range(50):
        client.go()
        client.break_in()
    assert client.link.counts["again"] == client.link.counts["damaged"] == 0


@pytest.mark.parametrize("kind", BadLine.KINDS)
def test_bad_line(target, kind, monkeypatch):
    """5 % of the packets of both ways; nothing is lost, nothing happens twice."""
    monkeypatch.setattr(client_module, "REPLY_AGAIN", 0.1)
    line = BadLine(SocketChannel(target.host_end), seed=7, kinds=(kind,))
    client = client_of(target, line)
    client.link.pace = Pace(shortest=0.05, first=0.1)
    client.attach()
    for n in range(25):
        client.write(KERNEL + 8 * n, struct.pack("<Q", n))
        assert client.number(KERNEL + 8 * n) == n
    at = target.program.index(client.event.pc)
    for n in range(1, 15):
        client.go(trace=True)
        assert client.wait(10).pc == target.program[(at + n) % len(target.program)]
    assert line.faults > 4
    client.close()


def test_regression_a_bad_line_leaves_a_packet_its_type():
    """Of a data packet; what the protocol can't find is no fault of target or client."""
    got = []

    class Line:
        def send(self, data, _timeout):
            got.append(bytes(data))
            return True
    packet = wire.data(2, 0x80800000, bytes(4)).encode()
    line = BadLine(Line(), rate=1, kinds=("flipped",))
    for _ in range(300):
        line.send(packet)
    changed = {at for raw in got for at in range(len(packet)) if raw[at] != packet[at]}
    assert changed == set(range(len(packet))) - {4, 5}


def test_pace_follows_the_line():
    """RFC 6298, with our bounds; the spread counts four times."""
    pace = Pace()
    assert [pace.wait(n) for n in range(3)] == [FIRST, 2 * FIRST, LONGEST]
    for _ in range(30):
        pace.took(0.002)
    assert [pace.wait(n) for n in range(2)] == [SHORTEST, 2 * SHORTEST]
    pace.took(0.3)                              # the host is busy
    assert 0.3 < pace.wait() < 0.5
    for _ in range(30):
        pace.took(0.6)
    assert 0.6 < pace.wait() < 0.7
    pace.took(60)
    assert pace.wait() == LONGEST


class SlowLine:
    """A channel on which everything comes late."""

    def __init__(self, inner, late):
        self._inner, self._late, self._held = inner, late, []

    def recv(self, timeout):
        end = time.monotonic() + timeout
        while not self._held or time.monotonic() < self._held[0][0]:
            left = min(end, *(due for due, _ in self._held[:1]), end) - time.monotonic()
            if (data := self._inner.recv(max(0.0, left))) is None:
                return None
            if data:
                self._held.append((time.monotonic() + self._late, data))
            elif time.monotonic() >= end and not (
                    self._held and time.monotonic() >= self._held[0][0]):
                return b""
        return self._held.pop(0)[1]

    def send(self, data):
        return self._inner.send(data)

    def close(self):
        self._inner.close()


def test_late_answers_are_waited_for(target):
    """As on a loaded host: nothing is sent twice because it was acknowledged late."""
    client = client_of(target, SlowLine(SocketChannel(target.host_end), 0.12))
    client.link.pace = Pace(shortest=0.02, first=0.3)
    client.attach()
    for _ in range(5):
        client.version()
    assert client.link.counts["again"] == 0
    client.close()


def test_client_killed_in_the_middle_of_a_packet(target):
    first = client_of(target)
    first.attach()
    raw = wire.data(2, 0x80800000, m.request(m.Api.GET_VERSION)).encode()
    first.link.channel.send(raw[:40])
    second = client_of(target, SocketChannel(target.replace_line()))
    second.attach()
    assert second.version().minor == 7601


def test_stray_and_repeated_acknowledgements(client):
    """The documented client acknowledges twice after a RESET; so may a target."""
    for _ in range(3):
        client.link._put(wire.control(wire.ACKNOWLEDGE, 0x80800000))
        client.link._put(wire.control(wire.ACKNOWLEDGE, 0x80800001))
        client.link._put(wire.control(wire.RESEND))
        assert client.version().minor == 7601


def test_target_that_starts_anew(client, target):
    """Its first packet carries the sync bit, whatever the ids were."""
    client.version()
    client.go()
    target._send_id, target._expect = 0x80800800, 0x80800000
    client.break_in()
    assert client.version().minor == 7601


def test_reply_of_the_wrong_kind(target):
    target.stop()
    host, peer = socket.socketpair()
    client = Client(Link(SocketChannel(host)))
    client.event = m.state_change(target._state(m.BREAKPOINT))
    peer.sendall(wire.control(4, 0x80800000).encode()
                 + wire.data(2, 0x80800000, m.request(m.Api.READ_MSR)).encode())
    with pytest.raises(ProtocolError, match="a reply to 0x3152 instead of 0x3146"):
        client.version()
    client.close()
    peer.close()


@pytest.mark.parametrize("payload, said", [
    (bytes(100), "state change of 100 bytes"), (bytes(240), "unknown state change 0x0")])
def test_state_change_that_is_none(payload, said):
    with pytest.raises(ProtocolError, match=said):
        m.state_change(payload)


def test_module_event():
    out = bytearray(240) + b"\\SystemRoot\\system32\\DRIVERS\\vq7test.sys\0"
    struct.pack_into("<IHHI4xQQ", out, 0, 0x3031, 6, 1, 2, 5, KERNEL)
    struct.pack_into("<I4xQQIIB", out, 32, len(out) - 240, KERNEL + PAGE, 4, 0x1234, 0x8000, 1)
    event = m.state_change(bytes(out))
    assert (event.path, event.base, event.size, event.checksum, event.unload, event.processor) == (
        "\\SystemRoot\\system32\\DRIVERS\\vq7test.sys", KERNEL + PAGE, 0x8000, 0x1234, True, 1)


def test_prompt_is_answered():
    host, peer = socket.socketpair()
    client = Client(Link(SocketChannel(host)), on_prompt=lambda text: "b" if "?" in text else "")
    text = b"Break, Ignore (bi)? "
    got = []

    def play():
        peer.sendall(wire.data(3, 0x80800000,
                               struct.pack("<IHHII", 0x3231, 0, 0, len(text), 2) + text).encode())
        parser = wire.Parser()
        while not any(not item.control for item in got):
            got.extend(parser.feed(peer.recv(4096)))
        peer.sendall(wire.control(4, 0x80800000).encode())

    actor = threading.Thread(target=play)
    actor.start()
    client.poll(0.3)
    actor.join()
    assert wire.control(4, 0x80800000) in got
    assert wire.data(3, 0x80800000, struct.pack("<IHHII", 0x3231, 0, 0, 0, 1) + b"b") in got
    client.close()
    peer.close()
