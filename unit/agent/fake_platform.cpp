// SPDX-License-Identifier: MIT
#include "fake_platform.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include <gtest/gtest.h>

std::unique_ptr<FakePlatform> fake;

namespace {

constexpr uint32_t kInvalidRequest = 0xC0000010, kIoDeviceError = 0xC0000185;
constexpr uint32_t kNotSupported = 0xC00000BB, kTooSmall = 0xC0000023;
constexpr uint32_t kAccessDenied = 0xC0000022;
constexpr uint32_t kCancelled = 0xC0000120, kDeviceBusy = 0x80000011;

bool IsWrite(uint32_t code) {
    return code == IOCTL_VQ7_BLK_WRITE;
}

bool IsTransfer(uint32_t code) {
    return code == IOCTL_VQ7_BLK_READ || IsWrite(code);
}

// The input may lie anywhere.
uint64_t FirstSector(const platform::Request &request) {
    VQ7_BLK_TRANSFER transfer;
    std::memcpy(&transfer, request.input, sizeof(transfer));
    return transfer.sector;
}

SubmittedOperation Describe(const platform::Request &request) {
    SubmittedOperation op{request.code, 0, 0, fake->flying.size() + fake->lost.size()};
    if (IsTransfer(request.code) && request.input_size == sizeof(VQ7_BLK_TRANSFER)) {
        op.sector = FirstSector(request);
        op.count = request.buffer_size / 512;
    }
    return op;
}

template <typename T> void Give(platform::Request *request, const T &value) {
    if (request->buffer_size < sizeof(T)) {
        request->status = kTooSmall;
        return;
    }
    std::memcpy(request->buffer, &value, sizeof(T));
    request->information = sizeof(T);
}

void Transfer(FakeDisk &disk, platform::Request *request, Fault fault) {
    if (request->input_size < sizeof(VQ7_BLK_TRANSFER)) {
        request->status = kTooSmall;
        return;
    }
    uint64_t sector = FirstSector(*request);
    uint64_t sectors = disk.data.size() / 512, count = request->buffer_size / 512;
    if (sector > sectors || count > sectors - sector || fault == Fault::kIoError) {
        request->status = kIoDeviceError;
        return;
    }
    request->information = fault == Fault::kShort ? request->buffer_size / 2 : request->buffer_size;
    if (fault == Fault::kNoTransfer)
        return;
    if (fault == Fault::kElsewhere)
        sector = (sector + 1) % (sectors - count + 1);
    uint8_t *at = &disk.data[sector * 512];
    uint8_t *buffer = static_cast<uint8_t *>(request->buffer);
    if (IsWrite(request->code))
        std::memcpy(at, buffer, request->buffer_size);
    else
        std::memcpy(buffer, at, request->buffer_size);
    if (fault == Fault::kOutside)
        buffer[request->buffer_size] ^= 1;
    if (fault == Fault::kBefore)
        buffer[-1] ^= 1;
    if (fault == Fault::kReadable && IsWrite(request->code))
        buffer[7] ^= 1;
    if (fault == Fault::kWrongData)
        (IsWrite(request->code) ? at : buffer)[request->buffer_size - 3] ^= 0x10;
}

void Serve(FakeDisk &disk, platform::Request *request, Fault fault) {
    request->status = 0;
    request->information = 0;
    if (IsTransfer(request->code)) {
        Transfer(disk, request, fault);
    } else if (request->code == IOCTL_VQ7_GET_DEVICE_INFO) {
        VQ7_DEVICE_INFO info{};
        info.pci_vendor = 0x1af4;
        info.pci_device = 0x1042;
        info.pci_slot = 4;
        info.virtio_type = disk.type;
        info.transport = VQ7_TRANSPORT_MODERN;
        info.interrupt_mode = VQ7_INTERRUPT_MESSAGE;
        info.vectors = 2;
        info.queue_count = 1;
        info.device_status = 0xF;
        info.driver_features = 0x100000200ull;
        info.queue[0].size = 128;
        info.queue[0].max_size = 256;
        info.state = disk.state;
        info.last_failure = disk.last_failure;
        Give(request, info);
    } else if (request->code == IOCTL_VQ7_GET_STATS) {
        VQ7_STATS stats{};
        stats.submitted = stats.completed = fake->submitted.size();
        Give(request, stats);
    } else if (request->code == IOCTL_VQ7_GET_FAILURES) {
        Give(request, disk.failures);
    } else if (request->code == IOCTL_VQ7_SET_TIMEOUT) {
        const auto &timeout = *static_cast<const VQ7_TIMEOUT *>(request->input);
        EXPECT_EQ(sizeof(timeout), request->input_size);
        EXPECT_EQ(0u, request->buffer_size);
        disk.failures.timeout_ms = timeout.timeout_ms;
        disk.failures.retries = timeout.retries;
    } else if (request->code == IOCTL_VQ7_RESTART) {
        request->status = fault == Fault::kIoError ? kIoDeviceError : 0;
    } else if (request->code == IOCTL_VQ7_BLK_GET_INFO) {
        VQ7_BLK_INFO info{};
        info.capacity = disk.data.size() / 512;
        info.block_size = disk.block_size;
        Give(request, info);
    } else if (request->code == IOCTL_VQ7_BLK_GET_ID) {
        VQ7_BLK_ID id{};
        std::memcpy(id.id, disk.id.data(), std::min<size_t>(20, disk.id.size()));
        Give(request, id);
    } else if (request->code == IOCTL_VQ7_BLK_FLUSH) {
        request->status = fault == Fault::kIoError ? kIoDeviceError
                          : disk.flush             ? 0
                                                   : kNotSupported;
    } else if (request->code != IOCTL_VQ7_CLEAR_STATS) {
        request->status = kInvalidRequest;
    }
}

void NoteOverlaps(const platform::Device *device, const SubmittedOperation &op) {
    for (auto &[other_device, other] : fake->flying) {
        SubmittedOperation o = Describe(*other);
        bool write = IsWrite(op.code) || IsWrite(o.code);
        if (other_device == device && write && IsTransfer(op.code) && IsTransfer(o.code) &&
            op.sector < o.sector + o.count && o.sector < op.sector + op.count)
            fake->overlaps++;
    }
}

} // namespace

void FakePlatform::AddDisk(uint64_t sectors) {
    FakeDisk disk;
    disk.data.resize(sectors * 512);
    disks.push_back(disk);
}

void FakePlatform::ReturnLost() {
    for (auto &entry : lost) {
        entry.second->code = 0; // Serve() answers that it is no request
        flying.push_back(entry);
    }
    lost.clear();
}

size_t FakePlatform::MemoryInUse() const {
    size_t sum = 0;
    for (auto &entry : memory)
        sum += entry.second;
    return sum;
}

namespace platform {

struct Device {
    int unused;
};

size_t ConsoleRead(uint8_t *buffer, size_t size, uint32_t timeout_ms) {
    size_t count = 0;
    while (count < size && !fake->input.empty()) {
        buffer[count++] = fake->input.front();
        fake->input.pop_front();
    }
    if (!count)
        fake->now_us += timeout_ms * 1000ull;
    return count;
}

void ConsoleWrite(const uint8_t *bytes, size_t size) {
    fake->output.append(reinterpret_cast<const char *>(bytes), size);
}

uint32_t DeviceCount() {
    return fake->loaded ? static_cast<uint32_t>(fake->disks.size()) : 0;
}

uint32_t DeviceOpen(uint32_t index, Device **device) {
    if (fake->open_status)
        return fake->open_status;
    *device = new Device{};
    fake->open[*device] = index;
    return 0;
}

uint32_t DeviceOpenHandle(uint32_t index, uint32_t access, Device **device) {
    uint32_t status = DeviceOpen(index, device);
    if (!status)
        fake->handles[*device] = {index, access};
    return status;
}

void DeviceClose(Device *device) {
    if (fake->handles.count(device)) { // its requests may be in flight
        EXPECT_EQ(1u, fake->open.erase(device));
        return;
    }
    if (fake->close_under_load) {
        fake->closed.insert(fake->open.extract(device));
        return; // deleted with its last request, or never
    }
    for (auto &entry : fake->flying)
        EXPECT_NE(entry.first, device) << "closed with a request in flight";
    for (auto &entry : fake->lost)
        EXPECT_NE(entry.first, device) << "closed with a request at the driver";
    EXPECT_EQ(1u, fake->open.erase(device));
    delete device;
}

void SubmitRequest(Device *device, Request *request) {
    SubmittedOperation op = Describe(*request);
    NoteOverlaps(device, op);
    op.flying++;
    fake->submitted.push_back(op);
    bool lost = fake->fault && fake->fault(op, fake->submitted.size() - 1) == Fault::kLost;
    (lost ? fake->lost : fake->flying).push_back({device, request});
    request->reserved[0] = fake->submitted.size() - 1;
    if (fake->on_submit)
        fake->on_submit();
}

Request *WaitRequest(uint32_t timeout_ms) {
    if (fake->flying.empty() || !fake->powered) {
        fake->now_us += timeout_ms * 1000ull;
        return nullptr;
    }
    fake->now_us += fake->service_us;
    size_t chosen = fake->random() % fake->flying.size();
    auto [device, request] = fake->flying[chosen];
    fake->flying.erase(fake->flying.begin() + static_cast<long>(chosen));
    size_t index = request->reserved[0];
    Fault fault = fake->fault ? fake->fault(fake->submitted[index], index) : Fault::kNone;
    auto handle = fake->handles.find(device);
    uint32_t wanted = request->code >> 14 & 3;
    if (handle != fake->handles.end() && (handle->second.access & wanted) != wanted) {
        request->status = kAccessDenied;
        request->information = 0;
        return request;
    }
    bool open = fake->open.count(device) != 0;
    size_t disk = handle != fake->handles.end() ? handle->second.disk
                                                : (open ? fake->open : fake->closed).at(device);
    Serve(fake->disks.at(disk), request, fault);
    if (fake->cancelled.erase(request))
        request->status = kCancelled;
    return request;
}

// One in two: the others were with the device already.
void CancelRequest(Device *, Request *request) {
    if (request->reserved[0] % 2)
        fake->cancelled.insert(request);
}

uint32_t DevicePowerDown(Device *) {
    fake->power += "down ";
    fake->powered = fake->power_status != 0;
    return fake->power_status;
}

uint32_t DevicePowerUp(Device *) {
    fake->power += "up ";
    fake->powered = true;
    return fake->power_status;
}

void *AllocatePages(size_t bytes) {
    if (bytes > fake->memory_limit || fake->MemoryInUse() > fake->memory_limit - bytes)
        return nullptr;
    size_t size = (bytes + 4095) / 4096 * 4096;
    void *memory = std::aligned_alloc(4096, size ? size : 4096);
    std::memset(memory, 0, size);
    fake->memory[memory] = bytes;
    return memory;
}

void FreePages(void *memory) {
    EXPECT_EQ(1u, fake->memory.erase(memory)) << "freed twice, or never allocated";
    std::free(memory);
}

uint64_t MonotonicUs() {
    return fake->now_us;
}
uint64_t BootId() {
    return 0x1122334455667788ull;
}
const char *GuestName() {
    return "fake";
}
const char *Architecture() {
    return "x64";
}

uint32_t DriverUnload() {
    if (!fake->open.empty())
        return kDeviceBusy;
    if (!fake->unload_status)
        fake->loaded = false;
    return fake->unload_status;
}
uint32_t SetLowResources(uint32_t nth) {
    fake->low_resources = {nth, 0, nullptr, 0};
    return fake->has_faults ? 0 : 0xE0070008;
}

uint32_t GetLowResources(LowResources *now) {
    *now = fake->low_resources;
    return fake->has_faults ? 0 : 0xE0070008;
}

uint32_t AddLie(const Lie &lie) {
    fake->lies.push_back(lie);
    return fake->has_faults ? 0 : 0xE0070008;
}

uint32_t GetLie(uint32_t index, Lie *lie) {
    if (index >= fake->lies.size())
        return kInvalidRequest;
    *lie = fake->lies[index];
    return 0;
}

uint32_t ClearLies() {
    fake->lies.clear();
    return fake->has_faults ? 0 : 0xE0070008;
}

uint32_t DriverLoad() {
    fake->loaded = true;
    return 0;
}
uint32_t PrepareShutdown() {
    return fake->shutdown_status;
}
uint32_t Shutdown(bool restart) {
    fake->machine += restart ? "restart" : "poweroff";
    return 0;
}
void Crash() {
    fake->machine += "crash";
}

} // namespace platform

AgentRig::AgentRig(uint64_t sectors) {
    fake = std::make_unique<FakePlatform>();
    fake->AddDisk(sectors);
    agent = agent::CreateAgent();
    agent->Start();
}

AgentRig::~AgentRig() {
    for (auto &entry : fake->handles)
        fake->open.erase(entry.first), delete entry.first;
    for (auto &entry : fake->open)
        delete entry.first;
    for (auto &entry : fake->closed)
        delete entry.first;
    for (auto &entry : fake->memory)
        std::free(entry.first);
    fake.reset();
}

std::string AgentRig::Type(const std::string &bytes) {
    fake->output.clear();
    fake->input.insert(fake->input.end(), bytes.begin(), bytes.end());
    while (agent->Step(0)) {
    }
    return fake->output;
}

std::string AgentRig::AskWith(uint32_t number, const std::string &command) {
    return Unsealed(Type(Sealed("@" + std::to_string(number) + " " + command)));
}

std::string AgentRig::Ask(const std::string &command) {
    std::string answer = AskWith(++seq, command);
    std::string prefix = "@" + std::to_string(seq) + " ", out;
    std::istringstream lines(answer);
    for (std::string line; std::getline(lines, line);) {
        EXPECT_EQ(prefix, line.substr(0, prefix.size())) << line;
        out += line.substr(std::min(prefix.size(), line.size())) + "\n";
    }
    return out;
}

uint32_t BitwiseCrc(const std::string &bytes) {
    uint32_t crc = ~0u;
    for (unsigned char byte : bytes) {
        crc ^= byte;
        for (int i = 0; i < 8; i++)
            crc = crc & 1 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
    }
    return ~crc;
}

std::string Sealed(const std::string &body) {
    char tail[16];
    std::snprintf(tail, sizeof(tail), " *%08x\r\n", BitwiseCrc(body));
    return body + tail;
}

std::string Unsealed(const std::string &lines) {
    std::istringstream in(lines);
    std::string out;
    for (std::string line; std::getline(in, line);) {
        if (line.empty() || line[0] != '@')
            continue;
        EXPECT_LE(line.size() + 1, 1024u);
        EXPECT_GT(line.size(), 11u) << line;
        std::string body = line.substr(0, line.size() - 11);
        EXPECT_EQ(Sealed(body), line + "\n");
        out += body + "\n";
    }
    return out;
}

std::string Value(const std::string &line, const std::string &name) {
    size_t at = (" " + line).find(" " + name + "=");
    if (at == std::string::npos)
        return "(none)";
    at += name.size() + 1;
    return line.substr(at, line.find_first_of(" \n", at) - at);
}
