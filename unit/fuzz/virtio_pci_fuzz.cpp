// SPDX-License-Identifier: MIT
//
// Fuzzing of the virtio-pci transports: any configuration space, any BARs, registers
// that refuse, make noise or are gone (virtio_pci_format.h). Each access is judged
// by the function (virtio_pci_function.h), each result here, by what virtio_pci.h
// promises and what the driver was seen to do.
#include <algorithm>

#include "guarded_memory.h"
#include "virtio_pci_function.h"
#include "virtio_pci_results.h"

namespace fuzz {

namespace {

Reached<kFunctions> reached(kDocumented);
GuardedMemory<4096> memory;

PciFunction *Self(void *context) {
    return static_cast<PciFunction *>(context);
}

const VIRTIO_PCI_IO kIo = {
    [](void *c, UINT16 at) -> UINT8 { return static_cast<UINT8>(Self(c)->ReadConfig(at, 1)); },
    [](void *c, UINT16 at) -> UINT16 { return static_cast<UINT16>(Self(c)->ReadConfig(at, 2)); },
    [](void *c, UINT16 at) -> UINT32 { return Self(c)->ReadConfig(at, 4); },
    [](void *c, UINT8 bar) -> UINT64 {
        Require(bar < 6, "one of six BARs");
        return Self(c)->bars[bar];
    },
    [](void *c, UINT8 b, UINT32 at) -> UINT8 {
        return static_cast<UINT8>(Self(c)->Read(b, at, 1));
    },
    [](void *c, UINT8 b, UINT32 at) -> UINT16 {
        return static_cast<UINT16>(Self(c)->Read(b, at, 2));
    },
    [](void *c, UINT8 b, UINT32 at) -> UINT32 { return Self(c)->Read(b, at, 4); },
    [](void *c, UINT8 b, UINT32 at, UINT8 v) { Self(c)->Write(b, at, 1, v); },
    [](void *c, UINT8 b, UINT32 at, UINT16 v) { Self(c)->Write(b, at, 2, v); },
    [](void *c, UINT8 b, UINT32 at, UINT32 v) { Self(c)->Write(b, at, 4, v); },
    [](void *c, UINT32 us) {
        Require(us <= 1000, "a short stall");
        Self(c)->stalls++;
    },
};

class Session {
  public:
    explicit Session(const PciHeader &h) : mode_(h.mode & 3), msix_((h.mode & 16) != 0) {
        memory.Begin();
        device_ = reinterpret_cast<VIRTIO_PCI_DEVICE *>(memory.Take(sizeof(VIRTIO_PCI_DEVICE)));
        std::memset(device_, 0, sizeof(*device_));
        const std::uint16_t vendor = (h.id & 0x80) != 0 ? 0x1AF5 : 0x1AF4;
        const std::uint16_t id = kDeviceIds[h.id & 7];
        std::memcpy(function_.config, &vendor, 2);
        std::memcpy(function_.config + 2, &id, 2);
        function_.config[6] = h.caps & 1 ? 0x10 : 0;
        function_.config[8] = h.revision & 3;
        std::memcpy(function_.config + 0x2E, h.subsystem, 2);
        function_.config[0x34] = h.pointer;
        for (int i = 0; i < 6; i++) {
            function_.bars[i] = kBarLengths[h.bars[i] & 15];
        }
        function_.behaviour = h.behaviour;
    }

    void Run(const PciRecord *records, std::size_t count) {
        for (std::size_t i = 0; i < count; i++) {
            Configure(records[i]);
        }
        Init();
        for (std::size_t i = 0; i < count; i++) {
            function_.Begin();
            Step(records[i]);
        }
        memory.Check();
    }

  private:
    void Configure(const PciRecord &r) {
        std::uint8_t *config = function_.config;
        if (r.op % kPciOps == kPokeConfig) {
            unsigned width = 1u << r.b % 3;
            std::memcpy(config + std::min<unsigned>(r.a, 256 - width), &r.value, width);
        } else if (r.op % kPciOps == kCapability) {
            unsigned at = SlotOffset(r.a), type = r.b & 7;
            std::uint8_t cap[20] = {9, r.c == 0 ? std::uint8_t{0} : SlotOffset(r.c), 0,
                                    static_cast<std::uint8_t>(type),
                                    static_cast<std::uint8_t>(r.b >> 4 & 7)};
            cap[2] = static_cast<std::uint8_t>((type == 2 ? 20 : 16) +
                                               static_cast<std::int8_t>(r.value >> 16));
            std::uint32_t offset = kOffsets[(r.value & 15) % 12] + (r.value >> 24);
            std::uint32_t length = kLengths[(r.value >> 4 & 15) % 12];
            unsigned power = r.value >> 8 & 0xFF;
            std::uint32_t multiplier = power < 32 ? 1u << power : power - 32;
            std::memcpy(cap + 8, &offset, 4);
            std::memcpy(cap + 12, &length, 4);
            std::memcpy(cap + 16, &multiplier, 4);
            std::memcpy(config + at, cap, std::min<std::size_t>(sizeof(cap), 256 - at));
        }
    }

    Layout Expected() const {
        Layout found;
        const std::uint8_t *c = function_.config;
        unsigned vendor = c[0] | c[1] << 8u, id = c[2] | c[3] << 8u;
        if (mode_ == 3) {
            found.status = STATUS_INVALID_PARAMETER;
        } else if (vendor != 0x1AF4 || id < 0x1000 || id > 0x107F) {
            found.status = STATUS_NOT_SUPPORTED;
        } else {
            if (mode_ != 1) {
                found = function_.Modern();
            }
            Layout legacy = function_.Legacy(msix_);
            if (mode_ == 1 || (mode_ == 0 && !found.modern && NT_SUCCESS(legacy.status))) {
                found = legacy;
            }
        }
        return found;
    }

    void Init() {
        Layout expected = Expected(), legacy = function_.Legacy(msix_);
        bool stable = (function_.behaviour & kUnstable) == 0;
        NTSTATUS status =
            reached.Note(kInit, VirtioPciInit(device_, &kIo, &function_,
                                              static_cast<VIRTIO_PCI_MODE>(mode_), msix_));
        Require(!stable || status == expected.status, "what Init makes of configuration space");
        if (!NT_SUCCESS(status)) {
            return;
        }
        if (!stable) { // whatever was read, it must lie in the BARs
            expected.modern = device_->modern != FALSE;
            Use(expected.structures[2], device_->notify);
            Use(expected.structures[3], device_->isr);
            if (expected.modern) {
                Use(expected.structures[1], device_->common);
                Use(expected.structures[4], device_->config);
            } else {
                expected = legacy;
                Require(expected.structures[1].present, "a legacy interface");
            }
        }
        Require((device_->modern != FALSE) == expected.modern, "the transport in use");
        function_.layout = expected;
        function_.ready = true;
    }

    static void Use(Structure &s, const VIRTIO_PCI_REGION &region) {
        s = {region.present != FALSE, region.bar, region.offset, region.length};
    }

    void Step(const PciRecord &r) {
        switch (r.op % kPciOps) {
        case kPokeRegister:
            return function_.PokeRegister(r.a | r.b << 8u, r.value);
        case kBehave:
            function_.behaviour = r.a;
            return;
        case kPciReset:
            return Reset(r.a % 4u);
        case kNegotiate:
            return Negotiate(r.value | std::uint64_t{r.value} << 31,
                             std::uint64_t{r.c & 1u} << (r.b & 63));
        default:
            if (function_.ready) {
                ReadyStep(r);
            }
        }
    }

    void ReadyStep(const PciRecord &r) {
        switch (r.op % kPciOps) {
        case kDriverOk:
            if ((r.a & 2) != 0) {
                return Require(VirtioPciGetStatus(device_) == (function_.last_read & 0xFF) &&
                                   function_.accesses == 1,
                               "the status");
            }
            r.a & 1 ? VirtioPciFail(device_) : VirtioPciDriverOk(device_);
            return Require((function_.last_status & (r.a & 1 ? 0x80 : 4)) != 0, "status bit");
        case kMaxSize:
            return (void)MaxSize(r.a);
        case kSetup:
            return Setup(r);
        case kNotify:
            return Notify(static_cast<UINT16>(r.c & 1 ? r.a | r.b << 8 : r.a));
        case kReadIsr:
            (void)VirtioPciReadIsr(device_);
            return Require(function_.accesses == 1, "one read of the ISR status");
        case kReadConfig:
        case kWriteConfig:
            return Config(r.b & 1 ? r.value : r.a, r.c % 25u, r.op % kPciOps == kReadConfig);
        case kConfigVector:
            return Vector(static_cast<UINT16>(r.value));
        default:
            return;
        }
    }

    void Reset(UINT32 timeout) {
        NTSTATUS status = reached.Note(kResetDevice, VirtioPciReset(device_, timeout));
        if (!function_.ready) {
            return Require(status == STATUS_INVALID_DEVICE_STATE, "no reset before Init");
        }
        set_up_ = 0;
        UINT8 last = static_cast<UINT8>(function_.last_read);
        Require(function_.last_status == 0 && function_.stalls <= timeout, "a reset in time");
        Require(status == (last == 0      ? STATUS_SUCCESS
                           : last == 0xFF ? STATUS_DEVICE_DOES_NOT_EXIST
                                          : STATUS_IO_TIMEOUT),
                "what the reset came to");
    }

    // 6: what the library has no code for is never accepted.
    static bool IsUnknown(std::uint64_t features) {
        const std::uint64_t known = 1ull << 24 | 1ull << 27 | 1ull << 28 | 1ull << 29 | 1ull << 32 |
                                    1ull << 33 | 1ull << 36;
        const std::uint64_t reserved = ((1ull << 42) - 1) & ~((1ull << 24) - 1);
        return (features & reserved & ~known) != 0;
    }

    void Negotiate(std::uint64_t wanted, std::uint64_t required) {
        NTSTATUS status =
            reached.Note(kNegotiateFeatures, VirtioPciNegotiate(device_, wanted, required));
        if (!function_.ready) {
            return Require(status == STATUS_INVALID_DEVICE_STATE, "no features before Init");
        }
        Require(device_->num_queues <= VIRTIO_PCI_MAX_QUEUES, "a bounded number of queues");
        if (!NT_SUCCESS(status)) {
            Require(device_->num_queues == 0, "no queues without features");
            Require(status == STATUS_DEVICE_DOES_NOT_EXIST
                        ? function_.last_read == 0xFF
                        : status == STATUS_NOT_SUPPORTED && (function_.last_status & 0x80) != 0,
                    "a driver that gives up says so");
            return;
        }
        Require(function_.last_read != 0xFF, "a device that is there");
        Require(!device_->modern || (function_.last_read & 8) != 0, "FEATURES_OK read again");
        std::uint64_t got = device_->driver_features;
        std::uint64_t version_1 = device_->modern ? 1ull << 32 : 0;
        Require((got & ~device_->device_features) == 0 && (required & ~got) == 0 &&
                    (got & ~(wanted | required | version_1)) == 0 && (version_1 & ~got) == 0,
                "features offered, wanted and required");
        Require(!IsUnknown(got) && (device_->modern || got >> 32 == 0), "features with code");
        std::uint64_t told = function_.features[0] |
                             (device_->modern ? std::uint64_t{function_.features[1]} << 32 : 0);
        Require(told == got, "the device was told");
    }

    UINT16 MaxSize(UINT16 queue) {
        UINT16 size = 1;
        NTSTATUS status = reached.Note(kQueueMax, VirtioPciQueueMaxSize(device_, queue, &size));
        UINT32 claimed = queue < device_->num_queues ? function_.last_read : 0;
        bool wrong = claimed > 32768 || (!device_->modern && (claimed & (claimed - 1)) != 0);
        Require(status == (claimed == 0 ? STATUS_NOT_FOUND
                           : wrong      ? STATUS_DEVICE_CONFIGURATION_ERROR
                                        : STATUS_SUCCESS),
                "what a queue size comes to");
        Require(size == (NT_SUCCESS(status) ? claimed : 0), "the queue size");
        return size;
    }

    void Setup(const PciRecord &r) {
        const UINT16 queue = r.a, vector = static_cast<UINT16>(r.value);
        const UINT16 size = static_cast<UINT16>(r.b < 17 ? 1u << r.b : r.b);
        std::uint64_t desc = 0x7000, avail = desc + 16u * size;
        std::uint64_t used = (avail + 6 + 2u * size + 4095) / 4096 * 4096;
        switch (r.c % 9) {
        case 0:
            desc = 0;
            break;
        case 1:
            avail = 0;
            break;
        case 2:
            used = 0;
            break;
        case 3:
            desc += 8;
            break;
        case 4:
            avail += 1;
            break;
        case 5:
            used += 2;
            break;
        case 6:
            avail += 2;
            break; // right for modern, not for legacy
        case 7:
            desc |= 1ull << 44;
            avail |= 1ull << 44;
            used |= 1ull << 44;
            break;
        default:
            break;
        }
        bool bad = size == 0 || (size & (size - 1)) != 0 || desc == 0 || avail == 0 || used == 0 ||
                   desc % 16 != 0 || avail % 2 != 0 || used % 4 != 0 ||
                   (!msix_ && vector != 0xFFFF);
        bool legacy_bad = !device_->modern && r.c % 9 < 8;
        NTSTATUS status = reached.Note(
            kQueueSetup, VirtioPciQueueSetup(device_, queue, size, desc, avail, used, vector));
        if (!NT_SUCCESS(status)) {
            return;
        }
        Require(!bad && !legacy_bad, "wrong parameters are refused");
        Require(queue < device_->num_queues, "a queue that there is");
        const std::uint32_t *told = function_.addresses;
        if (device_->modern) {
            const std::uint64_t all[3] = {desc, avail, used};
            Require(std::memcmp(told, all, sizeof(all)) == 0, "the addresses of the queue");
        } else {
            Require(told[0] == desc >> 12, "the page of the queue");
        }
        set_up_ |= 1ull << queue;
    }

    void Notify(UINT16 queue) {
        VirtioPciNotify(device_, queue);
        unsigned expected = queue < 64 ? set_up_ >> queue & 1 : 0;
        Require(function_.accesses == expected && function_.notifies == expected &&
                    (expected == 0 || function_.notified == queue),
                "a notification of that queue alone");
    }

    void Vector(UINT16 vector) {
        NTSTATUS status = reached.Note(kVector, VirtioPciSetConfigVector(device_, vector));
        if (!msix_) {
            Require(function_.accesses == 0 &&
                        status == (vector == 0xFFFF ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER),
                    "no vector without MSI-X");
            return;
        }
        Require(status == (function_.last_read == vector ? STATUS_SUCCESS
                                                         : STATUS_INSUFFICIENT_RESOURCES),
                "what the vector came to");
    }

    void Config(UINT32 offset, UINT32 length, bool read) {
        const Structure &s = function_.layout.structures[4];
        bool inside = s.present && offset <= s.length && length <= s.length - offset;
        UINT8 buffer[32];
        UINT8 *at = buffer + (sizeof(buffer) - length); // nothing behind it
        std::memset(buffer, 0xEE, sizeof(buffer));
        NTSTATUS status =
            read ? reached.Note(kRead, VirtioPciReadConfig(device_, offset, at, length))
                 : reached.Note(kWrite, VirtioPciWriteConfig(device_, offset, at, length));
        if (!inside) {
            return Require(status == STATUS_BUFFER_OVERFLOW && function_.accesses == 0,
                           "nothing outside the device configuration");
        }
        Require(status == STATUS_SUCCESS || (read && status == STATUS_DEVICE_DATA_ERROR),
                "device configuration");
        Require(std::all_of(buffer, at, [](UINT8 byte) { return byte == 0xEE; }),
                "nothing before the buffer");
        if (status == STATUS_DEVICE_DATA_ERROR) {
            Require(std::all_of(at, at + length, [](UINT8 byte) { return byte == 0; }),
                    "zeroes, if it never held still");
        }
    }

    const unsigned mode_;
    const bool msix_;
    PciFunction function_;
    VIRTIO_PCI_DEVICE *device_;
    std::uint64_t set_up_ = 0;
};

} // namespace

} // namespace fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    fuzz::PciHeader header = {};
    fuzz::PciRecord records[fuzz::kMaxPciRecords] = {};
    std::size_t n = std::min(size, sizeof(header));
    std::memcpy(&header, data, n);
    std::size_t rest = std::min(size - n, sizeof(records));
    std::memcpy(records, data + n, rest);
    fuzz::Session(header).Run(records, (rest + sizeof(records[0]) - 1) / sizeof(records[0]));
    return 0;
}
