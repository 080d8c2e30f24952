// SPDX-License-Identifier: MIT
//
// What a debugger asks of a stopped machine: requests.cpp finds who answers, and answers
// what is about memory and breakpoints.
#ifndef NTC_KD_REQUESTS_H_
#define NTC_KD_REQUESTS_H_

#include "debugger.h"

struct KDP_REQUEST {
    KD_MANIPULATE *m;    // becomes the answer's header
    const uint8_t *data; // what stood behind it
    uint32_t length;
};

const KD_SPAN KDP_NO_DATA = {nullptr, 0};

void KdpAnswer(const KDP_REQUEST *r, uint32_t status, KD_SPAN data);

// What came with a request, to go with its answer: kept, since an answer may be sent again when
// other bytes have come already.
KD_SPAN KdpEcho(const KDP_REQUEST *r);

static inline uint32_t KdpLeast(uint32_t a, uint64_t b) {
    return a < b ? a : (uint32_t)b;
}

// ---- registers.cpp
void KdpGetContext(const KDP_REQUEST *r);
void KdpSetContext(const KDP_REQUEST *r);
void KdpGetContextPart(const KDP_REQUEST *r);
void KdpSetContextPart(const KDP_REQUEST *r);
void KdpReadControl(const KDP_REQUEST *r);
void KdpWriteControl(const KDP_REQUEST *r);
void KdpAccessMsr(const KDP_REQUEST *r, bool write);

// ---- buses.cpp
void KdpAccessIo(const KDP_REQUEST *r, bool write);
void KdpAccessIoExtended(const KDP_REQUEST *r, bool write);
void KdpAccessBus(const KDP_REQUEST *r, bool write);

#endif // NTC_KD_REQUESTS_H_
