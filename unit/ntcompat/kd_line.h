// SPDX-License-Identifier: MIT
//
// A serial line for the tests of kd/packet.cpp: the test is the peer. Time passes while
// the target waits for bytes.
#ifndef NTC_KD_LINE_H_
#define NTC_KD_LINE_H_

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "kd/packet.h"

struct Packet {
    uint32_t leader = 0;
    uint16_t type = 0;
    uint32_t id = 0;
    std::string payload;

    bool operator==(const Packet &) const = default;
};

inline void Put32(std::string &to, uint32_t value) {
    for (int i = 0; i < 4; i++)
        to += static_cast<char>(value >> (8 * i));
}

inline std::string Bytes(const Packet &p) {
    std::string bytes;
    uint32_t sum = 0;
    for (char c : p.payload)
        sum += static_cast<uint8_t>(c);
    Put32(bytes, p.leader);
    Put32(bytes, p.type | static_cast<uint32_t>(p.payload.size()) << 16);
    Put32(bytes, p.id);
    Put32(bytes, sum);
    bytes += p.payload;
    if (p.leader == KD_DATA_LEADER)
        bytes += static_cast<char>(KD_TRAILER);
    return bytes;
}

inline Packet Control(uint16_t type, uint32_t id = 0) {
    return {KD_CONTROL_LEADER, type, id, ""};
}

inline Packet Data(uint16_t type, uint32_t id, const std::string &payload) {
    return {KD_DATA_LEADER, type, id, payload};
}

class Line {
  public:
    Line() {
        const KD_PORT port = {Get, Put, Now, this};
        KdLinkInitialize(&link, &port);
    }

    // To the target.
    void Send(const Packet &p) {
        Send(Bytes(p));
    }
    void Send(const std::string &bytes) {
        to_target_.insert(to_target_.end(), bytes.begin(), bytes.end());
    }

    // What the target has sent, whole packets in order.
    std::vector<Packet> sent;
    // Called with each, for the peer's reaction.
    std::function<void(const Packet &)> peer = [](const Packet &) {};
    // Called when the target finds nothing on the line.
    std::function<void()> silence = [] {};

    KD_LINK link;
    uint64_t now = 1000000;
    uint64_t silence_us = 1000;

    size_t waiting() const {
        return to_target_.size();
    }

  private:
    static int Get(void *context) {
        Line *line = static_cast<Line *>(context);
        line->now += 10;
        if (line->to_target_.empty()) {
            line->now += line->silence_us;
            line->silence();
            return -1;
        }
        const auto byte = static_cast<uint8_t>(line->to_target_.front());
        line->to_target_.pop_front();
        return byte;
    }
    static void Put(void *context, uint8_t byte) {
        static_cast<Line *>(context)->Take(byte);
    }
    static uint64_t Now(void *context) {
        return static_cast<Line *>(context)->now;
    }

    uint32_t Field(size_t at) const {
        uint32_t value = 0;
        for (size_t i = 4; i-- > 0;)
            value = value << 8 | static_cast<uint8_t>(from_target_[at + i]);
        return value;
    }
    void Take(uint8_t byte) {
        from_target_ += static_cast<char>(byte);
        if (from_target_.size() < KD_HEADER_SIZE)
            return;
        Packet p = {Field(0), static_cast<uint16_t>(Field(4)), Field(8), ""};
        const size_t length = Field(4) >> 16;
        const size_t whole = KD_HEADER_SIZE + (p.leader == KD_DATA_LEADER ? length + 1 : 0);
        if (from_target_.size() < whole)
            return;
        p.payload = from_target_.substr(KD_HEADER_SIZE, length);
        if (Bytes(p) != from_target_)
            p.leader = 0; // wrong check sum or trailer
        from_target_.clear();
        sent.push_back(p);
        peer(p);
    }

    std::deque<char> to_target_;
    std::string from_target_;
};

// ---- the target's end, and what a peer says

const uint32_t kFirst = KD_INITIAL_ID | KD_SYNC_ID;
const uint64_t kPatience = 1000000;

inline KD_SPAN Span(const std::string &text) {
    return {text.data(), text.size()};
}

inline KD_RESULT Send(Line &line, const std::string &text, unsigned attempts = 3,
                      uint16_t type = KdTypeStateChange) {
    return KdLinkSend(&line.link, type, Span(text.substr(0, 2)),
                      Span(text.size() > 2 ? text.substr(2) : ""), attempts, kPatience);
}

struct Received {
    KD_RESULT result;
    std::string payload;
};

inline Received Receive(Line &line, uint16_t type = KdTypeManipulate) {
    const uint8_t *payload = nullptr;
    size_t length = 0;
    const KD_RESULT result = KdLinkReceive(&line.link, type, kPatience, &payload, &length);
    return {result, result == KdDone ? std::string(payload, payload + length) : ""};
}

inline Packet Ack(uint32_t id) {
    return Control(KdTypeAcknowledge, id);
}

// A peer that acknowledges every data packet.
inline void Obedient(Line &line) {
    line.peer = [&line](const Packet &p) {
        if (p.leader == KD_DATA_LEADER)
            line.Send(Ack(p.id & ~KD_SYNC_ID));
    };
}

inline size_t Count(const Line &line, const Packet &p) {
    return static_cast<size_t>(std::count(line.sent.begin(), line.sent.end(), p));
}

#endif // NTC_KD_LINE_H_
