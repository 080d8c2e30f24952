// SPDX-License-Identifier: MIT
//
// A device model whose transport is initialized, for tests that hold for one of the
// transports or for both.
#pragma once

#include <gtest/gtest.h>

#include "virtio_pci_model.h"

namespace model {

struct Started {
    PciDevice d;
    VIRTIO_PCI_DEVICE dev;
    explicit Started(PciDevice device, BOOLEAN msix = FALSE) : d(device) {
        d.msix = msix != FALSE;
        EXPECT_EQ(VirtioPciInit(&dev, model::io(), &d, VirtioPciModeAuto, msix), STATUS_SUCCESS);
    }
    ~Started() {
        EXPECT_TRUE(d.violations.empty()) << d.violations.front();
    }
};

// Parameter: modern, or legacy.
struct Both : testing::TestWithParam<bool> {
    PciDevice make() {
        return GetParam() ? PciDevice::modern() : PciDevice::legacy();
    }
};

} // namespace model
