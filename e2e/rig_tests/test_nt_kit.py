# SPDX-License-Identifier: MIT
"""The kit for Windows and other NT systems: what is in it, and that a wrong byte is found."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from kit_files import GUEST, PACKAGE, make
import check_kit
from kit import authenticode, registry
from kit.errors import KitError
from kit.inf import Inf

ARCHITECTURES = {"x86": "x86", "x64": "amd64"}


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kit out")
    done = make(folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def kit(out, tmp_path):
    return shutil.copytree(out / "nt-kit", tmp_path / "kit")


def trusted(out):
    return out / "certificate" / "vq7.pem"


def test_iso_has_what_the_folder_has(out, tmp_path):
    subprocess.run(["xorriso", "-osirrox", "on", "-indev", out / "nt-kit.iso",
                    "-extract", "/", tmp_path / "iso"], check=True, capture_output=True)
    files = {path.relative_to(out / "nt-kit") for path in (out / "nt-kit").rglob("*")}
    assert {path.relative_to(tmp_path / "iso") for path in (tmp_path / "iso").rglob("*")} == files
    assert {f"{a}/{name}" for a in ARCHITECTURES for name in (
        "vq7test.inf", "vq7test.sys", "vq7test.cat", "vq7agent.exe", "vq7test.reg",
        "vq7test-hive.reg", "wdf01000-hive.reg", "vq7agent-run-hive.reg")} < \
        set(map(str, files))
    for name in files:
        if (out / "nt-kit" / name).is_file():
            assert (tmp_path / "iso" / name).read_bytes() == (out / "nt-kit" / name).read_bytes()


@pytest.mark.nightly
def test_certificate_stays(out):
    """A guest that trusts the certificate of a kit trusts the next one's."""
    before = trusted(out).read_bytes()
    assert make(out).returncode == 0
    assert trusted(out).read_bytes() == before
    assert (trusted(out).parent.stat().st_mode & 0o077) == 0


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def position(path, text):
    return path.read_bytes().index(text)


@pytest.mark.parametrize("name, text, said", [
    ("vq7test.sys", b"vq7test: ", "vq7test.sys isn't the file that the catalog names"),
    ("vq7test.inf", b"VQ7 virtio", "vq7test.inf isn't the file that the catalog names"),
    ("vq7test.cat", "2:6.1".encode("utf-16-le"), "isn't meant for Windows 7"),
    ("vq7test.cat", "7X".encode("utf-16-le"), "the catalog isn't for 7X"),
    ("vq7test.cat", r"ven_1af4&dev_1042".encode("utf-16-le"), "hardware IDs"),
    ("vq7agent.exe", b"vq7agent: ", "vq7agent.exe: its embedded signature is of other bytes"),
    ("vq7test.sys", b"This program", "vq7test.sys isn't the file"),
])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_changed_byte_is_found(out, kit, architecture, name, text, said):
    path = kit / architecture / name
    flip(path, position(path, text))
    with pytest.raises(KitError, match="^" + architecture + ": .*" + re.escape(said)):
        check_kit.check(kit, trusted(out))


def test_a_changed_signature_is_found(out, kit):
    flip(kit / "x64" / "vq7test.cat", -10)
    with pytest.raises(KitError, match="osslsigncode: "):
        check_kit.check(kit, trusted(out))


def test_catalog_of_the_other_architecture_is_found(out, kit):
    shutil.copy(kit / "x86" / "vq7test.cat", kit / "x64")
    with pytest.raises(KitError, match="vq7test.sys isn't the file that the catalog names"):
        check_kit.check(kit, trusted(out))


def test_driver_of_the_other_architecture_is_found(out, kit):
    for name in ("vq7test.sys", "vq7test.cat"):
        shutil.copy(kit / "x86" / name, kit / "x64")
    with pytest.raises(KitError, match="the catalog isn't for 7X64"):
        check_kit.check(kit, trusted(out))


@pytest.mark.parametrize("cut", [0, 1, 5])
def test_both_digests_agree_on_the_unsigned_image(cut):
    """Also where the file isn't a multiple of 8 bytes long, as signing would make it."""
    if not (GUEST / "x64" / "vq7test.sys").exists():
        pytest.skip("make guest")
    image = (GUEST / "x64" / "vq7test.sys").read_bytes() + b"x" * cut
    padded = image + bytes(-len(image) % 8)
    assert authenticode.digest(image) == check_kit.Image(padded).digest()


def test_own_certificate(tmp_path):
    environment = {**os.environ, "VQ7_PFX_PASSWORD": "a b"}
    for command in (
            ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=My own",
             "-addext", "extendedKeyUsage=codeSigning", "-keyout", "k", "-out", "c"],
            ["pkcs12", "-export", "-inkey", "k", "-in", "c", "-out", "own.pfx",
             "-passout", "env:VQ7_PFX_PASSWORD"]):
        subprocess.run(["openssl", *command], cwd=tmp_path, env=environment, check=True,
                       capture_output=True)
    pfx = tmp_path / "own.pfx"
    done = make(tmp_path / "b", "--pfx", pfx, env=environment)
    assert done.returncode == 0, done.stderr
    check_kit.check(tmp_path / "b" / "nt-kit", tmp_path / "c")
    assert b"My own" in (tmp_path / "b" / "nt-kit" / "vq7.cer").read_bytes()
    assert {path.name for path in (tmp_path / "b").iterdir()} == {"nt-kit", "nt-kit.iso"}
    done = make(tmp_path / "b", "--pfx", pfx, env={**environment, "VQ7_PFX_PASSWORD": "wrong"})
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert "own.pfx can't be read" in line and "VQ7_PFX_PASSWORD" in line


def test_missing_build_is_said(tmp_path):
    done = subprocess.run([sys.executable, "-B", PACKAGE / "nt_kit.py", "--guest",
                           tmp_path / "none", "--out", tmp_path], text=True, capture_output=True)
    assert done.returncode == 3 and "run `make guest` first" in done.stderr.splitlines()[-1]


@pytest.fixture(scope="module")
def inf():
    return Inf((PACKAGE / "vq7test.inf").read_text("ascii"), "vq7test.inf")


def test_inf_has_every_virtio_pci_device(inf):
    """Virtio 1.2, 4.1.2: vendor 1AF4, devices 1000 to 107F, each once."""
    ids = [rf"PCI\VEN_1AF4&DEV_{device:04X}" for device in range(0x1000, 0x1080)]
    assert set(inf.models()) == {"x86", "amd64"}
    for models in inf.models().values():
        assert [i for _, _, ids in models for i in ids] == ids
        assert {section for _, section, _ in models} == {"Vq7.Install"}


def test_inf_names_only_what_it_has(inf):
    """Every section and string that is referred to is there, and no other section."""
    named = {"version", "strings", "manufacturer", "sourcedisksnames", "sourcedisksfiles",
             "destinationdirs", "classinstall32"}
    for section, lines in inf.sections.items():
        for line in lines:
            key, _, values = line.partition("=")
            for token in re.findall(r"%[^%\\]+%", line):
                assert token == "%12%" or inf.text(token)
            if key.lower() in ("addreg", "copyfiles"):
                named |= {value.strip().lower() for value in values.split(",")}
            elif key.lower() in ("addservice", "kmdfservice"):
                named.add(values.split(",")[-1].strip().lower())
    for _, (base, *targets) in inf.entries("manufacturer"):
        named |= {f"{base}.{target}".lower() for target in targets}
    named |= {"vq7.install.nt" + suffix for suffix in ("", ".hw", ".services", ".wdf")}
    assert set(inf.sections) == named


def test_inf_takes_nothing_of_virtio_win(inf):
    """Class and service are no system classes and none of virtio-win's drivers."""
    (guid,) = inf.value("version", "ClassGuid")
    assert not guid.upper().startswith("{4D36E9")
    theirs = {"viostor", "vioscsi", "netkvm", "balloon", "vioser", "viorng", "pvpanic", "vioinput"}
    assert inf.value("vq7.install.nt.services", "AddService")[0].lower() not in theirs


def test_registry_files_say_what_the_inf_says(out, inf):
    for architecture, name in ARCHITECTURES.items():
        folder = out / "nt-kit" / architecture
        assert (folder / "vq7test.reg").read_bytes()[:2] == b"\xff\xfe"
        live = (folder / "vq7test.reg").read_text("utf-16")
        assert live.startswith(registry.HEADER + "\n")  # CRLF in the file
        ids = re.findall(r"CriticalDeviceDatabase\\(.*)\]\n\"ClassGUID\"=\"(.*)\"\n"
                         r"\"Service\"=\"(.*)\"\n", live)
        (guid,) = inf.value("version", "ClassGuid")
        assert [(i.replace("#", "\\"), *rest) for i, *rest in ids] == \
            [(i, guid, "vq7test") for _, _, found in inf.models()[name] for i in found]
        paths = re.findall(r"\"ImagePath\"=hex\(2\):(.*)", live)
        assert [bytes.fromhex(path.replace(",", "")).decode("utf-16-le") for path in paths] == [
            "system32\\drivers\\vq7test.sys\0",
            "%SystemRoot%\\system32\\vq7agent.exe service\0"]
        for _, _, value, flags, text in inf.rows("Vq7.Parameters"):
            written = f"dword:{int(text, 0):08x}" if int(flags, 0) & 1 else f'"{text}"'
            assert f'"{value}"={written}\n' in live
        hive = (folder / "vq7test-hive.reg").read_bytes().decode("ascii")
        assert "\r" not in hive
        keys = re.findall(r"\[HKEY_LOCAL_MACHINE\\SYSTEM\\(.*)\]", hive)
        for number, key in enumerate(keys):
            assert "\\" not in key or key.rpartition("\\")[0] in keys[:number], key
        assert hive.replace("ControlSet001", "CurrentControlSet") == live
