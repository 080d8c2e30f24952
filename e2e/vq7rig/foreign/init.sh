#!/bin/busybox sh
# SPDX-License-Identifier: MIT
# The first process of the Linux guest (linux.py): loads the kernel's virtio drivers, then does
# what comes on COM1, a line each: `NUMBER COMMAND`. When it is done, COM1 has `=NUMBER STATUS`.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmp /tmp
for module in $(cat /modules/order); do
    insmod "/modules/$module" || echo "init: $module isn't loaded" >/dev/kmsg
done
# together COMMAND...: at once; its status is that of one that fails, if any does.
together() {
    local each jobs=
    for each; do
        (eval "$each") &
        jobs="$jobs $!"
    done
    for each in $jobs; do
        wait "$each" || return
    done
}
exec </dev/ttyS0 >/dev/ttyS0 2>&1
stty raw -echo
echo "=0 0"
while read -r number command; do
    (eval "$command") </dev/null
    status=$?
    echo
    echo "=$number $status"
done
