// SPDX-License-Identifier: MIT
//
// QEMU's virtio-console with several ports: the control queues, a port's name,
// and bytes of each port on queues of its own (Virtio 1.2, 5.3).
#include "matrix.h"

#include <map>

using namespace qtest;

namespace {

constexpr UINT64 Multiport = VIRTIO_FEATURE(1);
// 5.3.6.2
enum Event : UINT16 {
    DeviceReady,
    PortAdd,
    PortRemove,
    PortReady,
    ConsolePort,
    Resize,
    PortOpen,
    PortName
};

struct Control {
    UINT32 port;
    UINT16 event, value;
};

class Ports : public RigTest, public testing::WithParamInterface<Transport> {
  protected:
    void SetUp() override {
        RigTest::SetUp();
        if (IsSkipped()) {
            return;
        }
        open(Kind::Console, GetParam(), true);
        dev->negotiate(EventIdx | Indirect | Multiport);
        ASSERT_TRUE((dev->pci.driver_features & Multiport) != 0);
        for (UINT16 i = 0; i < 6; i++) { // two ports, and control on 2 and 3 (5.3.2)
            queue[i] = &dev->addQueue(i, {});
        }
        memory = rig->machine->allocate(65536, 4096);
        for (unsigned i = 0; i < 16; i++) {
            dev->add(*queue[2], {{memory + 256 * i, 256, TRUE}},
                     rig->machine->at(memory + 256 * i));
        }
        dev->driverOk();
        dev->kick(*queue[2]);
    }
    void tell(UINT32 port, Event event, UINT16 value) {
        Control message = {port, event, value};
        UINT64 at = memory + 8192;
        memcpy(rig->machine->at(at), &message, sizeof(message));
        dev->submit(*queue[3], {{at, sizeof(message), FALSE}}, nullptr);
        dev->wait(*queue[3]);
    }
    // The next message of the device, with what follows it in its buffer.
    std::pair<Control, std::string> hear() {
        Completion done = dev->wait(*queue[2]);
        Control message{};
        EXPECT_GE(done.len, sizeof(message));
        memcpy(&message, done.cookie, sizeof(message));
        std::string rest(static_cast<char *>(done.cookie) + sizeof(message),
                         done.len - sizeof(message));
        return {message, rest};
    }
    Queue *queue[6] = {};
    UINT64 memory = 0;
};

TEST_P(Ports, AreAddedNamedAndCarryTheirOwnBytes) // 5.3.6.2
{
    UINT32 most = 0;
    check(VirtioPciReadConfig(&dev->pci, 4, &most, 4), "VirtioPciReadConfig");
    EXPECT_GE(most, 2u);
    tell(0, DeviceReady, 1);
    std::set<UINT32> added;
    while (added.size() < 2) {
        auto [message, rest] = hear();
        ASSERT_EQ(message.event, PortAdd);
        EXPECT_TRUE(added.insert(message.port).second);
    }
    EXPECT_EQ(added, (std::set<UINT32>{0, 1}));
    tell(0, PortReady, 1);
    tell(1, PortReady, 1);
    bool console = false, open[2] = {};
    std::string portName;
    while (!console || portName.empty() || !open[0] || !open[1]) {
        auto [message, rest] = hear();
        ASSERT_LT(message.port, 2u);
        if (message.event == ConsolePort) {
            EXPECT_EQ(message.port, 0u);
            console = true;
        } else if (message.event == PortName) {
            EXPECT_EQ(message.port, 1u);
            portName = rest.c_str();
        } else if (message.event == PortOpen) {
            open[message.port] = message.value == 1;
        }
    }
    EXPECT_EQ(portName, "vq7.port");
    tell(0, PortOpen, 1);
    tell(1, PortOpen, 1);

    const Fd *peers[] = {&rig->peer, &rig->port1};
    const UINT16 receiveQueues[] = {0, 4}, transmitQueues[] = {1, 5};
    for (unsigned i = 0; i < 10; i++) {
        unsigned port = i % 2;
        Queue &rx = *queue[receiveQueues[port]], &tx = *queue[transmitQueues[port]];
        std::string text = "port " + std::to_string(port) + " round " + std::to_string(i);
        UINT64 in = memory + 16384, out = memory + 20480;
        dev->submit(rx, {{in, 64, TRUE}}, nullptr);
        memcpy(rig->machine->at(out), text.data(), text.size());
        dev->submit(tx, {{out, UINT32(text.size()), FALSE}}, nullptr);
        dev->wait(tx);
        EXPECT_EQ(receive(*peers[port], text.size()), text);
        transmit(*peers[port], text + "!");
        EXPECT_EQ(dev->wait(rx).len, text.size() + 1);
        EXPECT_EQ(memcmp(rig->machine->at(in), (text + "!").data(), text.size() + 1), 0);
    }
}

INSTANTIATE_TEST_SUITE_P(All, Ports, testing::ValuesIn(Transports),
                         [](const auto &i) { return std::string(name(i.param)); });

} // namespace
