# SPDX-License-Identifier: MIT
"""A QEMU that doesn't answer libvirt."""

import os
import shutil
import xml.etree.ElementTree as ET

from test_cli import known_qemu, qemu, qemu_cli   # noqa: F401

DEAF = """\
#!/bin/sh
case "$*" in
*guest=vq7-*-[0-9],*) exec {deaf} 600 ;;
esac
exec {real} "$@"
"""


@qemu
def test_regression_a_run_does_not_wait_for_ever(qemu_cli, short_path):    # noqa: F811
    """QEMU 7.2 left libvirt's first command lying, and the run stood still."""
    program, deaf = short_path / "bin/qemu-system-x86_64", short_path / "deaf/qemu-system-x86_64"
    for each in (program, deaf):
        each.parent.mkdir()
    os.symlink(shutil.which("sleep"), deaf)         # named as the rig's machines are
    program.write_text(DEAF.format(deaf=deaf, real=shutil.which("qemu-system-x86_64")))
    program.chmod(0o755)
    done = qemu_cli("run", "--accel=tcg", "--qemu", str(program),
                    "tests/test_start.py::test_start[pc-modern]", env={"VQ7_PATIENCE": "0.1"})
    assert done.returncode == 3, done.stdout + done.stderr
    report = qemu_cli.build / "e2e/latest/junit.xml"
    (case,) = ET.parse(report).findall(".//testcase")
    said = case.find("error").get("message")
    assert "QEMU hasn't answered libvirt for 6 s, and was ended" in said, said
