# SPDX-License-Identifier: MIT
"""Other people's guests, whose own virtio-blk drivers say whether our vhost-user device is
right when it behaves: Linux, and the firmware OVMF and U-Boot. `ci/other_guests.sh` brings them.
"""
