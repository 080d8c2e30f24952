# SPDX-License-Identifier: MIT
"""A catalog made with one thing wrong, and signed: the independent check of a kit finds each. And
what an image's own signature has to be."""

import re
import shutil
import subprocess

import pytest

from kit_files import GUEST, make
import check_kit
import nt_kit
from kit import authenticode, catalog, certificate
from kit.errors import KitError
from kit.inf import Inf

COUNTER_SIGNATURE = bytes.fromhex("2a864886f70d010906")     # RFC 2985, 5.3.6: a time stamp


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("catalogs")
    done = make(folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def signer(out):
    return certificate.Certificate(out / "certificate" / "vq7.pem", out / "certificate" / "vq7.key")


@pytest.fixture
def folder(out, tmp_path):
    return shutil.copytree(out / "nt-kit" / "x64", tmp_path / "x64")


class Parts:
    """What a catalog is made of; a fault changes one of them."""

    def __init__(self, folder):
        inf = Inf((folder / "vq7test.inf").read_text("ascii"))
        self.image = (folder / "vq7test.sys").read_bytes()
        text = (folder / "vq7test.inf").read_bytes()
        self.members = [
            catalog.Member("vq7test.inf", authenticode.flat_digest(text), False),
            catalog.Member("vq7test.sys", authenticode.digest(self.image), True)]
        self.os, self.moment, self.more = "7X64", inf.moment(), {}
        self.ids = [each for *_, ids in inf.models()["amd64"] for each in ids]


def constant(name, value):
    return lambda parts, patch: patch(catalog, name, value)


def member(position, **changes):
    def change(parts, _patch):
        vars(parts.members[position]).update(
            {name: value(parts) for name, value in changes.items()})
    return change


def other_digest(parts, patch):
    """Beside the name, which is a digest, too."""
    real = catalog.der.octets
    digest = parts.members[1].digest
    patch(catalog.der, "octets", lambda data: real(b"x" * 20 if data == digest else data))


FAULTS = {
    "no SHA-1": (constant("SHA1", "2.16.840.1.101.3.4.2.1"), "isn't SHA-1"),
    "another system": (lambda parts, _: parts.more.update(systems="2:6.2"),
                       "isn't meant for Windows 7"),
    "the INF is missing": (lambda parts, _: parts.members.pop(0), "the catalog names"),
    "the driver is missing": (lambda parts, _: parts.members.pop(1), "the catalog names"),
    "another file's name": (member(1, name=lambda _: "other.sys"), "the catalog names"),
    "an image as any file": (member(1, is_image=lambda _: False), "wrong kind of digest"),
    "the digest of all bytes": (member(1, digest=lambda parts: authenticode.flat_digest(
        parts.image)), "vq7test.sys isn't the file that the catalog names"),
    "two digests": (other_digest, "another digest than its name"),
    "another architecture": (lambda parts, _: setattr(parts, "os", "7X86"), "isn't for 7X64"),
    "an ID is missing": (lambda parts, _: parts.ids.pop(), "hardware IDs"),
    "flags": (constant("ATTRIBUTE_FLAGS", 0x10010000), "odd flags"),
    "no trust list": (constant("CTL", "1.3.6.1.4.1.311.10.2"), "no certificate trust list"),
    "no catalog": (constant("CATALOG_LIST", "1.3.6.1.4.1.311.12.1.9"), "is no catalog"),
    "members in disorder": (constant("sorted", lambda members, key: sorted(
        members, key=key, reverse=True)), "aren't sorted"),
}


def remade(folder, parts, signer):
    unsigned = folder.parent / "unsigned.cat"
    unsigned.write_bytes(catalog.unsigned(parts.members, parts.os, parts.ids, parts.moment,
                                          **parts.more))
    (folder / "vq7test.cat").unlink()
    nt_kit.sign(unsigned, folder / "vq7test.cat", signer)


def test_the_catalog_made_again_has_none(folder, signer):
    remade(folder, Parts(folder), signer)
    check_kit.check_architecture(folder, signer.certificate)


@pytest.mark.parametrize("what", FAULTS)
def test_a_fault_is_found(folder, signer, monkeypatch, what):
    fault, said = FAULTS[what]
    parts = Parts(folder)
    with monkeypatch.context() as within:
        fault(parts, lambda where, name, value: within.setattr(where, name, value, raising=False))
        remade(folder, parts, signer)
    with pytest.raises(KitError, match=re.escape(said)):
        check_kit.check_architecture(folder, signer.certificate)


def test_a_signature_that_rtm_does_not_know(folder, signer):
    subprocess.run(["osslsigncode", "sign", "-h", "sha256", "-certs", signer.certificate, "-key",
                    signer.key, "-in", GUEST / "x64" / "vq7test.sys", "-out",
                    folder / "new.sys"], check=True, capture_output=True)
    (folder / "new.sys").rename(folder / "vq7test.sys")
    with pytest.raises(KitError, match="vq7test.sys: its signature isn't SHA-1"):
        check_kit.check_architecture(folder, signer.certificate)


def test_no_signature_has_a_time_stamp(folder):
    """Nobody is asked for one; and the certificate is valid whatever the clock says."""
    for name in ("vq7test.sys", "vq7agent.exe", "vq7test.cat"):
        assert COUNTER_SIGNATURE not in (folder / name).read_bytes()
