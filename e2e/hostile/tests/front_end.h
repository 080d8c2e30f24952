// SPDX-License-Identifier: MIT
// The other side, for tests: a vhost-user front end and a driver's side of one queue. It
// shares the wire's structures with the back end, and no arithmetic.
#pragma once

#include <string>
#include <thread>
#include <vector>

#include "backend.h"

namespace hostile {

constexpr uint64_t EventIdx = bit(29), Indirect = bit(28), Version1 = bit(32);

struct Used {
    uint32_t id;
    uint32_t length;
};

// A back end that serves in a thread of its own, with a disk in memory.
class Served {
  public:
    explicit Served(uint64_t sectors = 2048);
    ~Served();

    // A line of the control socket, as a client sends it; the whole answer.
    std::string command(const std::string &line);
    uint64_t counter(const std::string &name);
    std::string disk(uint64_t sector, size_t bytes) const;
    std::string socketPath() const {
        return folder_ + "/blk.sock";
    }

  private:
    std::string folder_;
    Fd disk_, client_;
    Loop loop_;
    std::unique_ptr<Backend> backend_;
    std::unique_ptr<Control> control_;
    std::thread thread_;
};

class FrontEnd {
  public:
    static constexpr uint64_t Memory = 4 << 20, Split = 1 << 20, User = 0x700000000000;
    static constexpr uint64_t Data = 0x10000; // where buffers may be, in the guest

    explicit FrontEnd(const std::string &path);
    ~FrontEnd();

    // The protocol.
    void send(Type type, const void *payload, size_t bytes, std::vector<int> fds = {},
              uint32_t flags = 0);
    Message reply();
    bool closed();
    uint64_t ask(Type type);
    // Sends it, and asks for an acknowledgement; returns that. Without the protocol's features
    // there is none.
    template <class T> uint64_t tell(Type type, const T &payload, std::vector<int> fds = {}) {
        send(type, &payload, sizeof(payload), std::move(fds), old_ ? 0 : NeedReplyFlag);
        return old_ ? 0 : reply().as<uint64_t>();
    }
    std::vector<uint8_t> config(uint32_t offset, uint32_t bytes);
    void negotiate(uint64_t features);
    // As a front end that knows of no protocol features.
    void negotiateOld(uint64_t features);
    void shareMemory();
    void startQueue(uint16_t size = 64, uint16_t base = 0);
    uint32_t stopQueue();
    void trackInflight(uint16_t size = 64);
    Fd backendChannel();

    // The driver.
    uint8_t *at(uint64_t guest) {
        return memory_ + guest;
    }
    uint64_t put(const std::string &bytes);
    uint64_t room(size_t bytes);
    std::string get(uint64_t guest, size_t bytes);
    // Writes a descriptor of the table, or of one that is elsewhere.
    void describe(uint64_t table, uint16_t index, Segment segment, uint16_t flags, uint16_t next);
    uint64_t table() const {
        return Descriptors;
    }
    uint64_t usedRing() const {
        return UsedRing;
    }
    // A chain of descriptors from `head` on; returns how many there are.
    uint16_t chain(uint16_t head, const std::vector<Segment> &segments);
    void publish(uint16_t head);
    void kick();
    // Waits for a call; false: none in that time.
    bool called(int milliseconds);
    bool failed(int milliseconds);
    // What has been used since the last call, waiting until it is so many.
    std::vector<Used> used(size_t count);
    void availableFlags(uint16_t flags);
    void usedEvent(uint16_t index);
    uint16_t availableEvent();
    void resetRing();

    // A block request in one go: chain, publish, kick, wait. Returns the status byte.
    struct Result {
        uint8_t status;
        uint32_t length;
        std::string data;
    };
    Result request(uint32_t type, uint64_t sector, const std::string &out, size_t in);
    // The same up to the kick, from descriptor `head` on; the status byte's place.
    uint64_t submit(uint16_t head, uint32_t type, uint64_t sector, const std::string &out,
                    size_t in, uint64_t *inPlace = nullptr);

  private:
    static constexpr uint64_t Descriptors = 0x1000, Available = 0x4000, UsedRing = 0x6000;

    uint64_t features_ = 0;
    bool old_ = false;
    uint16_t size_ = 0, published_ = 0, seen_ = 0;
    uint64_t next_ = Data;
    Fd socket_, file_, kick_, call_, error_, inflight_;
    InflightArea area_{};
    uint8_t *memory_ = nullptr;
};

// Nothing came in ten seconds.
class Silence : public Error {
  public:
    using Error::Error;
};

bool readableWithin(int fd, int milliseconds);

} // namespace hostile
