# SPDX-License-Identifier: MIT
"""Other guests than ntcompat: what is said when their image is missing or no good, what they
lack, and ntcompat as a user's own image, about which the rig knows nothing."""

import contextlib
import itertools
import pathlib
import re
import socket
import subprocess
import types
import xml.etree.ElementTree as ET

import pytest

import fake_machine
import nt_image
from test_cli import known_qemu, one_line, qemu, qemu_cli       # noqa: F401, fixtures
from vq7rig import cli as cli_module, guests, machine, terminal, workers
from vq7rig.errors import GuestError, RigError, UsageError
from vq7rig.guests import base, known, needs
from vq7rig.kd import windbg

FAKE = ("-p", "fake_machine", "--accel=tcg")
SOME = "(test_enumeration or test_interrupt_mode or test_driver_unload or test_reset_command" \
       " or test_messages_refused) and pc-modern and not intx"


@pytest.fixture
def iso(tmp_path):
    """Enough of an ISO 9660 image to be taken for one."""
    image = tmp_path / "some nt.iso"
    image.write_bytes(bytes(16 * 2048) + b"\x01CD001\x01" + bytes(2048))
    return image


def verdicts(cli):
    """Name of each test of the last run -> (verdict, text)."""
    root = ET.parse(cli.build / "e2e" / "latest" / "junit.xml")
    found = {}
    for case in root.findall(".//testcase"):
        properties = {p.get("name"): p.get("value") for p in case.findall("properties/property")}
        text = "".join(case.itertext())
        found[case.get("name").partition("[")[0]] = properties["verdict"], text
    return found


# --- what is said --------------------------------------------------------------------

def test_win7_without_an_image(cli):
    line = one_line(cli("run", "--system", "win7"), 3)
    assert "make win7-image ISO=win7.iso OUT=win7.qcow2" in line


@pytest.mark.parametrize("arguments, error, words", [
    (("nt",), RigError, "docs/guests.md says what it must provide"),
    (("win7",), RigError, "make win7-image"),
    (("nt", "/no/such.iso"), RigError, "/no/such.iso: No such file"),
    (("nt", __file__), UsageError, "no ISO 9660 image, no qcow2 and no disk with a boot sector"),
    (("vax",), UsageError, "unknown guest 'vax'; known: ntcompat, nt, win7"),
    (("nt", "x.iso", "arm"), UsageError, "unknown architecture 'arm'; known: x64, x86"),
    (("ntcompat", "x.iso"), UsageError, "ntcompat takes no image"),
    (("nt", "x.iso", None, "unload,legs"), UsageError, "--lacks legs: unknown; known: settings, "),
])
def test_wrong_use(arguments, error, words):
    with pytest.raises(error, match=re.escape(words)):
        guests.chosen(*arguments).check()


# --- what a guest lacks ----------------------------------------------------------------

def test_what_a_guest_lacks_is_skipped_and_counted(cli, iso):
    done = cli("run", *FAKE, "--system", "nt", "--image", iso, "-k", SOME, "--lacks", "restart",
               env={"VQ7_FAKE_FAULTS": "no_messages,no_unload"})
    assert done.returncode == 0, done.stdout + done.stderr
    found = verdicts(cli)
    assert {name: verdict for name, (verdict, _) in found.items()} == {
        "test_enumeration": "pass", "test_interrupt_mode": "skipped",
        "test_driver_unload_and_load": "skipped", "test_reset_command": "skipped",
        "test_messages_refused_by_the_registry": "skipped"}
    title = "nt some nt.iso"
    assert f"{title}: its devices get no messages (the device offers" in \
        found["test_interrupt_mode"][1]
    assert "can't unload the driver (driver unload: NOT_SUPPORTED)" in \
        found["test_driver_unload_and_load"][1]
    assert "can't restart the machine (--lacks)" in found["test_reset_command"][1]
    assert f"1 skipped: {title}: the host can't give it registry values" in done.stdout
    assert "5 tests: 1 pass, 4 skipped" in done.stdout
    machines = list((cli.build / "e2e" / "latest" / "machines").iterdir())
    assert len(machines) == 2, "the one whose driver didn't go isn't used for tests"
    assert f"guest: {title} x64" in done.stdout and "guest lacks: msi (" in done.stdout


@pytest.mark.nightly
def test_what_a_guest_lacks_all_at_once_is_a_failure(cli, iso):
    """An earlier run's memory of it is there."""
    memory = known.Memory(iso, cli.build / "guests")
    assert memory.compare({}) == {}
    done = cli("run", *FAKE, "--system", "nt", "--image", iso, "-k", SOME,
               env={"VQ7_FAKE_FAULTS": "no_unload"})
    assert done.returncode == 1, done.stdout + done.stderr
    found = verdicts(cli)
    assert found["test_interrupt_mode"][0] == "pass"
    verdict, text = found["test_driver_unload_and_load"]
    assert verdict == "fail"
    assert "had this before and lacks it now: unload" in text and str(memory.path) in text


@pytest.fixture
def look(iso, tmp_path, monkeypatch):
    """look(fault, ..., arch=None): a guest that has been looked at."""
    monkeypatch.setattr(known, "BUILD", tmp_path / "build")
    count = itertools.count()

    def at(*faults, arch=None):
        system = guests.chosen("nt", iso, arch)
        system.check()
        vm = fake_machine.make(machine.Config(), tmp_path / f"vm{next(count)}", faults)
        vm.boot()
        try:
            system.look(vm)
        finally:
            vm.destroy()
        return system
    return at


def test_a_look_at_a_guest(look):
    system = look("no_messages", "no_unload")
    assert (system.arch, set(system.missing), system.lost) == ("x64", {"msi", "unload"}, {})
    system = look(arch="x64")
    assert (system.missing, system.lost) == ({}, {})
    assert system.facts()["guest lacks"] == "nothing that is looked for"
    system = look("no_messages")
    assert set(system.lost) == {"msi"} and system.has_lost({"sleep", "msi"})
    assert system.has_lost({"unload"}) is None
    assert set(look("no_messages").lost) == {"msi"}, "it is not forgotten by being said once"
    system.memory.path.unlink()             # as it says
    assert look("no_messages").lost == {}
    with pytest.raises(GuestError, match="sees no device: the driver isn't installed"):
        look("no_device")
    with pytest.raises(UsageError, match="ARCH=x86, but the agent in .* is x64"):
        look(arch="x86")


def test_a_guest_may_take_its_time_to_turn_off(tmp_path):
    """What a test allows is meant for ntcompat; another guest has its own time."""
    with fake_machine.make(machine.Config(), tmp_path) as vm:
        vm.boot()
        ends = iter([True, True, False])
        vm.dom.isActive = lambda: next(ends)
        vm.system = types.SimpleNamespace(off_s=60)
        vm.wait_off(timeout=0)
        assert next(ends, None) is None


def test_ntcompat_lacks_nothing():
    assert not guests.chosen("ntcompat").lacks(base.CAPABILITIES)


def test_unreadable_memory_is_said(tmp_path):
    memory = known.Memory(tmp_path / "x.iso", tmp_path)
    memory.path.write_text("{")
    with pytest.raises(RigError, match="remove it"):
        memory.compare({})


class Item:
    """What needs.of() looks at in one of pytest's."""
    nodeid = "a test"

    def __init__(self, config=None, marks=(), fixtures=()):
        self.vq7_config, self.fixturenames, self._marks = config, fixtures, marks

    def iter_markers(self, name):
        return [mark.mark for mark in self._marks if mark.name == name]

    def get_closest_marker(self, name):
        return (self.iter_markers(name) or [None])[0]


def test_what_a_test_needs():
    config = machine.Config()
    marks = (pytest.mark.needs("msi", "unload"), pytest.mark.needs("sleep"))
    assert needs.of(Item(config, marks)) == {"msi", "unload", "sleep"}
    line = config.but(interrupt="line")
    assert needs.of(Item(line, marks)) == {"unload", "sleep"}
    assert needs.of(Item(config.but(settings=("a.b=1",), options=("boot=disk",)))) == \
        {"settings", "firmware"}
    assert needs.of(Item(None, (pytest.mark.rules,), ("kd",))) == {"rules", "debugger"}
    with pytest.raises(UsageError, match="a test needs legs, which is unknown"):
        needs.of(Item(config, (pytest.mark.needs("legs"),)))


# --- its machine -------------------------------------------------------------------------

@pytest.mark.parametrize("board, bus", [("pc", "ide"), ("q35", "sata")])
@pytest.mark.parametrize("kind", ["iso", "qcow2"])
def test_machine_of_an_image(iso, tmp_path, kind, board, bus):
    """The image on the board's own controller and first in order, the disk under test where it
    always is, no kernel of ours; the user's file is named read only, or not at all."""
    image = iso if kind == "iso" else tmp_path / "x.qcow2"
    if kind == "qcow2":
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, "1M"], check=True)
    system = guests.chosen("nt", image)
    system.check()
    system.prepare(tmp_path, machine.Config())
    config = machine.Config(machine=board)
    xml = machine.domain_xml(config, "x", tmp_path, tmp_path)
    root = ET.fromstring(system.place(xml, config, tmp_path))
    assert {child.tag for child in root.find("os")} == {"type"}
    first, under_test = root.findall("devices/disk")
    assert first.find("target").get("bus") == bus
    assert first.find("boot").get("order") == "1"
    source = first.find("source").get("file")
    if kind == "iso":
        assert source == str(image) and first.find("readonly") is not None
        assert first.get("device") == "cdrom"
    else:
        assert source == str(tmp_path / "system.qcow2")
        shown = subprocess.run(["qemu-img", "info", source], capture_output=True, text=True)
        assert f"backing file: {image}" in shown.stdout
    before = ET.fromstring(xml).find("devices/disk")
    assert ET.tostring(under_test) == ET.tostring(before)
    assert int(root.find("memory").text) == 1024
    assert root.find("devices/video/model").get("type") == "vga"
    more = config.but(options=("memory=4096",))
    xml = machine.domain_xml(more, "x", tmp_path, tmp_path)
    assert ET.fromstring(system.place(xml, more, tmp_path)).find("memory").text == "4096"


def test_windbg_for_another_guest(iso, tmp_path, monkeypatch):
    """The debugger gets the symbols of the guest's own architecture."""
    seen = []
    monkeypatch.setattr(terminal, "session", lambda *arguments: seen.append(arguments))
    monkeypatch.setattr(windbg, "Host", lambda *_, **__: contextlib.nullcontext())
    monkeypatch.setattr(workers, "Lock", contextlib.nullcontext)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    def job(*words):
        args = cli_module._parser().parse_args(
            ["windbg", "--system", "nt", "--image", str(iso), "--arch", "x86", "--guest",
             str(tmp_path / "x64"), "--listen", f"127.0.0.1:{port}", *words])
        return args.function(args, [])
    assert job() == 0
    (_, _, guest, *_, system), = seen
    assert guest == tmp_path / "x86" and system.title == "nt some nt.iso"
    with pytest.raises(UsageError, match="--wait: ntcompat alone"):
        job("--wait")


# --- ntcompat as somebody's image ------------------------------------------------------------

def run_on(cli, image, *arguments, **options):
    return cli("run", "--system", "nt", "--image", image, "--accel=tcg", *arguments, **options)


@qemu
@pytest.mark.nightly
def test_an_iso_with_little(qemu_cli, tmp_path):     # noqa: F811
    """It is late, has no messages and can't unload: what it has is enough for the others."""
    image = nt_image.make(tmp_path / "nt.iso", late_s=60)
    before = image.stat()
    done = run_on(qemu_cli, image, "-m", "smoke", "-k", "(test_random or test_interrupt_mode or "
                  "test_driver_unload) and pc-modern and not intx")     # two starts
    assert done.returncode == 0, done.stdout + done.stderr
    found = verdicts(qemu_cli)
    assert found["test_random"][0] == "pass"
    assert found["test_interrupt_mode"][0] == "skipped"
    assert found["test_driver_unload_and_load"][0] == "skipped"
    assert (before.st_size, before.st_mtime_ns) == (image.stat().st_size, image.stat().st_mtime_ns)
    (times,) = re.findall(r"start to prompt, ms.*", done.stdout)
    assert min(map(int, re.findall(r"\d+", times))) > 60000


@qemu
@pytest.mark.nightly
def test_a_disk_with_everything(qemu_cli, tmp_path):     # noqa: F811
    image = nt_image.as_qcow2(nt_image.make(tmp_path / "nt.iso", settings=(), late_s=1))
    before = image.read_bytes()
    done = run_on(qemu_cli, image, "-k", "(test_driver_unload or test_interrupt_mode or "
                  "test_reset_button or test_poweroff) "
                  "and (pc-modern or pc-legacy) and not inflight")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {verdict for verdict, _ in verdicts(qemu_cli).values()} == {"pass"}
    assert "guest lacks: nothing" in done.stdout
    assert image.read_bytes() == before


@qemu
@pytest.mark.nightly
def test_an_image_that_never_has_a_prompt(qemu_cli, tmp_path):     # noqa: F811
    """The verdict has a picture of its screen."""
    image = tmp_path / "stuck.img"
    image.write_bytes(b"\xeb\xfe" + bytes(508) + b"\x55\xaa" + bytes(1 << 20))
    done = run_on(qemu_cli, image, "-k", "test_enumeration", env={"VQ7_PATIENCE": "0.1"})
    assert done.returncode == 1, done.stdout + done.stderr
    (shown,) = re.findall(r"its screen: (.*)", done.stderr)
    assert pathlib.Path(shown).read_bytes()[:4] == b"\x89PNG"


def made(*words):
    """What make would run."""
    top = pathlib.Path(__file__).resolve().parents[2]
    return subprocess.run(["make", "-n", "-C", top, *words, "VQ7_NO_SETUP=1"],
                          capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("target, flavour", [("vm-win7", "modern"), ("vm-nt", "legacy")])
def test_a_guest_has_a_target_of_its_own(target, flavour):
    name = target.removeprefix("vm-")
    assert re.search(rf"vq7rig vm {flavour} --system {name} --image \S+/x\.qcow2",
                     made(target, "IMAGE=x.qcow2", f"FLAVOUR={flavour}"))


@pytest.mark.parametrize("target", ["kd", "gdb", "windbg"])
def test_debuggers_take_a_cell_of_the_table(target):
    assert re.search(rf"vq7rig {target} +legacy --machine q35\b", made(target, "CELL=q35-legacy"))
    assert re.search(rf"vq7rig {target} +modern *$", made(target), re.M)
