# SPDX-License-Identifier: MIT
"""Machines as data, and the life of one."""

import pathlib
import xml.etree.ElementTree as ET

import pytest

import fake_machine
from vq7rig import vm as vm_module
from vq7rig.errors import GuestCrash, Hang, RigError, UsageError
from vq7rig.machine import QEMU_NS, Config, check_axis, configs, domain_xml, load_matrix
from vq7rig.paths import CONFIGS
from vq7rig.pool import GivenUp, Pool

# What a test runs on; Windows is installed on another.
FILES = sorted(set(CONFIGS.glob("*.xml")) - {CONFIGS / "win7-install.xml"})


def properties(root):
    return {p.get("name"): p.get("value") for p in root.iter(f"{{{QEMU_NS}}}property")}


def test_a_file_for_every_machine():
    axes = load_matrix()["axes"]
    assert {f.stem for f in FILES} == {f"{m}-{f}" for m in axes["machine"] for f in axes["flavour"]}


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_files_are_usable_as_they_are(path):
    root = ET.parse(path).getroot()
    machine, _, flavour = path.stem.partition("-")
    assert root.get("type") == "qemu", "must run without KVM"
    assert root.find("os/type").get("machine") == machine
    assert root.find("name").text == f"vq7-{path.stem}"
    model = root.find("devices/disk").get("model")
    assert model == {"transitional": "virtio-transitional", "legacy": None,
                     "modern": "virtio-non-transitional"}[flavour]
    assert (properties(root).get("disable-modern") == "true") == (flavour == "legacy")


def test_variants():
    config = Config("q35", "legacy", "line", False, False, 16, True,
                    ("vq7test.Transport=auto", "vq7test.MSISupported=0"))
    root = ET.fromstring(domain_xml(config, "x", "/g & <h>", "/r", "kvm"))
    assert root.get("type") == "kvm" and root.find("name").text == "x"
    assert root.find("os/kernel").text == "/g & <h>/ntcompat.elf"
    assert root.find("os/cmdline").text == "vq7test.Transport=auto vq7test.MSISupported=0"
    driver = root.find("devices/disk/driver")
    assert driver.get("event_idx") == "off" and driver.get("queue_size") == "16"
    assert root.find("devices/disk/readonly") is not None
    assert properties(root)["vectors"] == "0"
    assert properties(root)["indirect_desc"] == "false"
    # or libvirt would ask for each of the CPU's 400 properties
    assert root.find(f"{{{QEMU_NS}}}capabilities/{{{QEMU_NS}}}del").get("capability") == \
        "cpu-unavailable-features"
    assert config.name == "q35-legacy-intx-noevent-noindirect-q16-ro-Transport-auto-MSISupported-0"


def test_groups_are_cross_products():
    assert len(configs("machines")) == 6 and len(set(configs("machines"))) == 6
    assert [c.name for c in configs("one")] == ["pc-modern"]
    with pytest.raises(UsageError, match="unknown group 'all'.*machines"):
        configs("all")
    with pytest.raises(UsageError, match="unknown flavour 'foo'; known: legacy, transitional"):
        check_axis("flavour", "foo")


@pytest.mark.parametrize("change, message", [
    (("[group.one]", "[group.one]\nmachine = ['vax']"), "'vax' is not among"),
    (("[group.one]", "[group.one]\ncolour = [1]"), "colour = 1 is not among"),
    (("[axes]", "[axes]\ncolour = ['red']"), "must have exactly"),
    (("[axes]", "[axes"), "can't read"),
])
def test_bad_matrix_is_refused(tmp_path, change, message):
    path = tmp_path / "matrix.toml"
    path.write_text((CONFIGS / "matrix.toml").read_text().replace(*change))
    with pytest.raises(RigError, match=message):
        load_matrix(path)


def make(tmp_path, *faults, **changes):
    return fake_machine.make(Config(), tmp_path / "logs", faults, disk_mib=1, **changes)


def test_regression_a_machine_whose_crash_was_wanted_is_not_used_again(tmp_path):
    """As by a test that sends an NMI; the next test had a dead guest."""
    with make(tmp_path) as vm:
        vm.boot()
        with pytest.raises(GuestCrash):
            vm.console.command("crash")
        assert vm.state == vm_module.RUNNING and not vm.usable


def test_life(tmp_path):
    with make(tmp_path) as vm:
        assert vm.state == vm_module.PAUSED
        with pytest.raises(RigError, match="is paused, not new"):
            vm.prepare()
        vm.boot()
        assert vm.state == vm_module.RUNNING and vm.usable
        with pytest.raises(RigError, match="is running, not paused"):
            vm.boot()
        run = vm.run
        assert run.exists()
    assert vm.state == vm_module.OFF and not run.exists()
    with pytest.raises(RigError, match="is off, not"):
        vm.reset()
    vm.destroy()


def test_failure_makes_it_broken_and_says_why(tmp_path):
    with make(tmp_path, "silent", hello_timeout=0.3) as vm:
        with pytest.raises((Hang, GuestCrash)):
            vm.boot()
        assert vm.state == vm_module.BROKEN
        with pytest.raises(RigError, match="is broken, not running: "):
            vm.reset()
    assert vm.state == vm_module.BROKEN and not vm.run.exists()


def test_poweroff_is_waited_for(tmp_path):
    with make(tmp_path) as vm:
        vm.boot()
        with pytest.raises(Hang, match="turn itself off"):
            vm.wait_off(0.2)
        vm.console.command("poweroff")
        vm.wait_off(5)
        assert vm.state == vm_module.OFF


def test_no_room_for_the_image(tmp_path):
    with fake_machine.FakeVM(fake_machine.FakeHost(), Config(), pathlib.Path("/g"), tmp_path,
                             disk_mib=1 << 40) as vm:
        with pytest.raises(RigError, match="no space left for .*disk.img; free some"):
            vm.prepare()
    assert not vm.run.exists()


@pytest.fixture
def pool(tmp_path, monkeypatch):
    monkeypatch.setattr("vq7rig.pool.VM", fake_machine.FakeVM)
    monkeypatch.setattr(fake_machine.FakeVM, "faults_of_guest", ())
    pool = Pool(fake_machine.FakeHost(), "/guest", tmp_path,
                {"disk_mib": 1, "hello_timeout_s": 5})
    yield pool
    pool.close()


def test_pool_reuses_a_healthy_machine_only(pool):
    first = pool.get(Config())
    assert pool.get(Config()) is first
    assert pool.get(Config(), fresh=True) is not first
    assert first.state == vm_module.OFF
    second = pool.vm
    pool.failed(AssertionError("x"))
    assert pool.get(Config()) is not second and second.state == vm_module.BROKEN
    assert pool.get(Config(machine="q35")).config.machine == "q35"
    third = pool.vm
    pool.close()
    assert third.state == vm_module.OFF and not third.run.exists()


def test_pool_gives_up_after_repeated_hangs(pool):
    for _ in range(2):
        pool.get(Config())
        pool.failed(Hang("the answer", 10, "", "log"))
    with pytest.raises(GivenUp, match="pc-modern after 2 failures, last: a quiet line"):
        pool.get(Config())
    assert pool.get(Config(machine="q35"))
