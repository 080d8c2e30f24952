# SPDX-License-Identifier: MIT
"""The update of a Windows 7 image as Wine does it: the agent's service finds the disc and starts
its script, the script does what it says, and `vq7agent update` puts the new driver in place."""

import shutil
import time

import pytest

import kit_files
from kit.inf import Inf
from test_wine import (DRIVER, SERVICE, com1, kit, machine, prefix,      # noqa: F401, fixtures
                       stubs, windows_path)

pytestmark = pytest.mark.nightly
ENUM = r"HKLM\System\CurrentControlSet\Enum\PCI"
DEVICE = rf"{ENUM}\VEN_1AF4&DEV_1001&SUBSYS_00021AF4&REV_00\3&11583659&0&20"
CLASS = "{5F2B1C60-7A41-4B0E-9D57-2C8E4F1A9B31}"
ENVIRONMENT = r"HKLM\System\CurrentControlSet\Control\Session Manager\Environment"
VARIABLES = ("VQ7_COM", "VQ7_TRIES", "VQ7_STUB_LOG", "VQ7_STUB_FAILS", "VQ7_STUB_CODE", "WINEPATH")


@pytest.fixture
def device(prefix):                                             # noqa: F811
    """A virtio-blk that Wine's SetupAPI takes for present, with a driver from another package."""
    prefix.stay_up()
    prefix.run("reg", "add", DEVICE, "/v", "HardwareID", "/t", "REG_MULTI_SZ", "/d",
               r"PCI\VEN_1AF4&DEV_1001&SUBSYS_00021AF4&REV_00\0PCI\VEN_1AF4&DEV_1001", "/f")
    prefix.run("reg", "add", DEVICE, "/v", "ClassGUID", "/d", CLASS, "/f")
    prefix.run("reg", "add", DEVICE, "/v", "CompatibleIDs", "/t", "REG_MULTI_SZ", "/d",
               r"PCI\VEN_1AF4&DEV_1001", "/f")
    yield DEVICE
    prefix.run("reg", "delete", ENUM, "/f")


@pytest.fixture
def disc(kit, prefix, tmp_path):                                # noqa: F811
    """What answer.make_update puts on the disc; its lines on COM1 are appended to a file. Wine
    knows no models that are meant for a version of Windows, so its INF has them for any."""
    folder = tmp_path / "disc"
    shutil.copytree(kit.parent, folder / "vq7")
    inf = folder / "vq7" / prefix.arch / "vq7test.inf"
    inf.write_bytes(inf.read_bytes().replace(b".6.1", b""))
    (folder / ".windows-label").write_text("VQ7_UPDATE\n")
    script = (kit_files.PACKAGE / "win7" / "update.cmd").read_bytes().replace(b"\n", b"\r\n")
    (folder / "vq7" / "update.cmd").write_bytes(
        script.replace(b"\r\n>%VQ7_COM%", b"\r\n>>%VQ7_COM%"))
    return folder


@pytest.fixture
def variables(prefix, stubs, tmp_path):                         # noqa: F811
    """variables(fails, code): what the script and the stand-ins of programs take from them."""
    def put(fails="", code=0):
        prefix.env.update(VQ7_COM=windows_path(tmp_path / "said.txt"), VQ7_TRIES="2",
                          VQ7_STUB_LOG=windows_path(tmp_path / "log.txt"), VQ7_STUB_FAILS=fails,
                          VQ7_STUB_CODE=str(code), WINEPATH=windows_path(stubs))
        for name in ("said.txt", "log.txt"):
            (tmp_path / name).unlink(missing_ok=True)
    yield put
    prefix.run(prefix.agent, "uninstall")
    for name in VARIABLES:
        prefix.env.pop(name, None)


def said(tmp_path):
    return [line.strip() for line in (tmp_path / "said.txt").read_text().splitlines()]


def called(tmp_path):
    return [line.replace('"', "").split(None, 1)
            for line in (tmp_path / "log.txt").read_text().splitlines()]


def system32(prefix):                                           # noqa: F811
    return prefix.folder / "drive_c" / "windows" / "system32"


def test_update_puts_the_driver_under_each_device(prefix, disc, device):     # noqa: F811
    """Service and file are those of the INF; without a device it says so."""
    folder = disc / "vq7" / prefix.arch
    inf = folder / "vq7test.inf"
    done = prefix.run(prefix.agent, "update", windows_path(inf))
    assert done.returncode in (0, 3010), done.stdout
    assert prefix.value(device, "Service") == "vq7test"
    assert prefix.value(DRIVER, "ImagePath").lower().endswith(r"system32\drivers\vq7test.sys")
    assert (system32(prefix) / "drivers" / "vq7test.sys").read_bytes() == \
        (folder / "vq7test.sys").read_bytes()
    assert Inf(inf.read_text("ascii")).value("version", "DriverVer")[1].startswith("1.0.")
    done = prefix.run(prefix.agent, "update", r"C:\none.inf")
    assert done.returncode == 1 and "the driver can't be updated (Windows error 2)" in done.stdout
    prefix.run("reg", "delete", ENUM, "/f")
    done = prefix.run(prefix.agent, "update", windows_path(inf))
    assert done.returncode == 1         # ERROR_NO_SUCH_DEVINST
    assert "the driver can't be updated (Windows error 3758096907)" in done.stdout


def test_script(prefix, disc, variables, device, tmp_path):     # noqa: F811
    """Each step, the calls, and the verifiers."""
    variables()
    (disc / "vq7" / "verifier.txt").touch()
    (system32(prefix) / "vq7agent.exe").write_bytes(b"an older one")
    script = disc / "vq7" / "update.cmd"
    done = prefix.run("cmd", "/c", windows_path(script))
    assert done.returncode == 0, (done.stdout, said(tmp_path))
    assert said(tmp_path) == ["vq7-setup phase=update"] + [
        f"vq7-setup step={step}" for step in ("root", "publisher", "agent", "driver", "verifier")
    ] + ["vq7-setup phase=done"]
    here = windows_path(disc / "vq7")
    assert called(tmp_path) == [line.split(None, 1) for line in (
        rf"certutil -f -addstore Root {here}\vq7.cer",
        rf"certutil -f -addstore TrustedPublisher {here}\vq7.cer",
        "verifier /flags 0x9bb /driver vq7test.sys", "shutdown /s /t 0")]
    assert (system32(prefix) / "vq7agent.exe").read_bytes() == \
        (disc / "vq7" / prefix.arch / "vq7agent.exe").read_bytes()
    assert prefix.value(SERVICE, "ImagePath").lower().endswith(r'system32\vq7agent.exe" service')
    assert prefix.value(device, "Service") == "vq7test"
    for name in ("VerifierOn", "EnhancedVerifierOptions"):
        assert prefix.value(rf"{DRIVER}\Parameters\Wdf", name) == "0x1"


def test_script_that_fails(prefix, disc, variables, tmp_path):  # noqa: F811
    script = windows_path(disc / "vq7" / "update.cmd")
    variables("Root", 5)
    assert prefix.run("cmd", "/c", script).returncode == 1
    assert said(tmp_path)[-1] == "vq7-setup failed step=root code=5"
    variables()
    done = prefix.run("cmd", "/c", script)          # there is no device
    assert done.returncode == 1 and said(tmp_path)[-1] == "vq7-setup failed step=driver code=1"
    (disc / "vq7" / prefix.arch / "vq7agent.exe").unlink()
    variables()
    prefix.run("cmd", "/c", script)                 # after as many tries as were said
    assert said(tmp_path)[-1] == "vq7-setup failed step=agent code=1"
    assert not any("shutdown" in line[0] for line in called(tmp_path))


def test_service_gives_way_to_the_disc(prefix, machine, disc, variables, device,  # noqa: F811
                                       tmp_path):
    """With the disc in a drive the service starts the script and ends; another disc is none."""
    drive = prefix.folder / "dosdevices" / "x:"
    prefix.run("reg", "add", r"HKLM\Software\Wine\Drives", "/v", "x:", "/d", "cdrom", "/f")
    prefix.run(prefix.agent, "install")
    variables()
    for name in VARIABLES[:-1]:         # services have the registry's, not ours
        prefix.run("reg", "add", ENVIRONMENT, "/v", name, "/d", prefix.env[name], "/f")
    prefix.run("reg", "add", ENVIRONMENT, "/v", "PATH", "/d", prefix.env["WINEPATH"] +
               r";C:\windows\system32;C:\windows", "/f")
    prefix.end_all()
    drive.symlink_to(disc)
    try:
        prefix.stay_up()                # with its services, the agent among them
        deadline = time.monotonic() + 60
        while not (tmp_path / "said.txt").exists() or "vq7-setup phase=done" not in \
                said(tmp_path):
            assert time.monotonic() < deadline
            time.sleep(0.5)
        assert not machine.console.boot, "it says nothing on COM1 itself"
        (disc / ".windows-label").write_text("OTHER\n")
        prefix.end_all()
        (tmp_path / "said.txt").unlink()
        prefix.stay_up()
        machine.console.wait_boot(60)
        assert not (tmp_path / "said.txt").exists()
    finally:
        drive.unlink()
        prefix.end_all()
