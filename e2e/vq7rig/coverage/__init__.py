# SPDX-License-Identifier: MIT
"""In-guest coverage: clang's counters of an instrumented driver, read from the guest's memory.

counters.py reads them from a machine, profile.py puts them into the file that LLVM's tools
read, lines.py says which lines of the sources were executed, and job.py judges that.
"""
