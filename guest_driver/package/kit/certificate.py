# SPDX-License-Identifier: MIT
"""The certificate that signs the package: one made here, or the user's own.

RTM's kernel knows SHA-1 signatures only, hence SHA-1 everywhere. The certificate made here
is its own root, which is what test signing wants, and valid from 2009 to 2049: the clock
of a virtual machine may be anywhere.
"""

import os
import subprocess

from .errors import KitError

NAME = "VQ7 test signing"
# `openssl req -x509` can't set the first day before OpenSSL 3.4; `openssl ca` can.
CONFIGURATION = """\
[ca]
default_ca = own
[own]
new_certs_dir = {folder}
database = {folder}/index.txt
rand_serial = yes
default_md = sha1
policy = names
unique_subject = no
[names]
commonName = supplied
[req]
distinguished_name = name
prompt = no
[name]
CN = {name}
[signer]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = codeSigning
subjectKeyIdentifier = hash
"""


def openssl(*arguments, **options):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, **options)
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["it failed"]
        raise KitError(f"openssl {arguments[0]}: {lines[-1]}")
    return done.stdout


class Certificate:
    """Files in PEM: certificate (the signer's first, then its issuers') and key, without a
    password."""

    def __init__(self, certificate, key):
        self.certificate, self.key = certificate, key

    def der(self):
        return openssl("x509", "-in", self.certificate, "-outform", "DER")


def _make(folder):
    configuration = folder / "openssl.cnf"
    configuration.write_text(CONFIGURATION.format(folder=folder, name=NAME))
    (folder / "index.txt").write_text("")
    key, request, part = folder / "vq7.key", folder / "vq7.csr", folder / "vq7.pem.part"
    openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-sha1", "-config", configuration,
            "-keyout", key, "-out", request)
    openssl("ca", "-batch", "-selfsign", "-config", configuration, "-keyfile", key, "-in", request,
            "-startdate", "090722000000Z", "-enddate", "491231235959Z", "-extensions", "signer",
            "-notext", "-out", part)
    part.rename(folder / "vq7.pem")  # last: who finds it finds a key, too


def _read(pfx, *what):
    # Windows 7's own certificate store writes RC2 and 3DES, which OpenSSL 3 has set apart.
    environment = {**os.environ, "VQ7_PFX_PASSWORD": os.environ.get("VQ7_PFX_PASSWORD", "")}
    return openssl("pkcs12", "-legacy", "-in", pfx, "-nodes", "-passin", "env:VQ7_PFX_PASSWORD",
                   *what, env=environment)


def own(folder, pfx):
    """The user's certificate out of a PKCS #12 file. `folder` gets its key: a passing one."""
    key, certificates = folder / "own.key", folder / "own.pem"
    try:
        key.touch(mode=0o600)
        key.write_bytes(_read(pfx, "-nocerts"))
        certificates.write_bytes(_read(pfx, "-nokeys", "-clcerts") +
                                 _read(pfx, "-nokeys", "-cacerts"))
    except KitError as error:
        raise KitError(f"{pfx} can't be read ({error}): PFX= names a PKCS #12 file, the variable "
                       "VQ7_PFX_PASSWORD its password") from None
    return Certificate(certificates, key)


def made_here(folder):
    """The certificate of this build folder, made when it isn't there yet: a guest that trusts
    it goes on trusting it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (folder / "vq7.pem").exists():
        _make(folder)
    return Certificate(folder / "vq7.pem", folder / "vq7.key")
