# SPDX-License-Identifier: MIT
"""A newer driver build in a finished Windows 7 image: the update disc, the layer over the image and
when it is made anew, with ntcompat behind a boot sector that takes updates (update_standin.S)."""

import re
import subprocess
import types

import pytest

import kit_files
import nt_image
import standins
from test_cli import known_qemu, one_line, qemu, qemu_cli      # noqa: F401, fixtures
from vq7rig import guests, machine
from vq7rig.errors import GuestError, Hang, Lacking, RigError
from vq7rig.win7 import answer, manifest, update
from vq7rig.win7.progress import UPDATE_PHASES, UpdateProgress

FILES = ("vq7test.sys", "vq7test.inf", "vq7test.cat", "vq7agent.exe", "build.txt")


def fake_kit(folder, build="1"):
    for arch in ("x86", "x64"):
        (folder / arch).mkdir(parents=True, exist_ok=True)
        for name in FILES:
            (folder / arch / name).write_text(f"{name} {build}")
    (folder / "vq7.cer").write_text("certificate")
    return folder


# --- what is wanted -----------------------------------------------------------------------

@pytest.fixture
def image(tmp_path):
    path = tmp_path / "win7.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "1M"], check=True)
    return path


@pytest.fixture
def updates(image, tmp_path, monkeypatch):
    """updates(made): layers that are files of a word; `.made` of them."""
    monkeypatch.setattr(update, "BUILD", tmp_path / "build")
    kit = fake_kit(tmp_path / "kit")

    def of(made):
        each = update.Updates(image, "qcow2", made, kit)

        def make(host, path, verifier):
            of.made.append(path)
            path.write_text("layer")
        each._make = make
        return each
    of.made, of.kit = [], kit
    return of


def test_an_image_with_this_build_is_taken_as_it_is(updates, image):
    each = updates({"arch": "x64", "build": "build.txt 1", "verifier": False})
    assert each.over(None) == (image, "qcow2") and not updates.made


@pytest.mark.parametrize("made", [None, {"arch": "x64", "build": "older"}, {"arch": "x64"}])
def test_a_layer_is_made_once_for_a_build(updates, image, made):
    """By hand, of another build, of a rig that wrote no build into manifests."""
    each = updates(made)
    path, form = each.over(None)
    assert form == "qcow2" and path != image and updates.made == [path]
    assert updates(made).over(None) == (path, form) and len(updates.made) == 1
    fake_kit(updates.kit, "2")
    newer, _ = updates(made).over(None)
    assert updates.made == [path, newer] and not path.exists(), "the older layer is of no use"
    image.chmod(0o644)
    with open(image, "ab") as file:
        file.write(b"x")                # another image
    assert updates(made).over(None)[0] not in (path, newer)


def test_the_verifier_has_a_layer_of_its_own(updates):
    made = {"arch": "x64", "build": "build.txt 1", "verifier": False}
    path, _ = updates(made).over(None, verifier=True)
    assert updates.made == [path]
    assert updates({**made, "verifier": True}).over(None, verifier=True)[0] != path
    each = updates(None)
    both = {each.over(None)[0], each.over(None, verifier=True)[0]}
    assert len(both) == 2 and all(one.exists() for one in both)


def test_without_a_kit_the_image_is_taken_as_it_is(updates, image, capsys):
    each = updates(None)
    each.kit = updates.kit / "none"
    assert each.over(None) == (image, "qcow2")
    assert "is taken with the driver that it has" in capsys.readouterr().err
    with pytest.raises(RigError, match="run `make nt-kit`"):
        each.over(None, verifier=True)


def test_the_image_as_it_is_asked_for(image):
    system = guests.chosen("win7", image, no_update=True)
    system.check()
    assert system.backing(machine.Config(), None) == (image, "qcow2")
    with pytest.raises(Lacking, match="UPDATE=no: Driver Verifier isn't on"):
        system.backing(machine.Config(options=("verifier=on",)), None)


def test_watched_tests_have_machines_with_the_verifier():
    def of(system, *marks):
        return guests.watched(types.SimpleNamespace(
            config=types.SimpleNamespace(getoption=lambda _: system),
            definition=types.SimpleNamespace(
                get_closest_marker=lambda name: name in marks or None)), [machine.Config()])
    plain, watched = machine.Config(), machine.Config(options=("verifier=on",))
    assert of("win7", "watched") == [watched] and of("win7") == [plain]
    assert of("ntcompat", "watched") == [plain] and of("nt", "watched") == [plain]
    root = machine.domain_xml(watched, "x", "/g", "/r")
    assert "verifier" not in root, "it is no property of a device"


def test_update_disc(tmp_path):
    """Read back: the agent knows it by its name; the script finds what it names."""
    kit = tmp_path / "out" / "nt-kit"
    assert kit_files.make(kit.parent).returncode == 0
    disc = answer.make_update(tmp_path / "update.iso", verifier=True, kit=kit)
    listed = subprocess.run(["xorriso", "-osirrox", "on", "-indev", disc, "-extract", "/",
                             tmp_path / "read"], check=True, capture_output=True, text=True)
    assert "'VQ7_UPDATE'" in listed.stderr
    agent = kit_files.PACKAGE.parent / "agent" / "win32" / "update.cpp"
    assert 'kLabel[] = L"VQ7_UPDATE"' in agent.read_text()
    read = tmp_path / "read"
    assert {path.name for path in read.iterdir()} == {"vq7"}
    assert (read / "vq7" / "verifier.txt").exists()
    script = (read / "vq7" / "update.cmd").read_bytes()
    assert script.count(b"\n") == script.count(b"\r\n")
    named = re.findall(r'"%(HERE|KIT)%\\?([\w.]+)"', script.decode())
    assert {name for _, name in named} == {"vq7.cer", "vq7agent.exe", "vq7test.inf",
                                           "verifier.txt"}
    for where, name in named:
        for folder in ("x64", "x86") if where == "KIT" else ("",):
            assert (read / "vq7" / folder / name).is_file(), name


# --- what the update says -------------------------------------------------------------------

def test_progress_of_an_update():
    clock, told = types.SimpleNamespace(time=0.0), []
    progress = UpdateProgress(lambda: clock.time, told.append)
    progress.feed(b"vq7-setup phase=update\r\nvq7-setup step=driver\r\n")
    clock.time = UPDATE_PHASES["update"][1] + 1
    with pytest.raises(Hang, match="the update is stuck: the update disc's script runs, in the "
                                   "step driver"):
        progress.check()
    with pytest.raises(GuestError, match="the update disc's script failed at driver"):
        progress.feed(b"vq7-setup failed step=driver code=5\r\n")
    with pytest.raises(RigError, match="older than that; .*UPDATE=no"):
        progress.feed(b"vq7agent 1 windows x86, 1 device\r\n")


# --- from the image to the tests ---------------------------------------------------------------

@pytest.fixture
def windows(tmp_path):
    """windows(fault): an image that takes updates, and then is ntcompat."""
    program = standins.assemble(tmp_path, "update_standin.S", 0x600)

    def make(fault=b"-"):
        iso = nt_image.make(tmp_path / "win7.iso", settings=(), late_s=1)
        data = bytearray(iso.read_bytes())
        assert not any(data[40 * 512:42 * 512]), "an ISO's first 32 KiB are the system's"
        data[41 * 512:42 * 512] = data[:512]
        data[:512] = program(fault)
        iso.write_bytes(data)
        return nt_image.as_qcow2(iso)
    return make


@pytest.fixture
def run(qemu_cli):                                              # noqa: F811
    kit = qemu_cli.build / "nt-kit"
    fake_kit(kit)

    def on(image, what="test_enumeration and pc-modern", *options):
        return qemu_cli("run", "--system", "win7", "--image", image, "--accel=tcg", "-k", what,
                        *options)
    on.kit, on.build = kit, qemu_cli.build
    return on


def consoles(run):
    return [path.read_text(errors="replace") for path in
            (run.build / "e2e" / "latest" / "machines").glob("*/console.log")]


def layers_of(run):
    return sorted(path.name.split("-")[2] for path in (run.build / "guests").glob("*.qcow2"))


@qemu
@pytest.mark.nightly
def test_from_the_image_to_the_tests(run, windows):
    """The layer is made, used by all machines, kept, and made anew for the next build. A test that
    wants the verifier has the layer of that. The image stays as it is."""
    image = windows()
    before = image.read_bytes()
    done = run(image, "(test_enumeration or test_driver_unload) and pc-modern and not intx")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "putting this build into a layer" in done.stderr
    assert layers_of(run) == ["update", "verifier"]
    said = consoles(run)
    assert len(said) == 2 and all("updated" in text for text in said)
    assert "[pc-modern-verifier-on]" in done.stderr
    done = run(image)
    assert done.returncode == 0 and "putting this build" not in done.stderr
    fake_kit(run.kit, "2")
    done = run(image)
    assert done.returncode == 0 and done.stderr.count("putting this build") == 1
    done = run(image, "test_enumeration and pc-modern", "--no-update")
    assert done.returncode == 0 and "putting this build" not in done.stderr
    assert not any("updated" in text for text in consoles(run))
    assert layers_of(run) == ["update", "verifier"]
    assert image.read_bytes() == before


@qemu
@pytest.mark.nightly
@pytest.mark.parametrize("fault, code, words", [
    (b"f", 1, "the update disc's script failed at driver (exit code 5)"),
    (b"o", 3, "it is older than that; install the kit by hand in it once"),
])
def test_an_update_that_fails(run, windows, fault, code, words):
    done = run(windows(fault))
    assert done.returncode == code, done.stdout + done.stderr
    assert words in done.stderr
    assert not list((run.build / "guests").glob("*.qcow2")), "nothing half made is left"


@pytest.mark.parametrize("words", [("verifier=off",), ("verifier=1",)])
def test_verifier_is_on_or_absent(cli, words):
    line = one_line(cli("vm", "modern", "--option", words[0]), 2)
    assert "verifier" in line and "on" in line


def test_manifest_has_the_build(image, tmp_path):
    kit = fake_kit(tmp_path / "kit")
    edition = types.SimpleNamespace(name="Windows 7", arch="x64", release="SP1", build="7601",
                                    language="en-US")
    iso = tmp_path / "x.iso"
    iso.write_bytes(b"iso")
    manifest.seal(image, iso, edition, kit, {"build": update.build_of(kit, "x64")})
    assert manifest.read(image)["build"] == "build.txt 1"


def test_regression_a_kit_without_its_build_is_one_line(tmp_path):
    with pytest.raises(RigError, match="is no kit of this build: No such file.*build.txt"):
        update.build_of(tmp_path, "x64")
