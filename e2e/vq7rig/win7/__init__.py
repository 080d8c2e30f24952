# SPDX-License-Identifier: MIT
"""From a Windows 7 ISO of the user's to an image that the suite runs on."""
