# SPDX-License-Identifier: MIT
"""vq7agent.exe for Windows, run by Wine, with COM1 on a pseudo-terminal: the console protocol as
the suite tests it, by hand and as a service. There is no device, so no I/O. Beside that the INF
and the registry files, as Wine's SetupAPI and registry editor understand them."""

import importlib.util
import pathlib
import shutil
import subprocess
import time
import types

import pytest

import kit_files
import wine_prefix
from kit.inf import Inf
from vq7rig.channel import FaultInjector, SocketChannel, drop, flip, interleave, no_end
from vq7rig.console import Console
from vq7rig.errors import CommandError

pytestmark = pytest.mark.nightly

SERVICE = r"HKLM\System\CurrentControlSet\Services\vq7agent"
SOURCE = r"HKLM\System\CurrentControlSet\Services\EventLog\Application\vq7agent"
NOT_FOUND, NOT_ACTIVE = 1060, 1062      # ERROR_SERVICE_DOES_NOT_EXIST, ERROR_SERVICE_NOT_ACTIVE


@pytest.fixture(scope="module", params=wine_prefix.ARCHITECTURES)
def prefix(tmp_path_factory, request):
    missing = wine_prefix.missing(request.param)
    if missing:
        pytest.skip(missing)
    made = wine_prefix.Prefix(tmp_path_factory.mktemp("wine"), request.param)
    yield made
    made.close()


@pytest.fixture
def com1(prefix):
    port = wine_prefix.Com1()
    prefix.set_com1(port.path)
    yield port
    prefix.end_all()
    port.close()


@pytest.fixture
def machine(com1, tmp_path):
    """What the suite's tests take for a machine; `wait` after an agent was started."""
    faults = FaultInjector(SocketChannel(com1.socket))
    console = Console(faults, tmp_path / "console.log")
    yield types.SimpleNamespace(console=console, faults=faults)
    console.stop_copy()


@pytest.fixture
def by_hand(prefix, machine):
    agent = prefix.start(prefix.agent)
    machine.console.wait_boot(60)
    yield machine
    wine_prefix.end(agent)


def suite(name):
    """A module of the suite's."""
    path = pathlib.Path(__file__).parents[1] / "tests" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"suite_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def each_case(test):
    """The cases of a parametrized test."""
    (mark,) = [mark for mark in test.pytestmark if mark.name == "parametrize"]
    for case in mark.args[1]:
        yield case if isinstance(case, tuple) else (case,)


def test_console(by_hand):
    """The tests of the suite that need no device, and damaged answers on any line of a long
    one."""
    console = by_hand.console
    assert console.hello["guest"] == "windows" and console.hello["devices"] == "0"
    assert console.command("info")["boot"] == console.boot
    start, lines = suite("test_start"), suite("test_console")
    start.test_help_names_every_command(by_hand)
    for command, name in each_case(start.test_bad_command_is_refused):
        with pytest.raises(CommandError) as refused:
            console.command(command)
        # A command whose numbers are right asks for a device, and there is none.
        assert refused.value.name in (name, "NO_DEVICE")
    for (noise,) in each_case(lines.test_noise_is_refused):
        lines.test_noise_is_refused(by_hand, noise)
    whole = console.command("help")
    for number in (1, 3, len(whole.lines) + 1):
        for fault in (flip, drop, no_end, interleave):
            resends = console.resends
            by_hand.faults.arm(to_host={number: fault})
            assert console.command("help").lines == whole.lines
            assert by_hand.faults.done == 1 and console.resends > resends
    for fault in (flip, drop, no_end):
        by_hand.faults.arm(to_guest={1: fault})
        assert console.command("devices").num("devices") == 0
        assert by_hand.faults.done == 1
    assert "ok version=1 guest=windows" in "\n".join(console.type("info"))
    assert console.command("driver unload", check=False).name == "STATUS_NO_SUCH_DEVICE"


def test_service(prefix, machine):
    """Installed, started, stopped, started again, and nothing is left when it is removed."""
    assert prefix.run(prefix.agent, "install").returncode == 0
    assert prefix.value(SERVICE, "Start") == "0x2"
    assert prefix.value(SERVICE, "ImagePath").endswith(r'vq7agent.exe" service')
    assert prefix.value(SERVICE, "ImagePath").startswith('"')
    assert prefix.value(SOURCE, "EventMessageFile").endswith("vq7agent.exe")
    assert prefix.value(SOURCE, "TypesSupported") == "0x7"
    assert prefix.run(prefix.agent, "install").returncode == 0, "again: brought up to date"
    boots = set()
    for _ in range(2):
        assert prefix.run(prefix.agent, "start").returncode == 0
        machine.console.boot = None
        machine.console.wait_boot(60)
        assert machine.console.command("info")["guest"] == "windows"
        boots.add(machine.console.boot)
        began = time.monotonic()
        assert prefix.run(prefix.agent, "stop").returncode == 0
        assert time.monotonic() - began < 20, "it waits for no command and no byte"
    assert len(boots) == 2
    refused(prefix.run(prefix.agent, "stop"), "the service can't be stopped", NOT_ACTIVE)
    assert prefix.run(prefix.agent, "uninstall").returncode == 0
    refused(prefix.run(prefix.agent, "start"), "the service can't be started", NOT_FOUND)
    assert prefix.value(SOURCE, "EventMessageFile") is None


def test_service_without_a_port(prefix, machine):
    """It ends with an error, and doesn't claim to run."""
    prefix.set_com1("/dev/no-such-port")
    assert prefix.run(prefix.agent, "install").returncode == 0
    prefix.run(prefix.agent, "start")
    deadline = time.monotonic() + 30
    while (state := prefix.run("sc", "query", "vq7agent").stdout) and "STOPPED" not in state:
        assert time.monotonic() < deadline, state
        time.sleep(0.5)
    refused(prefix.run(prefix.agent, "stop"), "the service can't be stopped", NOT_ACTIVE)
    assert prefix.run(prefix.agent, "uninstall").returncode == 0
    done = prefix.run(prefix.agent)
    assert done.returncode == 1 and "vq7agent: COM1 can't be opened" in done.stdout


def refused(done, words, error):
    assert done.returncode == 1
    assert f"vq7agent: {words} (Windows error {error})" in done.stdout


def test_wrong_use(prefix):
    for words in (["serve"], ["install", "now"], ["service"]):
        done = prefix.run(prefix.agent, *words)
        if words == ["service"]:
            assert done.returncode == 1 and "service control manager" in done.stdout
        else:
            assert done.returncode == 2 and "usage: vq7agent" in done.stdout


INF_NAMES = {"x64": "amd64", "x86": "x86"}
DRIVER = r"HKLM\System\CurrentControlSet\Services\vq7test"
CLASS = r"HKLM\System\CurrentControlSet\Control\Class"
DATABASE = r"HKLM\System\CurrentControlSet\Control\CriticalDeviceDatabase"


@pytest.fixture(scope="module")
def kit(tmp_path_factory, prefix):
    out = tmp_path_factory.mktemp("kit")
    assert kit_files.make(out).returncode == 0
    return out / "nt-kit" / prefix.arch


def installed(prefix, inf):
    """What the INF asks for, as the registry has it."""
    service = {key.lower(): inf.text(fields[0]) for key, fields in inf.entries("Vq7.Service")}
    assert prefix.value(DRIVER, "DisplayName") == service["displayname"]
    for name, key in (("Type", "servicetype"), ("Start", "starttype"),
                      ("ErrorControl", "errorcontrol")):
        assert prefix.value(DRIVER, name) == hex(int(service[key]))
    assert prefix.value(DRIVER, "ImagePath").lower().endswith(r"system32\drivers\vq7test.sys")
    for _, subkey, name, flags, text in inf.rows("Vq7.Parameters"):
        wanted = hex(int(text, 0)) if int(flags, 0) & 1 else text
        assert prefix.value(rf"{DRIVER}\{subkey}", name) == wanted


def test_inf_and_registry_file(prefix, kit):
    """SetupAPI copies what the INF names and makes the service that it names; the registry file
    makes the same one, and binds each device of the INF."""
    prefix.stay_up()
    inf = Inf((kit / "vq7test.inf").read_text("ascii"))
    path = "Z:" + str(kit / "vq7test.inf").replace("/", "\\")
    assert prefix.value(DRIVER, "Type") is None
    for section in ("ClassInstall32", "Vq7.Install.NT"):
        prefix.run("rundll32", "setupapi,InstallHinfSection", section, "128", path)
    copied = prefix.folder / "drive_c" / "windows" / "system32" / "drivers" / "vq7test.sys"
    assert copied.read_bytes() == (kit / "vq7test.sys").read_bytes()
    installed(prefix, inf)
    assert prefix.run("reg", "delete", DRIVER, "/f").returncode == 0
    prefix.run("regedit", "/s", "Z:" + str(kit / "vq7test.reg").replace("/", "\\"))
    installed(prefix, inf)
    (guid,) = inf.value("version", "ClassGuid")
    assert prefix.value(rf"{CLASS}\{guid}", "Class") == inf.value("version", "Class")[0]
    bound = prefix.run("reg", "query", DATABASE, "/s", "/v", "Service").stdout
    for _, _, hardware_ids in inf.models()[INF_NAMES[prefix.arch]]:
        for hardware_id in hardware_ids:
            assert hardware_id.replace("\\", "#") + "\r\n" in bound
    assert bound.count("vq7test") == 128
    assert prefix.value(SERVICE, "ImagePath") == r"%SystemRoot%\system32\vq7agent.exe service"
    prefix.run("reg", "delete", SERVICE, "/f")


# --- the script of Windows' first logon ------------------------------------------------------

STUBS = ("certutil", "bcdedit", "powercfg", "pnputil", "verifier", "shutdown")
TRIPLES = {"x64": "x86_64-w64-mingw32", "x86": "i686-w64-mingw32"}


@pytest.fixture(scope="module")
def stubs(tmp_path_factory, prefix):
    """A folder with a stand-in for each program that Wine lacks, or that would end it."""
    folder, triple = tmp_path_factory.mktemp("stubs"), TRIPLES[prefix.arch]
    entry = "StubEntry" if prefix.arch == "x64" else "_StubEntry"
    subprocess.run(["clang", f"--target={triple}", "-O1", "-ffreestanding", "-nostdlib",
                    "-nostdlibinc", "-isystem", f"/usr/{triple}/include", "-fuse-ld=lld",
                    f"-Wl,--entry,{entry}", "-Wl,--subsystem,console", f"-L/usr/{triple}/lib",
                    "-o", folder / "certutil.exe", wine_prefix.HERE / "stub_program.c",
                    "-lkernel32"], check=True)
    for name in STUBS[1:]:
        shutil.copy(folder / "certutil.exe", folder / f"{name}.exe")
    return folder


@pytest.fixture
def first_logon(prefix, kit, stubs, tmp_path):
    """first_logon(fails, code, verifier): (exit code, what it said, what it called)"""
    disc = tmp_path / "vq7"
    shutil.copytree(kit.parent, disc)
    source = kit_files.PACKAGE / "win7" / "firstlogon.cmd"
    (disc / "firstlogon.cmd").write_bytes(source.read_bytes().replace(b"\n", b"\r\n"))
    prefix.stay_up()

    def run(fails="", code=0, verifier=False):
        said, log = tmp_path / "said.txt", tmp_path / "log.txt"
        for path in (said, log):
            path.unlink(missing_ok=True)
        if verifier:
            (disc / "verifier.txt").touch()
        # Unlike COM1, a file would be begun anew by each line.
        script = disc / "firstlogon.cmd"
        script.write_bytes(script.read_bytes().replace(b"\r\n>%VQ7_COM%", b"\r\n>>%VQ7_COM%"))
        prefix.env.update(VQ7_COM=windows_path(said), VQ7_STUB_LOG=windows_path(log),
                          VQ7_STUB_FAILS=fails, VQ7_STUB_CODE=str(code),
                          WINEPATH=windows_path(stubs))
        done = prefix.run("cmd", "/c", windows_path(script))
        said = [line.strip() for line in said.read_text().splitlines()]
        called = [line.replace('"', "") for line in log.read_text().splitlines()]
        return done.returncode, said, called
    yield run
    prefix.run(prefix.agent, "uninstall")
    for name in ("VQ7_COM", "VQ7_STUB_LOG", "VQ7_STUB_FAILS", "VQ7_STUB_CODE", "WINEPATH"):
        prefix.env.pop(name, None)


def windows_path(path):
    return "Z:" + str(path).replace("/", "\\")


def test_first_logon(prefix, first_logon, tmp_path):
    """Each program is called as Windows 7 documents it, and the registry is as it has to be."""
    code, said, called = first_logon(verifier=True)
    assert code == 0, said
    here = windows_path(tmp_path / "vq7")
    assert [line.split(None, 1) for line in called] == [line.split(None, 1) for line in (
        rf"certutil -f -addstore Root {here}\vq7.cer",
        rf"certutil -f -addstore TrustedPublisher {here}\vq7.cer",
        "bcdedit /set testsigning on",
        "bcdedit /dbgsettings serial debugport:2 baudrate:115200",
        "bcdedit /debug on",
        "bcdedit /set recoveryenabled no",
        "bcdedit /set bootstatuspolicy ignoreallfailures",
        "powercfg -change -standby-timeout-ac 0",
        "powercfg -change -monitor-timeout-ac 0",
        "powercfg -h off",
        rf"pnputil -i -a {here}\{prefix.arch}\vq7test.inf",
        "verifier /flags 0x9bb /driver vq7test.sys",
        "shutdown /s /t 0")]
    assert said[0] == "vq7-setup phase=firstlogon" and said[-1] == "vq7-setup phase=done"
    assert [line.partition("step=")[2] for line in said[1:-1]] == [
        "root", "publisher", "testsigning", "debugger", "recovery", "power", "registry",
        "driver", "agent", "verifier"]
    control = r"HKLM\SYSTEM\CurrentControlSet\Control"
    for key, name, value in (
            (rf"{control}\CrashControl", "CrashDumpEnabled", "0x1"),
            (rf"{control}\CrashControl", "AutoReboot", "0x0"),
            (rf"{control}\Windows", "ErrorMode", "0x2"),
            (r"HKCU\Control Panel\Desktop", "ScreenSaveActive", "0"),
            (r"HKLM\SOFTWARE\Microsoft\Windows\Windows Error Reporting", "DontShowUI", "0x1"),
            (r"HKLM\SYSTEM\CurrentControlSet\Services\msahci", "Start", "0x0")):
        assert prefix.value(key, name) == value, name
    assert prefix.value(SERVICE, "Start") == "0x2"
    for name in ("VerifierOn", "EnhancedVerifierOptions"):
        assert prefix.value(rf"{DRIVER}\Parameters\Wdf", name) == "0x1"


def test_first_logon_that_fails(first_logon):
    """It says at which step, and doesn't shut down; what wants a restart is no failure."""
    code, said, called = first_logon("testsigning", 5)
    assert (code, said[-1]) == (1, "vq7-setup failed step=testsigning code=5")
    assert not any("shutdown" in line or "pnputil" in line for line in called)
    code, said, _ = first_logon("pnputil", 1)
    assert (code, said[-1]) == (1, "vq7-setup failed step=driver code=1")
    assert first_logon("pnputil", 3010)[1][-1] == "vq7-setup phase=done"
