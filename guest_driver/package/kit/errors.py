# SPDX-License-Identifier: MIT


class KitError(Exception):
    """Something is missing or wrong; the text is one line with the remedy."""
