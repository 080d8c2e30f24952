# SPDX-License-Identifier: MIT
"""The back end's process: how it starts, what it says, and that it always ends."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

import pytest

from vq7rig import backend as backend_module
from vq7rig.backend import Backend, properties
from vq7rig.errors import RigError, UsageError
from vq7rig.machine import Config, domain_xml
from vq7rig.options import Q

built = pytest.mark.skipif(not backend_module.PROGRAM.is_file(),
                           reason=f"{backend_module.PROGRAM} isn't built: make hostile")


@pytest.fixture
def make(tmp_path):
    made = []

    def start(*settings, **changes):
        image = tmp_path / "disk.img"
        image.write_bytes(bytes(1 << 20))
        made.append(Backend(tmp_path, image, tmp_path / "backend.log", settings, **changes))
        return made[-1].start()
    yield start
    for each in made:
        if each.process is not None:
            with contextlib.suppress(RigError):
                each.stop()


def program(tmp_path, text):
    path = tmp_path / "program"
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(0o755)
    return path


def gone(pid, timeout=10):
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        try:
            if pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


@built
def test_serves_commands_and_ends(make, tmp_path):
    backend = make("seg_max=3", "serial=abc")
    assert "seg_max=3" in backend.command("properties")[0]
    assert backend.status()["requests"] == 0
    with backend.misbehaving("length", value=7, kind="read", when="after:2") as rule:
        (line,) = backend.command("rules")[0]
        assert line == (f"rule={rule} name=length value=7 kind=read when=after:2 seen=0 hits=0")
        assert backend.hits(rule) == 0
    assert backend.command("rules")[0] == []
    with pytest.raises(ValueError, match="unknown misbehaviour 'lie'; known: .*, slow,"):
        backend.misbehave("lie")
    pid = backend.process.pid
    backend.stop()
    backend.stop()
    assert gone(pid) and not backend.control_path.exists() and not backend.socket_path.exists()


@built
def test_a_crash_is_a_rig_error_with_its_last_words(make):
    backend = make()
    os.kill(backend.process.pid, signal.SIGSEGV)
    with pytest.raises(RigError, match="back end (was ended by signal|ended with exit code)"):
        backend.status()
    with pytest.raises(RigError, match="AddressSanitizer: SEGV"):
        backend.stop()
    assert backend.process is None


@built
def test_it_ends_with_the_rig(tmp_path):
    """A rig that is killed leaves no back end behind."""
    (tmp_path / "disk.img").write_bytes(bytes(1 << 20))
    code = ("import os, sys; from vq7rig.backend import Backend; "
            f"b = Backend({str(tmp_path)!r}, {str(tmp_path / 'disk.img')!r}, "
            f"{str(tmp_path / 'log')!r}).start(); print(b.process.pid, flush=True); "
            "os.kill(os.getpid(), 9)")
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True,
                          cwd=pathlib.Path(__file__).parents[1], timeout=60, check=False)
    assert gone(int(done.stdout))


@built
def test_a_signal_to_the_rigs_group_is_not_for_it(make):
    """As Ctrl-C at a terminal is one: the rig ends its machines, then the back ends."""
    backend = make()
    assert os.getpgid(backend.process.pid) != os.getpgid(0)
    assert os.getsid(backend.process.pid) != os.getsid(0)


@built
def test_bad_property(make):
    with pytest.raises(RigError, match="--set=colour=red: unknown property 'colour'"):
        make("colour=red")


def test_not_built(make):
    with pytest.raises(RigError, match="isn't built.*run `make hostile`"):
        make(program="/nowhere/vq7-hostile")


def test_one_that_never_listens(make, tmp_path, monkeypatch):
    monkeypatch.setattr(backend_module, "START_S", 0.2)
    with pytest.raises(RigError, match="doesn't listen"):
        make(program=program(tmp_path, "import time\ntime.sleep(60)\n"))


def test_one_that_does_not_end(make, tmp_path, monkeypatch):
    monkeypatch.setattr(backend_module, "END_S", 0.2)
    text = ("import signal, socket, sys\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "at = [w for w in sys.argv if w.startswith('--control=')][0].partition('=')[2]\n"
            "s = socket.socket(socket.AF_UNIX)\ns.bind(at)\ns.listen()\nc, _ = s.accept()\n"
            "while c.recv(100):\n    c.sendall(b'ok\\n')\nsignal.pause()\n")
    backend = make(program=program(tmp_path, text))
    pid = backend.process.pid
    with pytest.raises(RigError, match="didn't end in 0 s"):
        backend.stop()
    assert gone(pid)


def test_machine_with_a_back_end():
    config = Config(options=("backend=vhost-user", "backend.seg_max=1", "page-per-vq=on"),
                    event_idx=False, queue_size=64, read_only=True)
    root = ET.fromstring(domain_xml(config, "x", "/g", "/r"))
    disk = root.find("devices/disk")
    assert disk.get("type") == "vhostuser" and disk.find("source").get("path") == "/r/blk.sock"
    assert disk.find("readonly") is None and disk.find("serial") is None
    assert root.find("memoryBacking/access").get("mode") == "shared"
    found = {p.get("name"): p.get("value") for p in root.iter(f"{Q}property")}
    assert found["event_idx"] == "false" and found["queue-size"] == "64"
    assert found["page-per-vq"] == "true" and "backend.seg_max" not in found
    assert properties(config) == ["read_only=1", "seg_max=1"]
    more = Config(options=("backend=vhost-user", "block=4096", "serial=", "cpus=2"))
    assert properties(more) == ["blk_size=4096", "serial=", "queues=2"]
    with pytest.raises(UsageError, match="one disk"):
        domain_xml(config.but(options=("backend=vhost-user", "disks=2")), "x", "/g", "/r")
