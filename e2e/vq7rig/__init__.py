# SPDX-License-Identifier: MIT
"""The rig: boots the guest in QEMU through libvirt, talks to its agent over the
serial console, and judges what it did by looking at the disk image itself."""
