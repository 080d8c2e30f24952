# SPDX-License-Identifier: MIT
"""A client of the kernel debugger's serial protocol, for tests and for people.

`wire` and `link` carry packets, `messages` and `context` lay them out, `client` asks a
target for one thing at a time. On top: `pe`, `unwind`, `nt` and `pdb` read what is in the
target's memory and in PDBs, `debugger` puts them together (symbols, breakpoints, stack),
`shell` is `make kd`'s prompt, `bridge` what `make windbg` offers to another debugger.
"""
