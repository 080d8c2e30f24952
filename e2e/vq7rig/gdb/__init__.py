# SPDX-License-Identifier: MIT
"""gdb on the guest's kernel: through QEMU's gdbstub, or on the ELF core of a crash.

`job` is the rig's side, `images` finds symbols and addresses. `inside`, `unwinder` and `virtq`
run in gdb's own Python: they import nothing but the standard library and this package.
"""
