// SPDX-License-Identifier: MIT
//
// The packet layer of the kernel debugger against any bytes on the line. An input is a list
// of steps: what the target does (poll, receive, send, time passes), and the bytes that come
// before it. Judged: nothing is delivered that wasn't on the line as a whole packet, with the
// id that was due; a break-in wants its byte; each call ends.
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kd/packet.h"
#include "require.h"

namespace {

enum { kMaxStream = 1 << 16 };
enum : uint64_t { kPatience = 300000 };

// The line. `bytes` is all that has ever been on it; `taken` of them are gone.
uint8_t stream[kMaxStream];
size_t arrived, taken;
uint64_t now;
uint64_t puts;

int Get(void *) {
    now += 50;
    if (taken == arrived) {
        now += 50000;
        return -1;
    }
    return stream[taken++];
}

void Put(void *, uint8_t) {
    puts++;
}

uint64_t Now(void *) {
    return now;
}

uint32_t Field(const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

// A second reading of the format: is this payload inside a whole packet with this id?
bool WasSent(const uint8_t *payload, size_t length, uint32_t id) {
    for (size_t at = 0; at + KD_HEADER_SIZE + length + 1 <= taken; at++) {
        const uint8_t *p = stream + at;
        if (Field(p) != KD_DATA_LEADER || Field(p + 4) >> 16 != length ||
            (Field(p + 8) & ~KD_SYNC_ID) != id ||
            memcmp(p + KD_HEADER_SIZE, payload, length) != 0 ||
            p[KD_HEADER_SIZE + length] != KD_TRAILER)
            continue;
        uint32_t sum = 0;
        for (size_t i = 0; i < length; i++)
            sum += payload[i];
        if (sum == Field(p + 12))
            return true;
    }
    return false;
}

void Receive(KD_LINK *link, uint16_t type) {
    const uint32_t due = link->expected_id;
    const uint8_t *payload = nullptr;
    size_t length = 0;
    const KD_RESULT result = KdLinkReceive(link, type, kPatience, &payload, &length);
    if (result != KdDone)
        return;
    fuzz::Require(length <= KD_PACKET_MAX, "a payload that fits");
    fuzz::Require(payload >= link->raw && payload + length <= link->raw + sizeof(link->raw),
                  "a payload within the buffer");
    fuzz::Require(link->expected_id == (due ^ 1), "ids that alternate");
    fuzz::Require(WasSent(payload, length, due), "a packet that was on the line");
}

void Send(KD_LINK *link, uint16_t type) {
    const uint64_t before = puts;
    const KD_SPAN text = {"state", 5};
    (void)KdLinkSend(link, type, text, {nullptr, 0}, 2, kPatience);
    fuzz::Require(puts > before, "something was sent");
}

void Step(KD_LINK *link, uint8_t what) {
    switch (what % 8) {
    case 0:
    case 1:
        if (KdLinkPoll(link))
            link->break_in = false;
        break;
    case 2:
        Receive(link, KdTypeManipulate);
        break;
    case 3:
        Receive(link, KdTypeDebugIo);
        break;
    case 4:
        Send(link, KdTypeStateChange);
        break;
    case 5:
        Send(link, KdTypeManipulate);
        break;
    case 6:
        link->halted = !link->halted;
        break;
    case 7:
        now += 200000;
        break;
    }
}

void Judge(const KD_LINK *link) {
    fuzz::Require(link->count <= sizeof(link->raw), "no more bytes than room");
    fuzz::Require((link->expected_id & ~1u) == KD_INITIAL_ID, "an id of the two");
    fuzz::Require((link->send_id & ~(1u | KD_SYNC_ID)) == KD_INITIAL_ID, "an id of the two");
    if (link->break_in)
        fuzz::Require(memchr(stream, KD_BREAK_IN, taken) != nullptr, "a break-in byte");
}

KD_LINK fuzzed;

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const KD_PORT port = {Get, Put, Now, nullptr};
    arrived = taken = 0;
    now = 1;
    KdLinkInitialize(&fuzzed, &port);
    while (size >= 2) {
        const uint8_t what = data[0];
        size_t bytes = data[1];
        data += 2;
        size -= 2;
        if (bytes > size)
            bytes = size;
        if (bytes > kMaxStream - arrived)
            bytes = kMaxStream - arrived;
        memcpy(stream + arrived, data, bytes);
        arrived += bytes;
        data += bytes;
        size -= bytes;
        Step(&fuzzed, what);
        Judge(&fuzzed);
    }
    return 0;
}
