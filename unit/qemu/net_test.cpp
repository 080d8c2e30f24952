// SPDX-License-Identifier: MIT
//
// QEMU's virtio-net: header lengths, frames that span buffers, the control
// queue, and two devices that send each other frames (Virtio 1.2, 5.1).
#include "matrix.h"

using namespace qtest;

namespace {

constexpr unsigned MergeBuffers = 15, ControlQueue = 17; // feature bits (5.1.3)
constexpr uint8_t Fill = 0x5A;
const std::string Ours("\x52\x54\x00\x12\x34\x56", 6);
const std::string Peers("\x02\x00\x00\x00\x00\x01", 6);

std::string frame(const std::string &to, const std::string &from, size_t bytes) {
    std::string all = to + from + std::string("\x88\xb5", 2);
    for (size_t i = 0; all.size() < bytes; i++) {
        all += char(i * 31 + bytes);
    }
    return all;
}

class Net : public RigTest, public testing::WithParamInterface<Transport> {
  protected:
    void SetUp() override {
        RigTest::SetUp();
        if (!IsSkipped()) {
            open(Kind::Net, GetParam(), true);
        }
    }
    void start(UINT64 features, UINT16 queues = 2) {
        dev->negotiate(EventIdx | Indirect | features);
        header = isModern(GetParam()) || dev->negotiated(MergeBuffers) ? 12 : 10; // 5.1.6.1
        for (UINT16 i = 0; i < queues; i++) {
            queue[i] = &dev->addQueue(i, {});
        }
        dev->driverOk();
        memory = rig->machine->allocate(65536, 4096);
    }
    std::string bytes(UINT64 from, size_t length) {
        return std::string(reinterpret_cast<char *>(rig->machine->at(from)), length);
    }
    // Gives the device `count` receive buffers of `size` bytes.
    void post(unsigned count, UINT32 size) {
        memset(rig->machine->at(memory), Fill, 65536);
        for (unsigned i = 0; i < count; i++) {
            dev->add(*queue[0], {{memory + i * 4096, size, TRUE}}, rig->machine->at(i));
        }
        dev->kick(*queue[0]);
    }
    UINT8 control(UINT8 type, UINT8 command, UINT8 value) {
        UINT64 at = memory + 61440;
        const uint8_t request[] = {type, command, value, 0xEE};
        memcpy(rig->machine->at(at), request, 4);
        dev->submit(*queue[2], {{at, 2, FALSE}, {at + 2, 1, FALSE}, {at + 3, 1, TRUE}}, this);
        dev->wait(*queue[2]);
        return *rig->machine->at(at + 3);
    }
    UINT32 header = 0;
    Queue *queue[3] = {};
    UINT64 memory = 0;
};

TEST_P(Net, HeaderAndFrameInOneBuffer) // 5.1.6.3, 2.7.4: any layout
{
    start(VIRTIO_FEATURE(VIRTIO_F_ANY_LAYOUT_BIT));
    for (size_t length : {60, 61, 1000, 1514}) {
        post(1, 2000);
        std::string sent = frame(Ours, Peers, length);
        transmit(rig->peer, sent);
        EXPECT_EQ(dev->wait(*queue[0]).len, header + length);
        EXPECT_EQ(bytes(memory + header, length), sent);
        EXPECT_EQ(bytes(memory + header + length, 64), std::string(64, char(Fill)));

        std::string out = frame(Peers, Ours, length);
        memset(rig->machine->at(memory), 0, header);
        memcpy(rig->machine->at(memory + header), out.data(), length);
        dev->submit(*queue[1], {{memory, UINT32(header + length), FALSE}}, nullptr);
        dev->wait(*queue[1]);
        EXPECT_EQ(receiveFrame(rig->peer), out);
    }
}

TEST_P(Net, AFrameSpansBuffersIfThatWasNegotiated) // 5.1.6.4: VIRTIO_NET_F_MRG_RXBUF
{
    start(VIRTIO_FEATURE(MergeBuffers));
    ASSERT_TRUE(dev->negotiated(MergeBuffers));
    const UINT32 size = 256;
    post(8, size);
    std::string sent = frame(Ours, Peers, 1000);
    transmit(rig->peer, sent);
    std::string got;
    for (int i = 0; i < 4; i++) { // 12 + 1000 bytes in buffers of 256
        Completion done = dev->wait(*queue[0]);
        EXPECT_EQ(done.cookie, rig->machine->at(unsigned(i)));
        EXPECT_EQ(done.len, i < 3 ? size : 12 + 1000 - 3 * size);
        got += bytes(memory + unsigned(i) * 4096, done.len);
    }
    EXPECT_EQ(uint8_t(got[10]), 4) << "num_buffers";
    EXPECT_EQ(got.substr(12), sent);
    rig->machine->settle();
    EXPECT_FALSE(VirtqSplitHasUsed(queue[0]->vq()));

    transmit(rig->peer, sent.substr(0, 60));
    EXPECT_EQ(dev->wait(*queue[0]).len, 72u);
    EXPECT_EQ(bytes(memory + 4 * 4096 + 10, 1), "\x01");
}

TEST_P(Net, ReceiveBuffersAreUsedInTheirOrder) {
    start(0);
    post(10, 2000);
    for (unsigned i = 0; i < 10; i++) {
        transmit(rig->peer, frame(Ours, Peers, 100 + i));
    }
    for (unsigned i = 0; i < 10; i++) {
        Completion done = dev->wait(*queue[0]);
        EXPECT_EQ(done.cookie, rig->machine->at(i));
        EXPECT_EQ(done.len, header + 100 + i);
        EXPECT_EQ(bytes(memory + i * 4096 + header, 100 + i), frame(Ours, Peers, 100 + i));
    }
}

TEST_P(Net, TheControlQueueFilters) // 5.1.6.5.1
{
    start(VIRTIO_FEATURE(ControlQueue) | VIRTIO_FEATURE(18), 3); // CTRL_VQ, CTRL_RX
    ASSERT_TRUE(dev->negotiated(ControlQueue) && dev->negotiated(18));
    ASSERT_EQ(control(0, 0, 0), 0) << "promiscuous mode off";
    post(4, 2000);
    transmit(rig->peer, frame(std::string("\x52\x54\x00\x99\x99\x99", 6), Peers, 80));
    transmit(rig->peer, frame(Ours, Peers, 90));
    EXPECT_EQ(dev->wait(*queue[0]).len, header + 90) << "the other was not for us";
    EXPECT_EQ(control(0, 0, 1), 0);
    EXPECT_EQ(control(0x7F, 0, 0), 1) << "VIRTIO_NET_ERR";
}

TEST_P(Net, ItsAddressIsInTheConfiguration) // 5.1.4
{
    start(VIRTIO_FEATURE(5)); // VIRTIO_NET_F_MAC
    UINT8 mac[6];
    check(VirtioPciReadConfig(&dev->pci, 0, mac, 6), "VirtioPciReadConfig");
    EXPECT_EQ(std::string(reinterpret_cast<char *>(mac), 6), Ours);
}

INSTANTIATE_TEST_SUITE_P(All, Net, testing::ValuesIn(Transports),
                         [](const auto &i) { return std::string(name(i.param)); });

// One machine with two devices on a hub: this one and a modern one.
class NetPair : public RigTest, public testing::WithParamInterface<Transport> {};

TEST_P(NetPair, FramesGoFromOneToTheOther) {
    Machine machine("pc", {"-netdev", "hubport,id=n,hubid=0", "-netdev", "hubport,id=m,hubid=0",
                           "-device", deviceArgument(Kind::Net, GetParam()), "-device",
                           "virtio-net-pci-non-transitional,netdev=m,romfile="});
    PciFunction functions[] = {PciFunction(machine, 0), PciFunction(machine, 1)};
    VirtioDevice one(machine, functions[0], mode(GetParam()), true);
    VirtioDevice two(machine, functions[1], VirtioPciModeModern, true);
    VirtioDevice *devices[] = {&one, &two};
    UINT32 headers[2];
    Queue *queues[2][2];
    for (int d = 0; d < 2; d++) {
        devices[d]->negotiate(EventIdx | Indirect);
        headers[d] = devices[d]->pci.modern ? 12 : 10;
        for (UINT16 i = 0; i < 2; i++) {
            queues[d][i] = &devices[d]->addQueue(i, {});
        }
        devices[d]->driverOk();
    }
    UINT64 out = machine.allocate(4096, 4096), in = machine.allocate(4096, 4096);
    for (unsigned i = 0; i < 20; i++) {
        int from = i % 2, to = 1 - from;
        std::string sent = frame(Ours, Peers, 60 + i * 70);
        memset(machine.at(in), Fill, 4096);
        memcpy(machine.at(out + 64), sent.data(), sent.size());
        devices[to]->submit(*queues[to][0], {{in, headers[to], TRUE}, {in + 64, 2000, TRUE}}, &in);
        devices[from]->submit(*queues[from][1],
                              {{out, headers[from], FALSE}, {out + 64, UINT32(sent.size()), FALSE}},
                              &out);
        EXPECT_EQ(devices[from]->wait(*queues[from][1]).cookie, &out);
        EXPECT_EQ(devices[to]->wait(*queues[to][0]).len, headers[to] + sent.size());
        EXPECT_EQ(memcmp(machine.at(in + 64), sent.data(), sent.size()), 0) << "frame " << i;
    }
}

INSTANTIATE_TEST_SUITE_P(All, NetPair, testing::ValuesIn(Transports),
                         [](const auto &i) { return std::string(name(i.param)); });

} // namespace
