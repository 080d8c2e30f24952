// SPDX-License-Identifier: MIT
#ifndef NTC_WDF_DMA_H_
#define NTC_WDF_DMA_H_

#include "device.h"

namespace wdfldr {

class DmaEnabler : public Object {
  public:
    static constexpr Type kType = Type::DmaEnabler;
    Device *device = nullptr;
    LIST_ENTRY deviceLink{};
    WDF_DMA_ENABLER_CONFIG config{};
    PDMA_ADAPTER adapter = nullptr;
    ULONG mapRegisters = 0;
    size_t maximumFragments = 0;
    bool running = false;
    void OnDispose() override;
};

class CommonBuffer : public Object {
  public:
    static constexpr Type kType = Type::CommonBuffer;
    DmaEnabler *enabler = nullptr;
    size_t length = 0;
    size_t allocated = 0;
    void *base = nullptr; // as allocated
    PHYSICAL_ADDRESS baseLogical{};
    size_t offset = 0; // of the aligned address
    void OnDispose() override;
};

NTSTATUS PowerUpDma(Device *device);
void PowerDownDma(Device *device);

} // namespace wdfldr

#endif // NTC_WDF_DMA_H_
