# SPDX-License-Identifier: MIT
"""Runs a command beside a libvirt of its own: daemons, configuration, state and network.

    unshare --mount --pid --net --fork --kill-child --mount-proc \\
        python3 private_libvirt.py [--user NAME] [--elsewhere] -- COMMAND ...

As root. The daemons are Debian's, with Debian's defaults: QEMU runs as libvirt-qemu with
dynamic ownership, virtlogd keeps its logs. What they write is below file systems that
only they see, and they end with this process, so that nothing is left behind and a
libvirt of the system's isn't touched.

--user       the command runs as this user in the group libvirt, with a home of its own
--elsewhere  as on another machine: the daemons see none of the command's files, it sees
             none of theirs, and there is qemu+tcp://127.0.0.1/system alone between them
"""

import argparse
import ctypes
import fcntl
import grp
import os
import pathlib
import pwd
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time

CLONE_NEWNS = 0x00020000
STATE = ("/etc/libvirt", "/var/lib/libvirt", "/var/log/libvirt", "/var/cache/libvirt", "/run")
LIBVIRTD = """\
unix_sock_group = "libvirt"
unix_sock_rw_perms = "0770"
auth_unix_rw = "none"
listen_tls = 0
listen_tcp = 1
listen_addr = "127.0.0.1"
auth_tcp = "none"
"""
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
ROOT = pathlib.Path(__file__).resolve().parents[2]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--user")
    parser.add_argument("--elsewhere", action="store_true")
    parser.add_argument("command", nargs="+")
    args = parser.parse_args()
    loopback_up()
    if args.elsewhere:
        daemons = os.fork()
        if daemons == 0:
            own_mounts()
            for folder in (str(ROOT), tempfile.gettempdir()):
                mount(folder)
            start_daemons()
            while True:
                signal.pause()
    else:
        start_daemons()
    wait_for_port()
    child = subprocess.Popen(args.command, **(as_user(args.user) if args.user else {}))
    sys.exit(reap_until(child.pid))


def loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sh22x", b"lo", 0)
        flags = struct.unpack("16sh22x", fcntl.ioctl(sock, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | IFF_UP))


def own_mounts():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")


def mount(folder):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", folder], check=True)


def start_daemons():
    for folder in STATE:
        os.makedirs(folder, exist_ok=True)
        mount(folder)
    os.makedirs("/run/lock")
    os.makedirs("/var/lib/libvirt/qemu")
    shutil.chown("/var/lib/libvirt/qemu", "libvirt-qemu", "libvirt-qemu")
    pathlib.Path("/etc/libvirt/libvirtd.conf").write_text(LIBVIRTD)
    kvm_as_debian_has_it()
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    subprocess.run(["virtlogd", "--daemon"], check=True, env=environment)
    subprocess.run(["libvirtd", "--daemon", "--listen"], check=True, env=environment)


def kvm_as_debian_has_it():
    """Open to QEMU's user. Where udev didn't see to it, libvirt asks QEMU again and again."""
    kvm = pathlib.Path("/dev/kvm")
    if kvm.exists():
        os.mknod("/run/kvm", 0o660 | stat.S_IFCHR, kvm.stat().st_rdev)
        os.chmod("/run/kvm", 0o660)
        shutil.chown("/run/kvm", "root", "kvm")
        subprocess.run(["mount", "--bind", "/run/kvm", str(kvm)], check=True)


def wait_for_port():
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", 16509), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def as_user(name):
    user, group = pwd.getpwnam(name), grp.getgrnam("libvirt")
    home = tempfile.mkdtemp(prefix="home-", dir="/run")
    os.chown(home, user.pw_uid, user.pw_gid)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("XDG_")}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [group.gr_gid],
            "env": {**environment, "HOME": home, "USER": name}}


def reap_until(pid):
    """As the first process of its name space this one inherits every orphan."""
    while True:
        ended, status = os.wait()
        if ended == pid:
            return os.waitstatus_to_exitcode(status) & 0xFF


if __name__ == "__main__":
    main()
