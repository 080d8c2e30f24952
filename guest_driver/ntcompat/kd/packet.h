// SPDX-License-Identifier: MIT
//
// The packet layer of the kernel debugger's serial protocol, target side. It depends on
// nothing of the kernel: bytes and the time come through KD_PORT, so it runs on the host
// as well (unit/ntcompat, unit/fuzz).
//
// A data packet is acknowledged by the id it carries; ids alternate. Whoever doubts what
// he has got asks for a resend; RESET makes both sides start again at KD_INITIAL_ID.
#ifndef NTC_KD_PACKET_H_
#define NTC_KD_PACKET_H_

#include <stddef.h>
#include <stdint.h>

enum : uint32_t {
    KD_DATA_LEADER = 0x30303030,
    KD_CONTROL_LEADER = 0x69696969,
    KD_INITIAL_ID = 0x80800000,
    KD_SYNC_ID = 0x800, // of the first packet after a start: ids begin here
};
enum : uint8_t { KD_BREAK_IN = 0x62, KD_TRAILER = 0xAA };
enum { KD_HEADER_SIZE = 16, KD_PACKET_MAX = 4000 };

enum KD_PACKET_TYPE : uint16_t {
    KdTypeManipulate = 2,
    KdTypeDebugIo = 3,
    KdTypeAcknowledge = 4,
    KdTypeResend = 5,
    KdTypeReset = 6,
    KdTypeStateChange = 7,
};

struct KD_PORT {
    int (*get)(void *context); // a byte that has arrived; -1: none. Never waits
    void (*put)(void *context, uint8_t byte);
    uint64_t (*now)(void *context); // microseconds; goes on while the machine is frozen
    void *context;
};

struct KD_LINK {
    KD_PORT port;
    uint32_t send_id;     // of the next packet, or of the one not acknowledged yet
    uint32_t expected_id; // of the peer's next packet
    bool break_in;        // the break-in byte has come and nobody has taken it
    bool halted;          // a break-in before a RESET asks for nothing more
    bool pending;         // `raw` holds a packet that came instead of an acknowledgement
    bool delivered;       // `raw` holds the packet that was received last
    uint64_t last_byte;   // when it came
    size_t count;         // bytes in `raw`: a packet, or the beginning of one
    uint8_t raw[KD_HEADER_SIZE + KD_PACKET_MAX + 1];
};

// A span of bytes to send; a packet's payload is two of them.
struct KD_SPAN {
    const void *bytes;
    size_t length;
};

enum KD_RESULT {
    KdDone,
    KdTimedOut,
    KdStateWanted, // the peer has started anew, or asks for the last state again
};

void KdLinkInitialize(KD_LINK *link, const KD_PORT *port);

// Sends one data packet and waits for its acknowledgement, again every `patience`
// microseconds, `attempts` times (0: for ever). An answer (KdTypeManipulate) isn't sent to
// a peer that has started anew: it hasn't asked.
KD_RESULT KdLinkSend(KD_LINK *link, uint16_t type, KD_SPAN header, KD_SPAN data, unsigned attempts,
                     uint64_t patience);

// Waits for a data packet of this type. Its payload is valid until the next call.
KD_RESULT KdLinkReceive(KD_LINK *link, uint16_t type, uint64_t patience, const uint8_t **payload,
                        size_t *length);

// While the machine runs: looks at what has arrived, without waiting. True: the peer wants
// to break in; what stands behind that byte is left where it is.
bool KdLinkPoll(KD_LINK *link);

#endif // NTC_KD_PACKET_H_
