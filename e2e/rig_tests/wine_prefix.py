# SPDX-License-Identifier: MIT
"""Wine, where a test runs vq7agent.exe without a Windows: Debian's for 64-bit programs, and its
32-bit one below build/ (ci/wine32.sh)."""

import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import tty

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build"
ARCHITECTURES = ("x64", "x86")
ROOT32 = BUILD / "wine32" / "root"
SERVER64 = next((p for p in ("/usr/lib/wine/wineserver64", "/usr/lib/wine/wineserver")
                 if os.path.exists(p)), None)


def agent(arch):
    return BUILD / "guest" / arch / "vq7agent.exe"


def missing(arch):
    """Why there can be no prefix, or None."""
    if not agent(arch).exists():
        return f"no {agent(arch)}: make guest"
    if arch == "x86":
        ready = (ROOT32.parent / "ready").exists()
        return None if ready else "no 32-bit Wine: ci/wine32.sh build/wine32"
    return None if shutil.which("wine") and SERVER64 else "no Wine: ci/setup.sh wine"


class Prefix:
    """A Windows of its own in a folder. close() ends all that runs in it."""

    def __init__(self, folder, arch):
        self.folder, self.arch, self.agent = folder, arch, agent(arch)
        self.env = {**os.environ, "WINEPREFIX": str(folder), "WINEDEBUG": "-all", "DISPLAY": "",
                    "WINEDLLOVERRIDES": "mscoree,mshtml="}
        self._wine, self._server = "wine", SERVER64
        if arch == "x86":
            programs = ROOT32 / "usr" / "lib" / "wine"
            self._wine, self._server = str(programs / "wine"), str(programs / "wineserver32")
            libraries = [ROOT32 / "usr/lib/i386-linux-gnu", ROOT32 / "lib/i386-linux-gnu"]
            self.env.update(WINEARCH="win32", WINELOADER=self._wine, WINESERVER=self._server,
                            LD_LIBRARY_PATH=":".join(map(str, libraries)))
        self._up = None
        self.run("wineboot", "-i", timeout=300)

    def run(self, *command, timeout=120):
        """What it says goes to a file: the services that the first program brings up would
        keep a pipe open."""
        with tempfile.TemporaryFile() as said:
            done = subprocess.run([self._wine, *map(str, command)], env=self.env, timeout=timeout,
                                  stdin=subprocess.DEVNULL, stdout=said, stderr=said)
            said.seek(0)
            done.stdout = said.read().decode(errors="replace")
            return done

    def start(self, *command):
        return subprocess.Popen([self._wine, *map(str, command)], env=self.env,
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)

    def stay_up(self):
        """A program that waits: with the last one this Windows would go down, and start its
        services anew with the next."""
        self._up = subprocess.Popen([self._wine, "cmd"], env=self.env, stdin=subprocess.PIPE,
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def end_all(self):
        """The registry is written, and the next program starts all anew."""
        quiet = {"env": self.env, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run([self._server, "-k"], **quiet)
        subprocess.run([self._server, "-w"], **quiet)
        if self._up is not None:
            self._up.stdin.close()
            end(self._up)
            self._up = None

    def set_com1(self, path):
        """Wine takes its ports from the registry, when it starts."""
        self.run("reg", "add", r"HKLM\Software\Wine\Ports", "/v", "COM1", "/d", path, "/f")
        self.end_all()
        self.stay_up()

    def value(self, key, name):
        """A value of the registry as `reg query` shows it, or None."""
        said = self.run("reg", "query", key, "/v", name).stdout
        for line in said.splitlines():
            fields = line.split(None, 2)
            if len(fields) == 3 and fields[0] == name:
                return fields[2].strip()
        return None

    close = end_all


class Com1:
    """A pseudo-terminal; `socket` is its other end as the rig's channels want it."""

    def __init__(self):
        self._end, self._port = os.openpty()
        tty.setraw(self._port)              # stays open: no hang-up between two programs
        self.path = os.ttyname(self._port)
        self._inner, self.socket = socket.socketpair()
        self._thread = threading.Thread(target=self._copy, daemon=True)
        self._thread.start()

    def _copy(self):
        while True:
            ready, _, _ = select.select([self._end, self._inner], [], [])
            try:
                if self._inner in ready:
                    data = self._inner.recv(256)
                    if not data:
                        return
                    os.write(self._end, data)
                if self._end in ready:
                    self._inner.sendall(os.read(self._end, 4096))
            except OSError:
                return

    def close(self):
        self.socket.close()
        self._thread.join(5)
        for fd in (self._end, self._port):
            os.close(fd)


def end(process):
    """A program of a prefix that serves for ever."""
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.wait(30)
