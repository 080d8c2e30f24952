// SPDX-License-Identifier: MIT
// The device types that this driver knows. A new one is one file and one line.
#include "driver.h"
#include "blk.h"

// Every other virtio device: started without queues, so that it can be looked at.
static const VQ7_TYPE_OPS GenericType = {
    0,    "virtio device",
    0,    0,
    0,    NULL,
    NULL, NULL,
    NULL, NULL,
    NULL, NULL,
    NULL, NULL,
    NULL, NULL,
    NULL,
};

static const VQ7_TYPE_OPS *const Types[] = {
    &BlkType,
};

const VQ7_TYPE_OPS *Vq7FindType(UINT16 device_type) {
    for (ULONG i = 0; i < RTL_NUMBER_OF(Types); i++) {
        if (Types[i]->type == device_type) {
            return Types[i];
        }
    }
    return &GenericType;
}
