// SPDX-License-Identifier: MIT
#ifndef NTC_PNP_LIAR_H_
#define NTC_PNP_LIAR_H_

#include "pnp/pci.h"

// Changes what a driver is told of configuration space.
void PnpLieAboutConfig(const PCI_DEVICE *device, ULONG offset, UCHAR *buffer, ULONG length);

#endif // NTC_PNP_LIAR_H_
