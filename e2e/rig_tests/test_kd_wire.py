# SPDX-License-Identifier: MIT
"""Packets of the kernel debugger's protocol: framing, and what damage does to it."""

import random
import struct

import pytest

from vq7rig.kd import wire
from vq7rig.kd.wire import Damaged, Parser


def test_layout():
    """As documented: leader, type, length, id, sum of the payload's bytes, payload, 0xAA."""
    assert wire.data(2, 0x80800000, b"\x01\xff").encode() == \
        bytes.fromhex("30303030 0200 0200 00008080 00010000 01ff aa")
    assert wire.control(wire.RESET).encode() == \
        bytes.fromhex("69696969 0600 0000 00000000 00000000")


@pytest.mark.parametrize("step", [1, 2, 7, 4096])
def test_any_split(step):
    packets = [wire.data(7, 0x80800800, bytes(range(240))), wire.control(4, 0x80800000),
               wire.data(3, 0x80800001, b"0000" + b"iiii" * 5), wire.data(2, 0x80800000, b"")]
    stream = b"".join(packet.encode() for packet in packets)
    parser, found = Parser(), []
    for at in range(0, len(stream), step):
        found += parser.feed(stream[at:at + step])
    assert found == packets and parser.noise == 0


def test_noise_between_packets():
    packet = wire.data(3, 0x80800000, b"text")
    parser = Parser()
    for noise in (b"hello 0 00 000x", b"0", b"iii", b"0000\x02", bytes(range(48)), b"i0i0"):
        got = parser.feed(noise + packet.encode())
        assert packet in got and len(got) == 1, noise


def test_lost_byte_costs_one_packet():
    """What follows the damaged one is found, although its bytes were taken for the rest."""
    first, second = wire.data(2, 0x80800000, bytes(300)), wire.data(3, 0x80800001, b"0000abc")
    for at in range(len(first.encode())):
        raw = first.encode()
        parser = Parser()
        got = parser.feed(raw[:at] + raw[at + 1:] + second.encode()) + parser.give_up()
        assert got[-1] == second, at
        assert first not in got


def test_beginning_without_an_end():
    parser = Parser()
    assert parser.feed(wire.data(2, 1, b"abc").encode()[:-2]) == [] and parser.partial
    assert [type(item) for item in parser.give_up()] == [Damaged]
    assert not parser.partial and parser.give_up() == []


def test_length_that_no_packet_has():
    """Isn't waited for."""
    raw = b"0000" + struct.pack("<HHII", 2, 4001, 0x80800000, 0)
    packet = wire.control(4, 0x80800000)
    assert Parser().feed(raw + packet.encode()) == [packet]
    with pytest.raises(ValueError, match="4000"):
        wire.data(2, 0, bytes(4001))


def test_random_bytes():
    """Whatever comes, what is delivered has a good checksum and the rest ends."""
    rng = random.Random(5)
    for _ in range(300):
        raw = bytes(rng.choice(b"0i\x00\x02\x04\x06\xaa" + bytes([rng.randrange(256)]))
                    for _ in range(rng.randrange(200)))
        parser = Parser()
        for item in parser.feed(raw) + parser.give_up():
            assert isinstance(item, Damaged) or item.encode() in raw
