# SPDX-License-Identifier: MIT
"""The files that an installation's disk consists of, where QEMU ends while another is added."""

import pytest

from vq7rig.win7.layers import Layers, qemu_img


@pytest.fixture
def layers(tmp_path):
    disk = Layers(tmp_path, {})
    disk.begin(1)
    return disk


def above(path, other):
    qemu_img("create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", other, path)


def test_regression_one_that_qemu_has_made_may_have_been_written(layers):
    path = layers.next_name()
    above(path, layers.top)
    assert layers.holds(path)
    layers.add(path, "specialize", 1)
    assert layers.top == path


@pytest.mark.parametrize("what", ["nothing", "half a file", "one above another"])
def test_one_that_is_none(layers, what):
    path = layers.next_name()
    if what == "half a file":
        path.write_bytes(b"QFI\xfb\0\0")
    elif what == "one above another":
        other = layers.folder / "other.qcow2"
        qemu_img("create", "-q", "-f", "qcow2", other, "1G")
        above(path, other)
    assert not layers.holds(path)
