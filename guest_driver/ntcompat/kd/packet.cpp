// SPDX-License-Identifier: MIT
#include "packet.h"

namespace {

enum KD_EVENT {
    KdIdle,    // nothing has arrived
    KdPartial, // of a packet, or of noise
    KdControl,
    KdData,
    KdDamaged
};

enum : uint64_t { KD_GAP = 500000 };          // longest silence within a packet, microseconds
enum : unsigned { KD_POLL_BYTES = 64 };       // a poll takes no more: it runs in an interrupt
enum : uint64_t { KD_BREAK_IN_GAP = 200000 }; // silence behind a break-in without a RESET

uint32_t Field32(const uint8_t *at) {
    return at[0] | static_cast<uint32_t>(at[1]) << 8 | static_cast<uint32_t>(at[2]) << 16 |
           static_cast<uint32_t>(at[3]) << 24;
}

uint16_t Field16(const uint8_t *at) {
    return static_cast<uint16_t>(at[0] | at[1] << 8);
}

uint16_t Type(const KD_LINK *link) {
    return Field16(link->raw + 4);
}

size_t Length(const KD_LINK *link) {
    return Field16(link->raw + 6);
}

uint32_t Id(const KD_LINK *link) {
    return Field32(link->raw + 8);
}

uint64_t Now(const KD_LINK *link) {
    return link->port.now(link->port.context);
}

uint32_t Sum(const void *bytes, size_t length) {
    const uint8_t *at = static_cast<const uint8_t *>(bytes);
    uint32_t sum = 0;
    for (size_t i = 0; i < length; i++)
        sum += at[i];
    return sum;
}

// ---- sending -------------------------------------------------------------------------

void PutBytes(KD_LINK *link, const void *bytes, size_t length) {
    const uint8_t *at = static_cast<const uint8_t *>(bytes);
    for (size_t i = 0; i < length; i++)
        link->port.put(link->port.context, at[i]);
}

void PutHeader(KD_LINK *link, uint32_t leader, uint16_t type, size_t length, uint32_t id,
               uint32_t sum) {
    const uint32_t words[4] = {leader, type | static_cast<uint32_t>(length) << 16, id, sum};
    for (uint32_t word : words)
        for (int shift = 0; shift < 32; shift += 8)
            link->port.put(link->port.context, static_cast<uint8_t>(word >> shift));
}

void PutControl(KD_LINK *link, uint16_t type, uint32_t id) {
    PutHeader(link, KD_CONTROL_LEADER, type, 0, id, 0);
}

void PutData(KD_LINK *link, uint16_t type, KD_SPAN header, KD_SPAN data) {
    PutHeader(link, KD_DATA_LEADER, type, header.length + data.length, link->send_id,
              Sum(header.bytes, header.length) + Sum(data.bytes, data.length));
    PutBytes(link, header.bytes, header.length);
    PutBytes(link, data.bytes, data.length);
    link->port.put(link->port.context, KD_TRAILER);
}

void Acknowledge(KD_LINK *link) {
    PutControl(link, KdTypeAcknowledge, Id(link) & ~KD_SYNC_ID);
}

// ---- receiving -----------------------------------------------------------------------

void Drop(KD_LINK *link, size_t bytes) {
    link->count -= bytes;
    for (size_t i = 0; i < link->count; i++)
        link->raw[i] = link->raw[i + bytes];
}

bool IsLeaderAt(const KD_LINK *link, size_t at) {
    const uint8_t first = link->raw[at];
    if (first != (KD_DATA_LEADER & 0xFF) && first != (KD_CONTROL_LEADER & 0xFF))
        return false;
    for (size_t i = at + 1; i < at + 4 && i < link->count; i++)
        if (link->raw[i] != first)
            return false;
    return true;
}

// Drops what can't begin a packet, and the first `bytes` in any case. A break-in byte
// counts when nothing follows it yet, or what follows could be the RESET that goes with
// it: after damage these bytes may be the inside of another packet.
void Hunt(KD_LINK *link, size_t bytes) {
    size_t at = 0;
    for (; at < link->count && (at < bytes || !IsLeaderAt(link, at)); at++)
        if (link->raw[at] == KD_BREAK_IN &&
            (at + 1 == link->count || link->raw[at + 1] == (KD_CONTROL_LEADER & 0xFF)))
            link->break_in = true;
    Drop(link, at);
}

KD_EVENT Examine(KD_LINK *link) {
    Hunt(link, 0);
    if (link->count < KD_HEADER_SIZE)
        return KdPartial;
    const size_t length = Length(link);
    if (Field32(link->raw) == KD_CONTROL_LEADER)
        return length == 0 && Field32(link->raw + 12) == 0 ? KdControl : KdDamaged;
    if (length > KD_PACKET_MAX)
        return KdDamaged;
    if (link->count < KD_HEADER_SIZE + length + 1)
        return KdPartial;
    const bool whole = Sum(link->raw + KD_HEADER_SIZE, length) == Field32(link->raw + 12) &&
                       link->raw[KD_HEADER_SIZE + length] == KD_TRAILER;
    return whole ? KdData : KdDamaged;
}

// Takes one byte, or finds that a packet has been cut short.
KD_EVENT Next(KD_LINK *link) {
    const KD_EVENT left = Examine(link); // what hunting left may hold more than one packet
    if (left != KdPartial)
        return left;
    const int byte = link->port.get(link->port.context);
    if (byte < 0)
        return link->count && Now(link) - link->last_byte > KD_GAP ? KdDamaged : KdIdle;
    link->last_byte = Now(link);
    link->raw[link->count++] = static_cast<uint8_t>(byte);
    return Examine(link);
}

void Consume(KD_LINK *link, KD_EVENT event) {
    if (event == KdControl)
        Drop(link, KD_HEADER_SIZE);
    else if (event == KdData)
        Drop(link, KD_HEADER_SIZE + Length(link) + 1);
    else
        Hunt(link, 1); // another may begin in it
}

// Of the packet at the beginning of `raw`: what was delivered is done with; one that nobody
// has received comes again, as it wasn't acknowledged.
void Release(KD_LINK *link) {
    if (link->delivered || link->pending)
        Consume(link, KdData);
    link->delivered = link->pending = false;
}

// A packet is asked for again once, however many false beginnings its ruins hold.
void AskAgain(KD_LINK *link) {
    const bool data = link->count >= 4 && Field32(link->raw) == KD_DATA_LEADER;
    Hunt(link, 1);
    if (data)
        PutControl(link, KdTypeResend, 0);
}

void Reset(KD_LINK *link) {
    link->send_id = link->expected_id = KD_INITIAL_ID;
    if (link->halted)
        link->break_in = false;
    PutControl(link, KdTypeReset, 0);
}

bool IsExpected(const KD_LINK *link) {
    return (Id(link) & ~KD_SYNC_ID) == link->expected_id;
}

// There are two ids. What carries another is damaged, whatever its check sum says.
bool IsKnown(const KD_LINK *link) {
    return (Id(link) & ~KD_SYNC_ID & ~1u) == KD_INITIAL_ID;
}

void Acknowledged(KD_LINK *link) {
    link->send_id = (link->send_id & ~KD_SYNC_ID) ^ 1;
}

enum KD_ANSWER { KdAnswerNone, KdAnswerYes, KdAnswerAgain, KdAnswerReset };

KD_ANSWER ControlWhileSending(KD_LINK *link) {
    const uint16_t type = Type(link);
    const uint32_t id = Id(link);
    Consume(link, KdControl);
    if (type == KdTypeAcknowledge && id == (link->send_id & ~KD_SYNC_ID))
        return KdAnswerYes;
    if (type == KdTypeReset) {
        Reset(link);
        return KdAnswerReset;
    }
    return type == KdTypeResend ? KdAnswerAgain : KdAnswerNone;
}

// The peer goes on with its next packet only when it has ours: its acknowledgement was
// lost. A packet that isn't the next one is an old one whose acknowledgement was lost.
KD_ANSWER DataWhileSending(KD_LINK *link) {
    if (IsExpected(link)) {
        link->pending = true;
        return KdAnswerYes;
    }
    Acknowledge(link);
    Consume(link, KdData);
    return KdAnswerNone;
}

KD_ANSWER AwaitAcknowledgement(KD_LINK *link, uint64_t patience) {
    const uint64_t start = Now(link);
    for (;;) {
        KD_ANSWER answer = KdAnswerNone;
        const KD_EVENT event = Next(link);
        if (event == KdControl)
            answer = ControlWhileSending(link);
        else if (event == KdData)
            answer = DataWhileSending(link);
        else if (event == KdDamaged)
            AskAgain(link);
        if (answer != KdAnswerNone)
            return answer;
        if (event <= KdPartial && Now(link) - start >= patience)
            return KdAnswerNone;
    }
}

} // namespace

void KdLinkInitialize(KD_LINK *link, const KD_PORT *port) {
    link->port = *port;
    link->send_id = KD_INITIAL_ID | KD_SYNC_ID;
    link->expected_id = KD_INITIAL_ID;
    link->break_in = link->halted = link->pending = link->delivered = false;
    link->last_byte = 0;
    link->count = 0;
}

KD_RESULT KdLinkSend(KD_LINK *link, uint16_t type, KD_SPAN header, KD_SPAN data, unsigned attempts,
                     uint64_t patience) {
    Release(link);
    for (unsigned attempt = 0; attempts == 0 || attempt < attempts; attempt++) {
        PutData(link, type, header, data);
        const KD_ANSWER answer = AwaitAcknowledgement(link, patience);
        if (answer == KdAnswerYes) {
            Acknowledged(link);
            return KdDone;
        }
        if (answer == KdAnswerReset && type == KdTypeManipulate)
            return KdStateWanted;
    }
    return KdTimedOut;
}

namespace {

// Somebody who doesn't know that the target has stopped already, and sends no RESET: what he
// wants is the state.
bool IsBreakInAlone(KD_LINK *link) {
    if (!link->halted || !link->break_in || link->count != 0 ||
        Now(link) - link->last_byte < KD_BREAK_IN_GAP)
        return false;
    link->break_in = false;
    return true;
}

} // namespace

KD_RESULT KdLinkReceive(KD_LINK *link, uint16_t type, uint64_t patience, const uint8_t **payload,
                        size_t *length) {
    const uint64_t start = Now(link);
    if (link->delivered)
        Release(link);
    link->pending = false; // as if it had just come
    for (;;) {
        const KD_EVENT event = Next(link);
        if (event == KdControl) {
            const uint16_t control = Type(link);
            Consume(link, KdControl);
            if (control == KdTypeReset)
                Reset(link);
            if (control == KdTypeReset || control == KdTypeResend)
                return KdStateWanted;
        } else if (event == KdData && Type(link) == type && !IsKnown(link)) {
            Consume(link, KdData);
            PutControl(link, KdTypeResend, 0);
        } else if (event == KdData) {
            Acknowledge(link);
            if (IsExpected(link) && Type(link) == type) {
                link->expected_id ^= 1;
                *payload = link->raw + KD_HEADER_SIZE;
                *length = Length(link);
                link->delivered = true;
                return KdDone;
            }
            Consume(link, KdData);
        } else if (event == KdDamaged) {
            AskAgain(link);
        } else if (event == KdIdle && IsBreakInAlone(link)) {
            return KdStateWanted;
        }
        if (event <= KdPartial && Now(link) - start >= patience)
            return KdTimedOut;
    }
}

bool KdLinkPoll(KD_LINK *link) {
    Release(link);
    for (unsigned i = 0; i < KD_POLL_BYTES && !link->break_in; i++) {
        const KD_EVENT event = Next(link);
        if (link->break_in)
            break; // what stands behind it is for who answers it
        if (event == KdData && !IsExpected(link))
            Acknowledge(link); // sent again: the acknowledgement of then was lost
        if (event == KdIdle)
            break;
        if (event != KdPartial)
            Consume(link, event);
    }
    return link->break_in;
}
