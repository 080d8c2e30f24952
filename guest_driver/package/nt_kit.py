#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the kit, a folder and an ISO image of it: nt_kit.py --guest BUILD/guest --out BUILD

For x86 and x64: driver with an embedded signature, INF, catalog, agent, registry files; the
certificate and a README beside them. What has been made is checked (check_kit) before it
takes the place of an older kit.

Exit code: 0 made; 2 wrong use; 3 something is missing or doesn't check; the last line says
what, and the remedy.
"""

import argparse
import datetime
import hashlib
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import check_kit
from kit import authenticode, catalog, certificate, registry
from kit.errors import KitError
from kit.inf import Inf

HERE = pathlib.Path(__file__).resolve().parent
# Our name of an architecture: the INF's, and Inf2Cat's name of Windows 7 for it.
ARCHITECTURES = {"x86": ("x86", "7_X86"), "x64": ("amd64", "7_X64")}
INF_NAME = "vq7test.inf"
AGENT = "vq7agent.exe"
PROGRAMS = ("openssl", "osslsigncode", "xorriso")
VOLUME = "VQ7_NT_KIT"


def run(*command):
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        lines = done.stdout.strip().splitlines() or ["it failed"]
        raise KitError(f"{command[0]}: {lines[-1]}")


def sign(source, target, signer):
    run("osslsigncode", "sign", "-h", "sha1", "-n", "VQ7 virtio test driver",
        "-certs", signer.certificate, "-key", signer.key, "-in", source, "-out", target)


def built(path):
    if not path.is_file():
        raise KitError(f"{path} is missing: run `make guest` first")
    return path


def write_text(path, lines, newline, encoding="ascii"):
    path.write_bytes("".join(line + newline for line in lines).encode(encoding))


def add_catalog(folder, inf, architecture, signer, scratch):
    inf_name, os_name = ARCHITECTURES[architecture]
    members = [catalog.Member(INF_NAME, authenticode.flat_digest((folder / INF_NAME).read_bytes()),
                              False)]
    for name in inf.files():
        members.append(catalog.Member(name, authenticode.digest((folder / name).read_bytes()),
                                      True))
    ids = [hardware_id for _, _, hardware_ids in inf.models()[inf_name]
           for hardware_id in hardware_ids]
    unsigned = scratch / "unsigned.cat"
    unsigned.write_bytes(catalog.unsigned(members, os_name.replace("_", ""), ids, inf.moment()))
    sign(unsigned, folder / inf.value("version", "CatalogFile")[0], signer)


def stamped(text, guest):
    """The INF with date and version of this build, of which Windows takes the newest: the
    version is 1.0, the days since 2000, and the seconds of the day by two."""
    built_at = max(built(guest / architecture / "vq7test.sys").stat().st_mtime
                   for architecture in ARCHITECTURES)
    moment = datetime.datetime.fromtimestamp(built_at, datetime.timezone.utc)
    days = (moment.date() - datetime.date(2000, 1, 1)).days
    seconds = (moment.hour * 60 + moment.minute) * 60 + moment.second
    text, count = re.subn(r"(?m)^DriverVer=.*$",
                          f"DriverVer={moment:%m/%d/%Y},1.0.{days}.{seconds // 2}", text)
    if count != 1:
        raise KitError(f"{INF_NAME} has {count} lines DriverVer")
    return text


def identity(folder, guest, inf_text, architecture, signer):
    """What tells this kit's files from those of another build; signatures differ each time."""
    hashed = hashlib.sha256(inf_text.encode() + signer.der())
    for name in ("vq7test.sys", AGENT):
        hashed.update((guest / architecture / name).read_bytes())
    write_text(folder / "build.txt", [hashed.hexdigest()], "\r\n")


def add_architecture(kit, guest, inf, inf_text, architecture, signer, scratch):
    folder = kit / architecture
    folder.mkdir()
    write_text(folder / INF_NAME, inf_text.splitlines(), "\r\n")
    for name in inf.files():
        sign(built(guest / architecture / name), folder / name, signer)
    sign(built(guest / architecture / AGENT), folder / AGENT, signer)
    for name in (*inf.files(), AGENT):
        pdb = pathlib.PurePath(name).with_suffix(".pdb")
        shutil.copy(built(guest / architecture / pdb), folder)
    add_catalog(folder, inf, architecture, signer, scratch)
    identity(folder, guest, inf_text, architecture, signer)
    inf_name = ARCHITECTURES[architecture][0]
    # As the registry editor writes one itself, with its mark: else it takes text for ANSI.
    write_text(folder / "vq7test.reg",
               registry.registry_file(inf, inf_name, r"SYSTEM\CurrentControlSet"), "\r\n",
               "utf-16")
    hive = r"SYSTEM\ControlSet001"
    for name, lines in (("vq7test", registry.registry_file(inf, inf_name, hive)),
                        ("wdf01000", registry.framework_file(hive)),
                        ("vq7agent-run", registry.run_file())):
        write_text(folder / f"{name}-hive.reg", lines, "\n")


def make(kit, guest, signer, scratch):
    source = HERE / INF_NAME
    text = stamped(source.read_text(encoding="ascii"), guest)
    inf = Inf(text, str(source))
    for architecture in ARCHITECTURES:
        add_architecture(kit, guest, inf, text, architecture, signer, scratch)
    (kit / "vq7.cer").write_bytes(signer.der())
    write_text(kit / "README.txt", (HERE / "kit" / "README.txt").read_text().splitlines(), "\r\n")


def iso(folder, image):
    run("xorriso", "-as", "mkisofs", "-quiet", "-V", VOLUME, "-J", "-r", "-o", image, folder)


def main(arguments):
    parser = argparse.ArgumentParser(prog="nt_kit.py", description="makes the driver package")
    parser.add_argument("--guest", type=pathlib.Path, required=True,
                        help="the folder with x86/ and x64/ of the build")
    parser.add_argument("--out", type=pathlib.Path, required=True,
                        help="gets nt-kit/, nt-kit.iso and, once, the certificate")
    parser.add_argument("--pfx", type=pathlib.Path, help="your own certificate, PKCS #12; "
                        "the variable VQ7_PFX_PASSWORD has its password")
    options = parser.parse_args(arguments)
    for program in PROGRAMS:
        if not shutil.which(program):
            raise KitError(f"no program {program}: apt-get install {program}")
    for architecture in ARCHITECTURES:
        built(options.guest / architecture / AGENT)
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".nt-kit-", dir=options.out) as scratch:
        scratch = pathlib.Path(scratch)
        signer = (certificate.own(scratch, options.pfx) if options.pfx else
                  certificate.made_here(options.out / "certificate"))
        kit = scratch / "nt-kit"
        kit.mkdir()
        make(kit, options.guest, signer, scratch)
        check_kit.check(kit, signer.certificate)
        iso(kit, scratch / "nt-kit.iso")
        final = options.out / "nt-kit"
        shutil.rmtree(final, ignore_errors=True)
        kit.rename(final)
        (scratch / "nt-kit.iso").rename(options.out / "nt-kit.iso")
    print(f"nt-kit: {final}/ and {final}.iso; README.txt there says what to do with it")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (KitError, OSError, ValueError) as error:
        print(f"nt-kit: {error}", file=sys.stderr)
        sys.exit(3)
