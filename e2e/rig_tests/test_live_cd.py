# SPDX-License-Identifier: MIT
"""docs/guests.md, "By registry keys, for a live CD", word by word on a CD that boots ntcompat and
has the folders of an NT: what is in its hives then is what the INF says, and it still boots."""

import re
import shutil
import struct
import subprocess

import pytest

import hive
import inf_rules
import nt_image
from kit_files import PACKAGE, make
from test_cli import known_qemu, qemu, qemu_cli     # noqa: F401, fixtures
from test_guests import run_on, verdicts

DOCS = PACKAGE.parents[1] / "docs" / "guests.md"
SYSTEM, SOFTWARE = (f"reactos/system32/config/{name}" for name in ("system", "software"))
LOADERS = {"isolinux.bin", "boot.cat"}      # what says where on the CD they are
SZ, EXPAND_SZ, DWORD = 1, 2, 4

pytestmark = pytest.mark.skipif(not shutil.which("hivexregedit"),
                                reason="no hivexregedit: ci/setup.sh kit")


def section():
    text = DOCS.read_text().partition("### By registry keys, for a live CD\n")[2]
    return text.partition("\n### ")[0]


def commands():
    """The block of commands in the documentation."""
    (block,) = re.findall(r"(?:^    .*\n)+", section(), re.M)
    return re.sub(r"(?m)^    ", "", block)


def run(folder, text):
    done = subprocess.run(["bash", "-e", "-c", text], cwd=folder, text=True, capture_output=True)
    assert done.returncode == 0, f"{text}: {done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the user is: a kit, x.iso; and y.iso, made as they are told."""
    folder = tmp_path_factory.mktemp("walk")
    done = make(folder / "build")
    assert done.returncode == 0, done.stderr
    nt_image.make(folder / "x.iso", settings=(), late_s=0.1, files={
        SYSTEM: hive.empty(), SOFTWARE: hive.empty(),
        "reactos/system32/drivers/beep.sys": b"another driver"})
    run(folder, commands())
    return folder


def read_back(folder, image):
    """The files of an image."""
    out = folder / f"{image}.read"
    if not out.exists():
        run(folder, f"xorriso -osirrox on -indev {image} -extract / {image}.read; "
            f"chmod -R u+w {image}.read")
    return out


def text(value, kind=SZ):
    return kind, (value + "\0").encode("utf-16-le")


def number(value):
    return DWORD, struct.pack("<I", value)


def what_the_inf_says(raw, control_set):
    """The keys that installing it leads to, from a parser of its own."""
    inf = inf_rules.Check(raw)
    of = {name: {(key or "").lower(): [inf.text(each) for each in fields]
                 for key, fields in lines} for name, lines in inf.sections.items()}
    guid, service = of["version"]["classguid"][0], of["vq7.service"]
    keys = {rf"{control_set}\services\vq7test": {
        "DisplayName": text(service["displayname"][0]),
        **{name: number(int(service[of_inf][0], 0)) for name, of_inf in (
            ("Type", "servicetype"), ("Start", "starttype"), ("ErrorControl", "errorcontrol"))},
        "ImagePath": text(service["servicebinary"][0].replace("%12%", r"system32\drivers"),
                          EXPAND_SZ)}}
    keys[rf"{control_set}\services\vq7test\parameters"] = {
        name: number(int(data, 0)) if int(flags, 0) & 1 else text(data)
        for _, (_, _, name, flags, data) in inf.sections["vq7.parameters"]}
    keys[rf"{control_set}\control\class\{guid}".lower()] = {
        "": text(inf.text(inf.sections["vq7.class"][0][1][-1])),
        "Class": text(of["version"]["class"][0])}
    for _, (_, *ids) in inf.sections["vq7.ntx86.6.1"]:
        for each in ids:
            path = rf"{control_set}\control\criticaldevicedatabase\{each.replace(chr(92), '#')}"
            keys[path.lower()] = {"ClassGUID": text(guid), "Service": text("vq7test")}
    return keys


def test_the_hive_says_what_the_inf_says(folder):
    kit = folder / "build" / "nt-kit" / "x86"
    found = hive.Hive((read_back(folder, "y.iso") / SYSTEM).read_bytes()).keys()
    expected = what_the_inf_says((kit / "vq7test.inf").read_bytes(), "controlset001")
    assert len(expected) == 3 + 128
    for path, values in expected.items():
        assert found[path] == values, path
    agent = found.pop(r"controlset001\services\vq7agent")
    assert agent["ImagePath"] == text(r"%SystemRoot%\system32\vq7agent.exe service", EXPAND_SZ)
    assert agent["Start"] == number(2) and agent["Type"] == number(0x10)
    assert {path for path, values in found.items() if values} == set(expected), "nothing else"


def test_a_fault_in_the_hive_would_be_seen(folder):
    """The comparison isn't with itself."""
    raw = (folder / "build" / "nt-kit" / "x86" / "vq7test.inf").read_bytes()
    found = hive.Hive((read_back(folder, "y.iso") / SYSTEM).read_bytes()).keys()
    for old, new in ((b"StartType=3", b"StartType=2"), (b"60000", b"60001"),
                     (b"DEV_1042", b"DEV_2042"), (b"Class=Vq7Test", b"Class=Vq7Text"),
                     (b"%12%\\vq7test.sys", b"%12%\\vq7text.sys")):
        assert any(found.get(path) != values for path, values in
                   what_the_inf_says(raw.replace(old, new, 1), "controlset001").items()), old


def test_the_cd_has_driver_and_agent(folder):
    before, after = read_back(folder, "x.iso"), read_back(folder, "y.iso")
    kit = folder / "build" / "nt-kit" / "x86"
    new = {"reactos/system32/drivers/vq7test.sys", "reactos/system32/vq7agent.exe"}
    for name in new:
        assert (after / name).read_bytes() == (kit / name.rpartition("/")[2]).read_bytes()
    files = {str(path.relative_to(after)) for path in after.rglob("*") if path.is_file()}
    assert {name for name in files if not (before / name).is_file()} == new
    assert {name for name in files - new if (before / name).read_bytes()
            != (after / name).read_bytes()} - LOADERS == {SYSTEM}


def test_what_else_a_system_may_want(folder):
    """The table's commands: is the framework known? If not, its keys; and the agent by Run."""
    (folder / "cd2").mkdir()
    shutil.copytree(read_back(folder, "y.iso"), folder / "cd2", dirs_exist_ok=True)
    asked, run_key = (re.search(pattern, section())[1].replace("cd/", "cd2/") for pattern in (
        r"`(hivexregedit --export [^`]*)`", r"`(hivexregedit --merge [^`]*-run-hive\.reg)`"))
    done = subprocess.run(["bash", "-c", asked], cwd=folder, text=True, capture_output=True)
    assert done.returncode != 0 and "Wdf01000" in done.stderr
    merge = commands().partition("hivexregedit")[2].partition("\nxorriso")[0]
    run(folder, "hivexregedit" + merge.replace("vq7test-hive", "wdf01000-hive")
        .replace("cd/", "cd2/"))
    assert "ImagePath" in run(folder, asked)
    found = hive.Hive((folder / "cd2" / SYSTEM).read_bytes()).keys()
    assert found[r"controlset001\control\wdf\kmdf\kmdflibrary\versions\1"] == \
        {"Service": text("Wdf01000")}
    service = found[r"controlset001\services\wdf01000"]
    assert (service["Type"], service["Start"], service["ImagePath"]) == \
        (number(1), number(3), text(r"system32\drivers\Wdf01000.sys", EXPAND_SZ))
    assert r"controlset001\services\vq7test" in found, "what was there stays"
    run(folder, run_key)
    found = hive.Hive((folder / "cd2" / SOFTWARE).read_bytes()).keys()
    assert found[r"microsoft\windows\currentversion\run"] == {"vq7agent": text("vq7agent.exe")}


@qemu
@pytest.mark.nightly
def test_the_cd_still_boots(qemu_cli, folder):     # noqa: F811
    done = run_on(qemu_cli, folder / "y.iso", "-k", "test_enumeration and pc-modern",
                  "--lacks", "unload")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {verdict for verdict, _ in verdicts(qemu_cli).values()} == {"pass"}
