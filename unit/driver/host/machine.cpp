// SPDX-License-Identifier: MIT
#include "machine.h"

namespace vq7::host {

namespace {

using ::model::PciDevice;

PciDevice Make(const Options &options) {
    PciDevice d = options.legacy ? (options.modern ? PciDevice::transitional(options.type)
                                                   : PciDevice::legacy(options.type))
                                 : PciDevice::modern(options.type);
    d.features |= options.features;
    d.queues[0].maxSize = d.queues[0].size = options.queue_size;
    auto put = [&](unsigned at, std::uint64_t value, int width) {
        memcpy(&d.config[at], &value, width); // 5.2.4
    };
    put(0, Machine::kSectors, 8);
    put(8, options.size_max, 4);
    put(12, options.seg_max, 4);
    put(20, options.block_size, 4);
    put(32, options.writeback, 1);
    d.putCfg(0x08, 0x17, 1);   // revision
    d.putCfg(0x2C, 0x1AF4, 2); // subsystem
    d.putCfg(0x2E, options.legacy ? options.type : 0x1100, 2);
    if (!options.legacy) {
        d.cfg[0x08] = 1;
    } else {
        d.cfg[0x08] = 0;
    }
    if (options.messages > 0) { // MSI-X, the last capability
        d.putCfg(6, 0x0010, 2);
        d.cfg[options.modern ? 0x85 : 0x34] = Framework::kMsixAt;
        d.cfg[Framework::kMsixAt] = 0x11;
    }
    return d;
}

} // namespace

Data::Data(vq7::model::GuestMemory &memory, std::size_t length, std::uint8_t fill, bool apart)
    : memory_(memory), length_(length) {
    const std::size_t count = (length + 4095) / 4096;
    mdl_.assign(sizeof(MDL) / 8 + 1 + count, 0);
    for (std::size_t i = 0; i < count; i++) {
        if (apart) {
            memory.Allocate(4096, 4096); // nobody's
        }
        pages_.push_back(memory.Allocate(4096, 4096));
        memset(memory.Host(pages_[i], 4096), fill, 4096);
        MmGetMdlPfnArray(mdl())[i] = pages_[i] / 4096;
    }
    mdl()->ByteCount = ULONG(length);
    mdl()->MappedSystemVa = apart ? nullptr : memory.Host(pages_[0], length);
}

Machine::Machine(const Options &options)
    : pci(Make(options)), memory(options.memory), kernel(pci, memory), framework(kernel),
      options_(options) {
    framework.messages = options.messages;
    for (int i = 0; i < 6; i++) {
        if (pci.barLength[i] == 0) {
            continue;
        }
        CM_PARTIAL_RESOURCE_DESCRIPTOR d = {};
        d.Type = i == 0 ? CmResourceTypePort : CmResourceTypeMemory;
        d.u.Memory.Start.QuadPart = LONGLONG(kernel.bar_base[i]);
        d.u.Memory.Length = ULONG(pci.barLength[i]);
        framework.raw.push_back(d);
    }
    for (int i = 0; i < std::max(1, options.messages); i++) {
        CM_PARTIAL_RESOURCE_DESCRIPTOR d = {};
        d.Type = CmResourceTypeInterrupt;
        framework.raw.push_back(d);
    }
    framework.translated = framework.raw;
}

Machine::~Machine() {
    for (const std::string &violation : pci.violations) {
        ADD_FAILURE() << violation;
    }
    for (const std::string &violation : kernel.violations) {
        ADD_FAILURE() << violation;
    }
}

NTSTATUS Machine::Start() {
    NTSTATUS status = framework.Start();
    if (NT_SUCCESS(status)) {
        Attach();
    }
    return status;
}

NTSTATUS Machine::PowerUp() {
    // The requests that were kept are sent in here.
    NTSTATUS status = framework.PowerUp();
    if (NT_SUCCESS(status)) {
        Attach();
    }
    return status;
}

void Machine::Reattach() {
    if (pci.status & 4) { // DRIVER_OK
        Attach();
    }
}

void Machine::Remove() {
    framework.while_waiting = [this] { Run(); };
    framework.Remove();
    for (const std::string &leak : framework.Leaks()) {
        ADD_FAILURE() << "left behind: " << leak;
    }
}

void Machine::Attach() {
    const ::model::Queue &q = pci.queues[0];
    vq7::model::SplitDevice::Layout layout{};
    if (options_.type != 2) {
        return;
    }
    layout.size = q.enabled ? q.size : q.maxSize;
    layout.desc = q.enabled ? q.desc : std::uint64_t(q.pfn) * 4096;
    layout.avail = q.enabled ? q.driver : layout.desc + 16u * layout.size;
    // 2.7.2: a legacy ring's used part starts on a page.
    layout.used = q.enabled ? q.device : (layout.avail + 6 + 2u * layout.size + 4095) / 4096 * 4096;
    layout.event_idx = (pci.driverFeatures & kEventIdx) != 0;
    layout.indirect = (pci.driverFeatures & kIndirect) != 0;
    ring.emplace(memory, layout);
}

void Machine::ServeOne(const vq7::model::Chain &chain) {
    const auto &segments = chain.segments;
    ASSERT_GE(segments.size(), 2u);
    ASSERT_EQ(segments.front().length, 16u);
    ASSERT_FALSE(segments.front().writable);
    ASSERT_EQ(segments.back().length, 1u);
    ASSERT_TRUE(segments.back().writable);
    const std::uint64_t header = segments.front().address;
    Seen request{memory.Load32(header), memory.Load64(header + 8), 0, segments.size() - 2,
                 chain.indirect};
    EXPECT_EQ(memory.Load32(header + 4), 0u) << "reserved (5.2.6)";
    std::uint8_t *status = memory.Host(segments.back().address, 1);
    EXPECT_EQ(*status, 0xFF) << "a status that the device did not write is no answer";
    std::uint8_t says = 0;
    for (std::size_t i = 1; i + 1 < segments.size(); i++) {
        request.bytes += segments[i].length;
        if ((pci.driverFeatures & kSizeMax) && options_.size_max != 0) { // 0: no limit
            EXPECT_LE(segments[i].length, options_.size_max);
        }
    }
    std::uint32_t length = 1;
    if (request.type <= 1 && request.sector + request.bytes / 512 > kSectors) {
        says = 1;
    }
    std::uint64_t at = request.sector * 512;
    for (std::size_t i = 1; i + 1 < segments.size() && says == 0; i++) {
        std::uint8_t *bytes = memory.Host(segments[i].address, segments[i].length);
        EXPECT_EQ(segments[i].writable, request.type != 1);
        if (!moves_data) {
            // it says what it would
        } else if (request.type == 0) {
            memcpy(bytes, &disk[at], segments[i].length);
        } else if (request.type == 1) {
            memcpy(&disk[at], bytes, segments[i].length);
        } else if (request.type == 8) {
            memcpy(bytes, "VQ7-DISK-HOST-12345", 20);
        }
        length += segments[i].writable ? segments[i].length : 0;
        at += segments[i].length;
    }
    seen.push_back(request);
    if (answer) {
        answer(request, says, length);
    }
    *status = says;
    ring->Push(chain.head, length);
}

bool Machine::Serve(int most) {
    for (int i = 0; i < most; i++) {
        auto chain = ring->Pop();
        if (!chain) {
            break;
        }
        ServeOne(*chain);
    }
    ring->WantNotifications(true);
    return ring->TakeInterrupt();
}

void Machine::Interrupt() {
    if (framework.messages > 0) {
        EXPECT_TRUE(framework.Interrupted(pci.queues[0].vector));
    } else {
        pci.isr |= 1;
        EXPECT_TRUE(framework.Interrupted(0));
        EXPECT_EQ(pci.isr, 0) << "the line is still up";
    }
    framework.RunDpcs();
}

void Machine::Run() {
    while (ring && framework.connected && (pci.status & 4)) {
        // A device looks when it is told to, and only then.
        const bool told = pci.notifies.size() != notified_;
        notified_ = pci.notifies.size();
        if (!told) {
            break;
        }
        if (Serve()) {
            Interrupt();
        }
    }
    while (framework.RunDpcs() + framework.RunWork() != 0) {
    }
}

Request *Machine::Transfer(ULONG code, std::uint64_t sector, Data &data, unsigned segments) {
    VQ7_BLK_TRANSFER in = {sector, segments, 0};
    return framework.Send(code, &in, sizeof(in), data.size(), data.mdl());
}

} // namespace vq7::host
