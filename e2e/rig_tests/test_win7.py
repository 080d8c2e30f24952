# SPDX-License-Identifier: MIT
"""The way from an ISO to a Windows 7: what is read of the ISO and what is refused, the answer
disk, what the watch over Setup says, and the sealed image."""

import json
import re
import subprocess
import xml.etree.ElementTree as ET

import pytest

import windows_iso
from kit_files import make as make_kit
from test_cli import one_line
from vq7rig import guests
from vq7rig.errors import GuestCrash, GuestError, Hang, RigError, UsageError
from vq7rig.win7 import answer, job, manifest, media
from vq7rig.win7.progress import EMULATED, MOST_LOG, MOST_RESETS, PHASES, Progress

HOME = {"NAME": "Windows 7 HOMEPREMIUM", "EDITIONID": "HomePremium"}
GERMAN_RTM = {"ARCH": "0", "LANGUAGE": "de-DE", "BUILD": "7600", "SPLEVEL": "0"}


# --- the ISO ---------------------------------------------------------------------------

@pytest.fixture(scope="module")
def iso(tmp_path_factory):
    return windows_iso.make(tmp_path_factory.mktemp("iso") / "win 7.iso", [HOME, {}, GERMAN_RTM])


def test_what_an_iso_has(iso):
    first, second, third = media.look(iso)
    assert first == media.Edition(1, "Windows 7 HOMEPREMIUM", "HomePremium", "x64", "en-US",
                                  ("6", "1"), "7601", "1", False)
    assert (second.index, second.name, second.release) == (2, "Windows 7 PROFESSIONAL", "SP1")
    assert (third.arch, third.language, third.release, third.build) == (
        "x86", "de-DE", "RTM", "7600")


def test_choice_of_an_edition(iso):
    editions = media.look(iso)
    assert media.choose(editions).index == 2, "the larger of two"
    assert media.choose(editions, arch="x86").index == 3
    assert media.choose(editions, "homepremium").index == 1
    assert media.choose(editions, "Windows 7 Professional", "x64").index == 2
    for wanted in (("Ultimate", None), ("HomePremium", "x86")):
        with pytest.raises(UsageError, match="EDITION=.*: the ISO has only HomePremium x64, Prof"):
            media.choose(editions, *wanted)
    with pytest.raises(UsageError, match="ARCH=x86: the ISO has only"):
        media.choose(editions[:2], arch="x86")


TEN = {"NAME": "Windows 10 Pro", "MAJOR": "10", "MINOR": "0", "BUILD": "19041"}
SERVER = {"NAME": "Windows Server 2008 R2 SERVERSTANDARD", "TYPE": "Server"}


@pytest.mark.parametrize("changes, words", [
    ({"images": [TEN]}, "Windows 10 Pro (version 10.0, build 19041), not Windows 7 (6.1)"),
    ({"images": [{"MINOR": "0", "NAME": "Windows Vista BUSINESS"}]}, "Vista BUSINESS"),
    ({"images": [SERVER]}, "a server, not Windows 7"),
    ({"images": []}, "an install.wim without a Windows"),
    ({"name": "sources/install.esd"}, "a newer Windows (it has an install.esd)"),
    ({"name": "sources/other.wim"}, "no Windows medium: it has no sources/install.wim"),
    ({"data": b"PK" * 500}, "its sources/install.wim is none"),
    ({"data": b"MSWIM\0\0\0" + bytes(400)}, "its sources/install.wim is damaged"),
    ({"data": windows_iso.wim([{}]).replace(
        "INDEX".encode("utf-16-le"), "OTHER".encode("utf-16-le"))}, "or a damaged one"),
])
def test_what_is_not_windows_7_is_refused(tmp_path, changes, words):
    path = windows_iso.make(tmp_path / "x.iso", **changes)
    with pytest.raises(UsageError, match=re.escape(words)) as refused:
        media.look(path)
    assert len(str(refused.value).splitlines()) == 1


def test_a_damaged_iso_is_refused(iso, tmp_path):
    """Cut off anywhere, or with sectors of something else: one line, never another error."""
    whole = iso.read_bytes()
    path = tmp_path / "x.iso"
    said = set()
    end = whole.rindex("</WIM>".encode("utf-16-le"))
    for size in (0, 100, *(2048 * sectors for sectors in (200, 257, 262)), end // 2, end):
        path.write_bytes(whole[:size])
        with pytest.raises(UsageError, match="no Windows ISO, or a damaged one") as refused:
            media.look(path)
        said.add(str(refused.value))
    assert any("the download isn't complete" in line for line in said)
    for sector in range(256, 300):
        path.write_bytes(whole[:sector * 2048] + b"\xa5" * 2048 + whole[(sector + 1) * 2048:])
        try:
            assert len(media.look(path)) == 3       # a sector that isn't looked at
        except UsageError as bad:
            assert "damaged one" in str(bad) or "no Windows medium" in str(bad)


def test_command_line(cli, iso, tmp_path):
    done = cli("win7-image", "--iso", iso, "--look")
    assert done.returncode == 0, done.stderr
    assert "2: Windows 7 PROFESSIONAL, x64, en-US, SP1 (build 7601)" in done.stderr
    done = cli("win7-image", "--iso", iso, "--key", "12345-abcde")
    assert "--key 12345-abcde: a product key has five groups of five" in \
        done.stderr.splitlines()[-1] and done.returncode == 2
    (tmp_path / "x.iso").write_bytes(b"x" * 1000000)
    assert "no Windows ISO" in one_line(cli("win7-image", "--iso", tmp_path / "x.iso"), 2)


# --- the answer disk -----------------------------------------------------------------------

UNATTEND = "{urn:schemas-microsoft-com:unattend}"
# Component and settings in each pass, as Microsoft's "Unattended Windows Setup Reference" for
# Windows 7 has them: a path that is none of these is not a setting.
REFERENCE = {
    "windowsPE": {
        "Microsoft-Windows-International-Core-WinPE":
            "SetupUILanguage/UILanguage InputLocale SystemLocale UILanguage UserLocale",
        "Microsoft-Windows-Setup":
            "RunSynchronous/RunSynchronousCommand/Order RunSynchronous/RunSynchronousCommand/Path "
            "DynamicUpdate/Enable DynamicUpdate/WillShowUI DiskConfiguration/WillShowUI "
            "DiskConfiguration/Disk/DiskID DiskConfiguration/Disk/WillWipeDisk "
            "DiskConfiguration/Disk/CreatePartitions/CreatePartition/Order "
            "DiskConfiguration/Disk/CreatePartitions/CreatePartition/Type "
            "DiskConfiguration/Disk/CreatePartitions/CreatePartition/Extend "
            "DiskConfiguration/Disk/ModifyPartitions/ModifyPartition/Order "
            "DiskConfiguration/Disk/ModifyPartitions/ModifyPartition/PartitionID "
            "DiskConfiguration/Disk/ModifyPartitions/ModifyPartition/Active "
            "DiskConfiguration/Disk/ModifyPartitions/ModifyPartition/Format "
            "DiskConfiguration/Disk/ModifyPartitions/ModifyPartition/Label "
            "DiskConfiguration/Disk/ModifyPartitions/ModifyPartition/Letter "
            "ImageInstall/OSImage/InstallFrom/MetaData/Key "
            "ImageInstall/OSImage/InstallFrom/MetaData/Value "
            "ImageInstall/OSImage/InstallTo/DiskID ImageInstall/OSImage/InstallTo/PartitionID "
            "ImageInstall/OSImage/WillShowUI UserData/AcceptEula UserData/FullName "
            "UserData/Organization UserData/ProductKey/Key UserData/ProductKey/WillShowUI"},
    "offlineServicing": {"Microsoft-Windows-LUA-Settings": "EnableLUA"},
    "specialize": {
        "Microsoft-Windows-Deployment":
            "RunSynchronous/RunSynchronousCommand/Order RunSynchronous/RunSynchronousCommand/Path",
        "Microsoft-Windows-Shell-Setup": "ComputerName TimeZone",
        "Microsoft-Windows-Security-SPP-UX": "SkipAutoActivation",
        "Microsoft-Windows-ErrorReportingCore": "DisableWER"},
    "oobeSystem": {
        "Microsoft-Windows-International-Core": "InputLocale SystemLocale UILanguage UserLocale",
        "Microsoft-Windows-Shell-Setup":
            "OOBE/HideEULAPage OOBE/HideWirelessSetupInOOBE OOBE/NetworkLocation "
            "OOBE/ProtectYourPC OOBE/SkipMachineOOBE OOBE/SkipUserOOBE "
            "UserAccounts/LocalAccounts/LocalAccount/Name "
            "UserAccounts/LocalAccounts/LocalAccount/Group "
            "UserAccounts/LocalAccounts/LocalAccount/Password/Value "
            "UserAccounts/LocalAccounts/LocalAccount/Password/PlainText AutoLogon/Enabled "
            "AutoLogon/Username AutoLogon/LogonCount AutoLogon/Password/Value "
            "AutoLogon/Password/PlainText FirstLogonCommands/SynchronousCommand/Order "
            "FirstLogonCommands/SynchronousCommand/CommandLine "
            "FirstLogonCommands/SynchronousCommand/Description"},
}


def leaves(node, path=""):
    for child in node:
        name = f"{path}{child.tag.removeprefix(UNATTEND)}"
        if len(child):
            yield from leaves(child, f"{name}/")
        else:
            yield name, child.text


@pytest.mark.parametrize("index, arch", [(1, "amd64"), (2, "x86")])
def test_answer_file(iso, index, arch):
    """Each setting is one of that component in that pass, for the architecture of the image."""
    edition = media.look(iso)[index]
    root = ET.fromstring(answer.answer_file(edition, "AAAAA-<&>").encode())
    found = {}
    for settings in root:
        for component in settings:
            assert component.get("processorArchitecture") == arch
            assert component.get("publicKeyToken") == "31bf3856ad364e35"
            where = found.setdefault(settings.get("pass"), {})
            where[component.get("name")] = dict(leaves(component))
    assert set(found) == set(REFERENCE)
    for name, components in REFERENCE.items():
        assert set(found[name]) == set(components)
        for component, paths in components.items():
            assert set(found[name][component]) == set(paths.split()), component
    setup = found["windowsPE"]["Microsoft-Windows-Setup"]
    assert setup["ImageInstall/OSImage/InstallFrom/MetaData/Value"] == str(edition.index)
    assert setup["UserData/ProductKey/Key"] == "AAAAA-<&>"
    assert found["oobeSystem"]["Microsoft-Windows-International-Core"]["UILanguage"] == \
        edition.language
    commands = [text for components in found.values() for settings in components.values()
                for path, text in settings.items() if "ommand" in path and text.startswith("cmd")]
    said = [phase for command in commands for phase in re.findall(r"phase=(\w+)>", command)]
    assert said == ["windowspe", "specialize"] and len(commands) == 3
    assert not re.search("@[A-Z]+@", ET.tostring(root, encoding="unicode"))


def test_answer_disk(iso, tmp_path):
    """Read back: Setup finds the answer in the root, the script finds what it names."""
    kit = tmp_path / "out" / "nt-kit"
    assert make_kit(kit.parent).returncode == 0
    disc = answer.make(tmp_path / "answer.iso", media.look(iso)[1], verifier=True, kit=kit)
    subprocess.run(["xorriso", "-osirrox", "on", "-indev", disc, "-extract", "/",
                    tmp_path / "read"], check=True, capture_output=True)
    read = tmp_path / "read"
    assert {path.name for path in read.iterdir()} == {"Autounattend.xml", "vq7"}
    script = (read / "vq7" / "firstlogon.cmd").read_bytes()
    assert script.count(b"\n") == script.count(b"\r\n")
    named = re.findall(r'"%(HERE|KIT)%\\?([\w.]+)"', script.decode())
    assert ("HERE", "vq7.cer") in named and ("KIT", "vq7test.inf") in named
    for where, name in named:
        for folder in ("x64", "x86") if where == "KIT" else ("",):
            assert (read / "vq7" / folder / name).is_file(), name
    assert (read / "vq7" / "verifier.txt").exists()
    with pytest.raises(RigError, match="run `make nt-kit`"):
        answer.make(tmp_path / "b.iso", media.look(iso)[1], kit=tmp_path / "none")


# --- the watch over Setup --------------------------------------------------------------------

class Clock:
    time = 0.0

    def __call__(self):
        return self.time


@pytest.fixture
def watch():
    clock, told = Clock(), []
    progress = Progress(clock, told.append)
    progress.clock, progress.told = clock, told
    return progress


def say(watch, *lines):
    for line in lines:
        watch.feed(f"{line}\r\n".encode())


def test_an_installation_that_goes_well(watch):
    watch.feed(b"SeaBIOS\r\n\x1b[2Jvq7-setup pha")
    watch.feed(b"se=windowspe\r\n")
    watch.reset()
    say(watch, "vq7-setup phase=specialize", "vq7-setup phase=specialize")
    watch.reset()
    say(watch, "vq7-setup phase=firstlogon", "vq7-setup step=root", "vq7-setup phase=done")
    watch.check()
    watch.ended()
    assert [line.split(":")[0] for line in watch.told] == [
        "windowspe", "specialize", "firstlogon", "  root", "done"]


@pytest.mark.parametrize("phase", list(PHASES))
def test_each_phase_has_its_time(watch, phase):
    if phase != "start":
        say(watch, f"vq7-setup phase={phase}", "vq7-setup step=driver")
    watch.clock.time += PHASES[phase][1] - 1
    watch.check()
    watch.clock.time += 2
    with pytest.raises(Hang, match=f"stuck: {re.escape(PHASES[phase][0])}"):
        watch.check()
    slow = Progress(Clock(), watch.told.append, EMULATED)
    slow._clock.time = PHASES["start"][1] * EMULATED - 1
    slow.check()


def test_failures_of_an_installation(watch):
    say(watch, "vq7-setup phase=firstlogon")
    with pytest.raises(GuestError, match=r"failed at driver \(exit code 5\)"):
        say(watch, "vq7-setup failed step=driver code=5")
    with pytest.raises(GuestCrash, match="turned itself off in the phase firstlogon"):
        watch.ended()
    for _ in range(MOST_RESETS):
        watch.reset()
    with pytest.raises(GuestCrash, match="restarts without end: 9 times"):
        watch.reset()


def test_what_setup_says_without_end_is_not_kept(watch):
    for _ in range(100):
        watch.feed(b"x" * 65536)
    assert len(watch.log) <= MOST_LOG and len(watch._rest) <= MOST_LOG
    say(watch, "", "vq7-setup phase=windowspe")
    assert watch.phase == "windowspe"


def test_only_what_is_ours_is_removed(tmp_path):
    folder = tmp_path / "win7.qcow2.log"
    job._make_anew(folder)
    (folder / "console.log").touch()
    job._make_anew(folder)
    assert not (folder / "console.log").exists()
    for other in (tmp_path / "a file", tmp_path / "a folder", tmp_path / "a link"):
        {"a file": other.touch, "a folder": other.mkdir,
         "a link": lambda to=other: to.symlink_to(tmp_path / "nowhere")}[other.name]()
        with pytest.raises(UsageError, match="is in the way"):
            job._make_anew(other)


# --- the image -----------------------------------------------------------------------------

def test_sealed_image(iso, tmp_path):
    kit = tmp_path / "kit"
    for arch in ("x86", "x64"):
        (kit / arch).mkdir(parents=True)
        for name in ("vq7test.sys", "vq7test.inf", "vq7test.cat", "vq7agent.exe"):
            (kit / arch / name).write_bytes(name.encode())
    image = tmp_path / "win7.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, "1M"], check=True)
    edition = media.look(iso)[1]
    facts = manifest.seal(image, iso, edition, kit, {"verifier": False})
    assert facts["windows"] == "Windows 7 PROFESSIONAL" and len(facts["iso"]["sha256"]) == 64
    assert not image.stat().st_mode & 0o222
    system = guests.chosen("win7", image, "x64")
    system.check()
    assert system.facts()["guest"] == "win7 win7.qcow2 x64, Windows 7 PROFESSIONAL SP1"
    with pytest.raises(UsageError, match="ARCH=x86, but .* is x64"):
        guests.chosen("win7", image, "x86").check()
    image.chmod(0o644)
    with open(image, "ab") as file:
        file.write(b"x")
    with pytest.raises(RigError, match="was written to since it was made"):
        guests.chosen("win7", image).check()
    for text in ("{}", "[]", json.dumps({"version": 1, "image size": image.stat().st_size})):
        manifest.path_of(image).write_text(text)
        with pytest.raises(RigError, match="can't be read"):
            guests.chosen("win7", image).check()
    manifest.path_of(image).unlink()
    guests.chosen("win7", image).check()        # made by hand
