// SPDX-License-Identifier: MIT
#include "exchange.h"

#include <algorithm>

namespace qtest {

UINT16 Exchange::vector(UINT16 queue) const {
    unsigned count = rig_.function->vectors();
    return !dev_.pci.msix ? 0xFFFF : count == 1 ? 0 : UINT16(1 + queue % (count - 1));
}

void Exchange::start(const Ring &ring) {
    dev_.negotiate(features_ | ring.features);
    if (dev_.pci.msix) {
        check(VirtioPciSetConfigVector(&dev_.pci, ring.vectors ? 0 : 0xFFFF),
              "VirtioPciSetConfigVector");
    }
    queues_.clear();
    buffers_.clear();
    for (UINT16 i = 0; i < queueCount_; i++) {
        QueueOptions options;
        options.size = ring.size;
        options.separate = ring.separate;
        options.vector = ring.vectors ? vector(i) : 0xFFFF;
        queues_.push_back(&dev_.addQueue(i, options));
    }
    dev_.driverOk();
}

void Exchange::rounds(unsigned count) {
    for (unsigned i = 0; i < count && !testing::Test::HasFailure(); i++) {
        for (const Step &step : steps_) {
            SCOPED_TRACE(std::string(step.name) + ", round " + std::to_string(i));
            step.run(i);
        }
    }
}

uint64_t Exchange::buffer(unsigned number, uint8_t fill) {
    while (buffers_.size() <= number) {
        buffers_.push_back(rig_.machine->allocate(BufferSize, 4096));
    }
    memset(at(buffers_[number]), fill, BufferSize);
    return buffers_[number];
}

std::string Exchange::text(unsigned round, size_t bytes) {
    std::string all;
    while (all.size() < bytes) {
        char word[40];
        snprintf(word, sizeof(word), "[%u:%zx]", round, all.size() * 2654435761u);
        all.append(word);
    }
    return all.substr(0, bytes);
}

void Exchange::finish(Queue &q, UINT32 length, const char *what) {
    Completion done = dev_.wait(q);
    EXPECT_EQ(done.cookie, this) << what;
    EXPECT_EQ(done.len, length) << what;
}

void Exchange::untouched(uint64_t from, uint64_t to, uint8_t fill) {
    EXPECT_TRUE(std::all_of(at(from), at(to - 1) + 1, [=](uint8_t b) { return b == fill; }))
        << "bytes changed that the device was not to write";
}

namespace {

constexpr uint8_t Fill = 0x5A;

// `bytes` at `data` in `pieces` segments.
void cut(std::vector<VIRTQ_SG> &sg, uint64_t data, UINT32 bytes, unsigned pieces, BOOLEAN write) {
    for (unsigned i = 0; i < pieces; i++) {
        UINT32 from = UINT32(uint64_t(bytes) * i / pieces);
        UINT32 to = UINT32(uint64_t(bytes) * (i + 1) / pieces);
        sg.push_back({data + from, to - from, write});
    }
}

class Blk : public Exchange { // 5.2.6
  public:
    Blk(Rig &rig, VirtioDevice &dev) : Exchange(rig, dev, 0, 1) {
        steps_ = {{"read", 0, [this](unsigned i) { read(i); }},
                  {"write", 0, [this](unsigned i) { write(i); }}};
    }
    UINT16 smallestRing() const override {
        return 8;
    }
    UINT64 park(void *cookie) override {
        uint64_t b = buffer(3, 0);
        dev_.add(queue(0), {{b, 16, FALSE}, {b + 512, 512, TRUE}, {b + 16, 1, TRUE}}, cookie);
        return b;
    }

  private:
    static constexpr UINT32 Bytes = 4096;

    std::string onDisk(uint64_t sector, size_t bytes) {
        std::string data(bytes, 0);
        EXPECT_EQ(pread(rig_.disk.get(), data.data(), bytes, off_t(sector * 512)), ssize_t(bytes));
        return data;
    }
    void request(UINT32 type, uint64_t sector, uint64_t data, unsigned round, UINT32 length) {
        uint64_t header = buffer(0, 0);
        memcpy(at(header), &type, 4);
        memcpy(at(header + 8), &sector, 8);
        *at(header + 16) = 0xEE;
        std::vector<VIRTQ_SG> sg = {{header, 16, FALSE}};
        cut(sg, data, Bytes, 1 + round % 6, type == 0);
        sg.push_back({header + 16, 1, TRUE});
        dev_.submit(queue(0), sg, this);
        finish(queue(0), length, "block request");
        EXPECT_EQ(*at(header + 16), 0) << "its status";
    }
    void read(unsigned i) {
        uint64_t sector = 8 * (i % (DiskSectors / 8));
        uint64_t data = buffer(1, Fill);
        request(0, sector, data, i, Bytes + 1);
        EXPECT_EQ(
            onDisk(sector, Bytes).compare(0, Bytes, reinterpret_cast<char *>(at(data)), Bytes), 0);
        untouched(data + Bytes, data + BufferSize, Fill);
    }
    void write(unsigned i) {
        uint64_t sector = 8 * (1 + i % (DiskSectors / 8 - 2));
        uint64_t data = buffer(1, Fill);
        std::string before = onDisk(sector - 8, Bytes), after = onDisk(sector + 8, Bytes);
        std::string bytes = text(i, Bytes);
        memcpy(at(data), bytes.data(), Bytes);
        request(1, sector, data, i, 1);
        EXPECT_EQ(onDisk(sector, Bytes), bytes);
        EXPECT_EQ(onDisk(sector - 8, Bytes), before) << "the sectors before";
        EXPECT_EQ(onDisk(sector + 8, Bytes), after) << "the sectors after";
    }
};

class Net : public Exchange { // 5.1.6
  public:
    Net(Rig &rig, VirtioDevice &dev) : Exchange(rig, dev, 0, 2) {
        steps_ = {{"transmit", 1, [this](unsigned i) { transmitOne(i); }},
                  {"receive", 0, [this](unsigned i) { receiveOne(i); }}};
    }
    UINT16 smallestRing() const override {
        return 4;
    }
    UINT64 park(void *cookie) override {
        uint64_t b = buffer(3, Fill);
        dev_.add(queue(0), {{b, 12, TRUE}, {b + 64, 1514, TRUE}}, cookie);
        return b;
    }

  private:
    // 12 bytes with VERSION_1 or MRG_RXBUF, else 10 (5.1.6.1).
    UINT32 header() const {
        return dev_.pci.modern ? 12 : 10;
    }
    static std::string frame(unsigned i) {
        std::string addresses("\x52\x54\x00\x12\x34\x56\x02\x00\x00\x00\x00\x01\x88\xb5", 14);
        return addresses + text(i, 46 + i * 61 % 1400);
    }
    void transmitOne(unsigned i) {
        std::string bytes = frame(i);
        uint64_t out = buffer(0, 0);
        memcpy(at(out + 64), bytes.data(), bytes.size());
        std::vector<VIRTQ_SG> sg = {{out, header(), FALSE}};
        cut(sg, out + 64, UINT32(bytes.size()), 1 + i % 3, FALSE);
        dev_.submit(queue(1), sg, this);
        finish(queue(1), 0, "transmit");
        EXPECT_EQ(receiveFrame(rig_.peer), bytes);
    }
    void receiveOne(unsigned i) {
        std::string bytes = frame(i);
        uint64_t in = buffer(1, Fill);
        std::vector<VIRTQ_SG> sg = {{in, header(), TRUE}};
        cut(sg, in + 64, 2048, 1 + i % 3, TRUE);
        dev_.submit(queue(0), sg, this);
        transmit(rig_.peer, bytes);
        finish(queue(0), UINT32(header() + bytes.size()), "receive");
        EXPECT_EQ(std::string(reinterpret_cast<char *>(at(in + 64)), bytes.size()), bytes);
        untouched(in + header(), in + 64, Fill);
        untouched(in + 64 + bytes.size(), in + BufferSize, Fill);
    }
};

class Rng : public Exchange { // 5.4.6
  public:
    Rng(Rig &rig, VirtioDevice &dev) : Exchange(rig, dev, 0, 1) {
        steps_ = {{"fill", 0, [this](unsigned i) { fill(i); }}};
    }
    UINT16 smallestRing() const override {
        return 2;
    }
    UINT64 park(void *cookie) override {
        uint64_t b = buffer(3, Fill);
        dev_.add(queue(0), {{b, 64, TRUE}}, cookie);
        return b;
    }

  private:
    void fill(unsigned i) {
        uint64_t in = buffer(1, Fill);
        std::vector<VIRTQ_SG> sg;
        cut(sg, in, 64, 1 + i % 2, TRUE);
        dev_.submit(queue(0), sg, this);
        Completion done = dev_.wait(queue(0));
        EXPECT_EQ(done.cookie, this);
        ASSERT_GE(done.len, 8u); // /dev/urandom gives all that is asked for
        ASSERT_LE(done.len, 64u);
        std::string bytes(reinterpret_cast<char *>(at(in)), done.len);
        EXPECT_NE(bytes.substr(0, 8), last_.substr(0, 8)) << "the same bytes again";
        EXPECT_NE(bytes.find_first_not_of(char(Fill)), std::string::npos) << "nothing written";
        last_ = bytes;
        untouched(in + done.len, in + BufferSize, Fill);
    }
    std::string last_;
};

class Console : public Exchange { // 5.3.6: port 0 is queues 0 and 1
  public:
    Console(Rig &rig, VirtioDevice &dev) : Exchange(rig, dev, 0, 2) {
        steps_ = {{"transmit", 1, [this](unsigned i) { transmitOne(i); }},
                  {"receive", 0, [this](unsigned i) { receiveOne(i); }}};
    }
    UINT16 smallestRing() const override {
        return 4;
    }
    UINT64 park(void *cookie) override {
        uint64_t b = buffer(3, Fill);
        dev_.add(queue(0), {{b, 64, TRUE}}, cookie);
        return b;
    }

  private:
    void transmitOne(unsigned i) {
        std::string bytes = text(i, 3 + i * 97 % 3000);
        uint64_t out = buffer(0, 0);
        memcpy(at(out), bytes.data(), bytes.size());
        std::vector<VIRTQ_SG> sg;
        cut(sg, out, UINT32(bytes.size()), 1 + i % 3, FALSE);
        dev_.submit(queue(1), sg, this);
        finish(queue(1), 0, "transmit");
        EXPECT_EQ(receive(rig_.peer, bytes.size()), bytes);
    }
    void receiveOne(unsigned i) {
        std::string bytes = text(i, 1 + i * 53 % 1000);
        uint64_t in = buffer(1, Fill);
        std::vector<VIRTQ_SG> sg;
        cut(sg, in, 1024, 1 + i % 4, TRUE);
        dev_.submit(queue(0), sg, this);
        transmit(rig_.peer, bytes);
        finish(queue(0), UINT32(bytes.size()), "receive");
        EXPECT_EQ(std::string(reinterpret_cast<char *>(at(in)), bytes.size()), bytes);
        untouched(in + bytes.size(), in + BufferSize, Fill);
    }
};

} // namespace

std::unique_ptr<Exchange> Exchange::of(Rig &rig, VirtioDevice &dev) {
    switch (rig.kind) {
    case Kind::Blk:
        return std::make_unique<Blk>(rig, dev);
    case Kind::Net:
        return std::make_unique<Net>(rig, dev);
    case Kind::Rng:
        return std::make_unique<Rng>(rig, dev);
    default:
        return std::make_unique<Console>(rig, dev);
    }
}

} // namespace qtest
