# SPDX-License-Identifier: MIT
"""What is asked of a libvirt daemon, and in which order."""

import pytest

from vq7rig.bindings import libvirt
from vq7rig.libvirt_host import Host

pytestmark = pytest.mark.skipif(libvirt is None, reason="needs libvirt's bindings")


class Daemon:
    """A connection, the one domain it has, and the streams to that."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        def call(*_):
            self.calls.append(name)
            return self
        return call

    def name(self):
        return "vq7-1"

    def listAllDomains(self, which):                # noqa: N802
        self.calls.append("active" if which == libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE
                          else "persistent")
        return []


@pytest.fixture
def daemon():
    return Daemon()


@pytest.fixture
def host(daemon, monkeypatch):
    host = Host("qemu:///session")
    host.conn = host._volumes = daemon
    return host


def test_regression_a_domain_outlives_its_streams(host, daemon, tmp_path):
    """libvirt's daemon stopped for ever when it freed a domain whose stream just ended."""
    dom = host.create("<domain/>", tmp_path)
    host.destroy(dom)
    host.forget(tmp_path)
    assert daemon.calls == ["defineXML", "createWithFlags", "attach", "destroy", "forget",
                            "undefineFlags"]


def test_a_domain_that_does_not_start_is_forgotten(host, daemon, tmp_path):
    def refused(*_):
        raise libvirt.libvirtError("no")
    daemon.createWithFlags = refused
    with pytest.raises(Exception, match="can't start the machine"):
        host.create("<domain/>", tmp_path)
    host.forget(tmp_path)
    assert daemon.calls[-1] == "undefineFlags"


def test_what_is_left_goes_after_its_streams(host, daemon):
    host.close()
    assert daemon.calls == ["active", "close", "persistent", "close"]
