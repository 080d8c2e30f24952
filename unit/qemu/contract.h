// SPDX-License-Identifier: MIT
//
// The rows of docs/windows7-virtio-driver-contract.md that can be looked at on
// a device, each as a check that runs on every one of QEMU's it speaks of.
#pragma once

#include <tuple>

#include "exchange.h"

namespace qtest {

class Contract;

enum class Of { AnyDevice, ModernInterface, LegacyInterface };

struct Row {
    const char *id; // "C-PCI-1"
    Of of;
    void (*check)(Contract &it);
};

// Of the device as it was found: opened by the library with MSI-X enabled, but
// not reset.
class Contract : public RigTest,
                 public testing::WithParamInterface<std::tuple<Row, Kind, Transport>> {
  public:
    using RigTest::open;
    using RigTest::openFresh;
    using RigTest::registers;
    using RigTest::rig;

    Kind kind() const {
        return std::get<1>(GetParam());
    }
    Transport transport() const {
        return std::get<2>(GetParam());
    }
    bool modern() const {
        return isModern(transport());
    }
    VirtioDevice &device() {
        return *dev;
    }
    PciFunction &pci() {
        return *rig->function;
    }
    // Opens it again without MSI-X, or another one with these properties.
    void useLine();
    void useOther(const std::string &properties);
    // Starts what a driver of the type does all day.
    Exchange &start(UINT64 features = EventIdx | Indirect);
    // Queues that every driver of the type needs.
    UINT16 queues() const {
        return kind() == Kind::Net || kind() == Kind::Console ? 2 : 1;
    }

  protected:
    void SetUp() override;
    void TearDown() override;

  private:
    std::unique_ptr<Exchange> exchange_;
};

std::vector<Row> contractRows();
// By part of the document.
std::vector<Row> pciRows();
std::vector<Row> transportRows();
std::vector<Row> statusRows();
std::vector<Row> queueRows();

} // namespace qtest
