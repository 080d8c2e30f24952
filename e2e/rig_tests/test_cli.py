# SPDX-License-Identifier: MIT
"""The command line: bad input is one clear line and the documented exit code."""

import fcntl
import hashlib
import os
import shutil
import signal
import time

import pytest

import tiny_guest
from vq7rig import bindings

qemu = pytest.mark.skipif(
    bindings.libvirt is None or not shutil.which("qemu-system-x86_64"),
    reason="needs QEMU and libvirt")


def one_line(done, code):
    assert done.returncode == code, done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if line]
    assert len(lines) == 1 and lines[0].startswith("vq7rig: "), done.stderr
    return lines[0]


def test_unknown_flavour(cli):
    assert "unknown flavour 'foo'; known: legacy, transitional, modern" in \
        one_line(cli("vm", "foo"), 2)


def test_unknown_machine(cli):
    assert "unknown machine 'vax'; known: pc, q35" in \
        one_line(cli("vm", "modern", "--machine", "vax"), 2)


def test_unknown_argument(cli):
    assert "unknown argument '--fast'" in one_line(cli("vm", "modern", "--fast"), 2)


@pytest.mark.parametrize("job", [("run",), ("vm", "modern")])
def test_missing_guest(cli, job):
    (cli.build / "guest/x64/guest.cpio").unlink()
    line = one_line(cli(*job), 3)
    assert "has no guest.cpio; run `make guest`" in line


def test_missing_qemu(cli, tmp_path):
    line = one_line(cli("vm", "modern", env={"PATH": str(tmp_path)}), 3)
    assert "qemu-system-x86_64 is not installed; run `ci/setup.sh rig`" in line


def test_missing_binding(cli, tmp_path):
    (tmp_path / "libvirt.py").write_text("raise ImportError('no')\n")
    line = one_line(cli("vm", "modern", env={"PYTHONPATH": str(tmp_path)}), 3)
    assert "bindings are missing" in line


@pytest.mark.parametrize("uri, words", [
    ("xen:///system", "it must be a URI of libvirt's QEMU driver"),
    ("qemu:///", "it must be a URI of libvirt's QEMU driver"),
    ("qemu+ssh://host/session", "make a storage pool there and name it: --pool NAME"),
])
def test_connection_that_cannot_be(cli, uri, words):
    assert words in one_line(cli("vm", "modern", "--connect", uri), 2)


def test_connection_refused(cli):
    line = one_line(cli("vm", "modern", "--connect", "qemu+tcp://127.0.0.1:1/system"), 3)
    assert "can't connect to qemu+tcp://127.0.0.1:1/system" in line


def test_unknown_test_options(cli):
    assert cli("run", "--no-such-option").returncode == 2
    assert cli("run", "-k", "(((").returncode == 2
    assert "no test was chosen" in one_line(cli("run", "-k", "no_such_test"), 2)


def test_setting_that_the_guest_would_not_take(cli):
    for bad in ("Transport", "vq7test.Transport", "a b.c=d", "vq7test.Transport=a b"):
        assert "must be service.Value=text" in one_line(cli("vm", "modern", "--set", bad), 2)


def test_missing_module(cli, tmp_path):
    """As with a python3 that isn't Debian's."""
    code = "import sys; sys.modules['numpy'] = None\nfrom vq7rig.cli import main\nsys.exit(main())"
    for job in (("run",), ("vm", "modern")):
        assert "lacks numpy" in one_line(cli(*job, code=code), 3)


@pytest.mark.parametrize("options, code, words", [
    (("--connect", "xen:///"), 2, "it must be a URI of libvirt's QEMU driver"),
    ((), 3, "qemu-system-x86_64 is not installed; run `ci/setup.sh rig`"),
])
def test_what_no_test_can_do_without_is_said_once(cli, tmp_path, options, code, words):
    """Not by 200 tests, twice each."""
    assert words in one_line(cli("run", "-m", "smoke", *options, env={"PATH": str(tmp_path)}), code)


def test_collecting_only_is_no_failure(cli):
    assert cli("run", "--collect-only", "-m", "smoke").returncode == 0


def test_results_folder_of_somebody_else_is_not_removed(cli, tmp_path):
    precious = tmp_path / "home" / "thesis"
    precious.mkdir(parents=True)
    assert "isn't a run's folder" in one_line(cli("run", "--results", precious.parent), 2)
    assert precious.exists()


def test_second_rig_in_the_same_tree(cli):
    (cli.build / "e2e").mkdir(parents=True)
    with open(cli.build / "e2e" / "lock", "w", encoding="ascii") as lock:
        lock.write("4711")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "in use by another rig (process 4711)" in one_line(cli("vm", "modern"), 3)


def test_check_names_what_is_missing(cli, tmp_path):
    (cli.build / "guest/x64/guest.cpio").unlink()
    done = cli("check", env={"PATH": str(tmp_path)})
    assert done.returncode == 3
    assert "MISSING  qemu" in done.stdout and "MISSING  guest" in done.stdout
    assert "ok       python" in done.stdout


# --- with QEMU -----------------------------------------------------------------

def left_behind(cli):
    """Processes of a run's machines that still live."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                line = file.read()
        except OSError:
            continue
        if b"qemu-system" in line.split(b"\0")[0] and str(cli.build).encode() in line:
            found.append(pid)
    return found


@pytest.fixture(scope="session")
def known_qemu(tmp_path_factory):
    """What libvirt and the rig have found out of QEMU, so that it isn't asked by every test."""
    return tmp_path_factory.mktemp("known")


@pytest.fixture
def qemu_cli(cli, short_path, known_qemu):
    """The command line with a guest that halts, and its own folder for temporary files."""
    copy_known(known_qemu, cli.build / "e2e/libvirt")
    temps = short_path / "t"
    temps.mkdir()
    (cli.build / "guest/x64/ntcompat.elf").write_bytes(tiny_guest.elf())
    (cli.build / "guest/x64/guest.cpio").write_bytes(b"x" * 512)

    def run(*arguments, **options):
        env = {"TMPDIR": str(temps), **options.pop("env", {})}
        return cli(*arguments, env=env, **options)

    run.build, run.temps = cli.build, temps
    yield run
    copy_known(cli.build / "e2e/libvirt", known_qemu)
    assert not left_behind(cli), "a machine was left behind"
    assert not list(temps.iterdir()), "temporary files were left behind"


def copy_known(source, target):
    """Once: neither what isn't there nor over what is."""
    if (source / "emulators.json").exists() and not (target / "emulators.json").exists():
        shutil.copytree(source / "cache", target / "cache")
        shutil.copy(source / "emulators.json", target)


@qemu
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_console_leaves_nothing(qemu_cli, number):
    job = qemu_cli("vm", "modern", start_only=True)
    wait_for(lambda: left_behind(qemu_cli))
    job.send_signal(number)
    assert job.wait(60) == 130
    assert "interrupted" in job.stderr.read()
    job.stdout.close()
    job.stderr.close()


@qemu
def test_interrupted_run_leaves_nothing(qemu_cli):
    job = qemu_cli("run", "--accel=tcg", "-k", "test_start and pc-modern",
                   start_only=True)
    wait_for(lambda: left_behind(qemu_cli))
    job.send_signal(signal.SIGINT)
    out, err = job.communicate(timeout=60)
    assert job.returncode == 130, out + err
    assert err.splitlines()[-1] == "vq7rig: interrupted"


CREATE_INTERRUPTED = """
import os, signal, sys
from vq7rig import cli, libvirt_host
real = libvirt_host.Host.create
def create(self, xml, run):
    if "ua-scrap" not in xml:
        os.kill(os.getpid(), signal.SIGTERM)
    return real(self, xml, run)
libvirt_host.Host.create = create
sys.exit(cli.main())
"""


@qemu
def test_interrupted_while_a_machine_starts(qemu_cli):
    """Once the interrupt came, no further test may start: no second one is heard."""
    done = qemu_cli("run", "--accel=tcg", "-k", "test_start", code=CREATE_INTERRUPTED)
    assert done.returncode == 130, done.stdout + done.stderr
    assert done.stderr.splitlines()[-1] == "vq7rig: interrupted"


@qemu
def test_killed_rig_is_cleaned_up_by_the_next(qemu_cli):
    job = qemu_cli("vm", "modern", start_only=True)
    wait_for(lambda: left_behind(qemu_cli) and list(qemu_cli.temps.iterdir()))
    job.kill()
    job.communicate()
    assert list(qemu_cli.temps.iterdir())
    qemu_cli("check")
    wait_for(lambda: not left_behind(qemu_cli))


@qemu
def test_console_of_a_silent_guest_without_a_terminal(qemu_cli):
    """Nobody can press Ctrl-]: it ends by itself."""
    done = qemu_cli("vm", "modern", code="import sys\nfrom vq7rig import cli, machine\n"
                    "real = machine.load_matrix()\nreal['vm']['hello_timeout_s'] = 2\n"
                    "machine.load_matrix = lambda: real\nsys.exit(cli.main())")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "no prompt: waited 2.0 s for the prompt" in done.stderr


@qemu
def test_folders_with_odd_letters(qemu_cli, short_path):
    """Their names are part of libvirt's URI, of domain XML, and of QEMU's options."""
    build, temps = short_path / "a, b%20&'c<\xe9", short_path / "t,=\xe9&"
    shutil.copytree(qemu_cli.build / "guest", build / "guest")
    temps.mkdir()
    (build / "guest/x64/ntcompat.elf").write_bytes(
        tiny_guest.elf(tiny_guest.serial("*** STOP: 0x0000007B (0,0,0,0)\r\n")))
    done = qemu_cli("run", "--accel=tcg", "tests/test_start.py::test_start[pc-modern]",
                    env={"VQ7_BUILD": str(build), "TMPDIR": str(temps)})
    assert done.returncode == 1 and "1 guest crash" in done.stdout, done.stdout + done.stderr
    assert list((build / "e2e/latest").glob("machines/*/debug.log")), "the kernel's log is lost"
    # libvirt can't ask a QEMU for its capabilities below a folder with a comma.
    name = f"vq7-libvirt-{os.getuid()}-{hashlib.sha256(os.fsencode(build / 'e2e')).hexdigest()[:8]}"
    shutil.rmtree(f"/tmp/{name}")


@pytest.mark.parametrize("job", [("run",), ("vm", "modern")])
@pytest.mark.parametrize("name", ["VQ7_BUILD", "TMPDIR", "--guest"])
@pytest.mark.parametrize("letter", ["\udcff", "\n"])
def test_folders_whose_names_libvirt_cannot_have(cli, short_path, job, name, letter):
    """Bytes that are no UTF-8, and control characters."""
    odd = short_path / f"x{letter}"
    shutil.copytree(cli.build / "guest/x64", odd)
    shutil.copytree(cli.build / "guest", odd / "guest")
    line = one_line(cli(*job, *((name, odd) if name == "--guest" else ()),
                        env={} if name == "--guest" else {name: str(odd)}), 2)
    assert f"{name} '" in line and f"give {name} another folder" in line


@qemu
def test_guest_that_is_no_kernel(qemu_cli):
    (qemu_cli.build / "guest/x64/ntcompat.elf").write_bytes(b"not a kernel")
    assert "libvirt can't start the machine" in one_line(qemu_cli("vm", "modern"), 3)


@qemu
@pytest.mark.parametrize("machine, flavour", [("pc", "legacy"), ("q35", "modern"), *(
    pytest.param(*each, marks=pytest.mark.nightly) for each in
    (("pc", "transitional"), ("pc", "modern"), ("q35", "legacy"), ("q35", "transitional")))])
def test_bug_check_in_a_real_machine(qemu_cli, flavour, machine):
    """Each domain XML starts, nothing of the first output is lost, and a stop is seen."""
    text = "*** STOP: 0x0000007B (0,0,0,0)\r\n"
    (qemu_cli.build / "guest/x64/ntcompat.elf").write_bytes(
        tiny_guest.elf(tiny_guest.serial(text)))
    done = qemu_cli("run", "--accel=tcg", "tests/test_start.py::test_start",
                    "-k", f"{machine}-{flavour}")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 guest crash" in done.stdout and "0x0000007B" in done.stdout


def wait_for(condition, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)
