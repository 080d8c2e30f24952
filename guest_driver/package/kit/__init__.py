# SPDX-License-Identifier: MIT
"""Makes the driver package: what a Windows 7, or another NT, needs to run the suite."""
