// SPDX-License-Identifier: MIT
#include "front_end.h"

#include <atomic>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

namespace hostile {

namespace {

constexpr int Patience = 10'000;

Fd memoryFile(uint64_t bytes) {
    Fd fd(memfd_create("test", MFD_CLOEXEC));
    if (!fd || ftruncate(fd.get(), off_t(bytes)) != 0) {
        systemError("can't make a memory file");
    }
    return fd;
}

Fd connectTo(const std::string &path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, path.c_str(), path.size());
    Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (connect(fd.get(), reinterpret_cast<sockaddr *>(&address), sizeof(address)) != 0) {
        systemError("can't connect to " + path);
    }
    return fd;
}

std::atomic_ref<uint16_t> shared(uint8_t *at) {
    return std::atomic_ref<uint16_t>(*reinterpret_cast<uint16_t *>(at));
}

} // namespace

bool readableWithin(int fd, int milliseconds) {
    pollfd ready{fd, POLLIN, 0};
    return poll(&ready, 1, milliseconds) == 1;
}

Served::Served(uint64_t sectors) : disk_(memoryFile(sectors * 512)) {
    char folder[] = "/tmp/hostile-XXXXXX";
    if (mkdtemp(folder) == nullptr) {
        systemError("can't make a folder");
    }
    folder_ = folder;
    std::string file = "/proc/self/fd/" + std::to_string(disk_.get());
    backend_ = std::make_unique<Backend>(loop_, makeDevice("blk", file));
    backend_->listen(socketPath());
    control_ = std::make_unique<Control>(loop_, folder_ + "/ctl", [this](const std::string &line) {
        return backend_->execute(line);
    });
    thread_ = std::thread([this] { loop_.run(); });
    client_ = connectTo(folder_ + "/ctl");
}

Served::~Served() {
    command("quit");
    thread_.join();
    control_.reset();
    backend_.reset();
    rmdir(folder_.c_str());
}

std::string Served::command(const std::string &line) {
    std::string sent = line + "\n", got;
    char byte;

    if (write(client_.get(), sent.data(), sent.size()) < 0) {
        systemError("can't send a command");
    }
    for (;;) {
        size_t last = got.size() < 2 ? 0 : got.rfind('\n', got.size() - 2);
        last = last == std::string::npos || got.size() < 2 ? 0 : last + (last != 0);
        if (!got.empty() && got.back() == '\n' &&
            (got.compare(last, 2, "ok") == 0 || got.compare(last, 5, "error") == 0)) {
            return got;
        }
        if (!readableWithin(client_.get(), Patience) || read(client_.get(), &byte, 1) != 1) {
            throw Silence("no answer to '" + line + "'");
        }
        got += byte;
    }
}

uint64_t Served::counter(const std::string &name) {
    std::string status = command("status");
    size_t at = status.find(" " + name + "=");
    return at == std::string::npos ? 0 : std::stoull(status.substr(at + name.size() + 2));
}

std::string Served::disk(uint64_t sector, size_t bytes) const {
    std::string data(bytes, '\0');
    if (pread(disk_.get(), data.data(), bytes, off_t(sector * 512)) != ssize_t(bytes)) {
        systemError("can't read the disk");
    }
    return data;
}

// --- the protocol --------------------------------------------------------------

FrontEnd::FrontEnd(const std::string &path)
    : socket_(connectTo(path)), file_(memoryFile(Memory)), kick_(eventfd(0, EFD_NONBLOCK)),
      call_(eventfd(0, EFD_NONBLOCK)), error_(eventfd(0, EFD_NONBLOCK)) {
    memory_ = static_cast<uint8_t *>(
        mmap(nullptr, Memory, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0));
}

FrontEnd::~FrontEnd() {
    munmap(memory_, Memory);
}

void FrontEnd::send(Type type, const void *payload, size_t bytes, std::vector<int> fds,
                    uint32_t flags) {
    sendMessage(socket_.get(), uint32_t(type), Version | flags, payload, bytes, fds);
}

Message FrontEnd::reply() {
    Receiver receiver;
    for (;;) {
        if (!readableWithin(socket_.get(), Patience)) {
            throw Silence("no reply");
        }
        auto state = receiver.receive(socket_.get());
        if (state == Receiver::State::Closed) {
            throw Silence("the connection is closed");
        }
        if (state == Receiver::State::Whole) {
            return receiver.take();
        }
    }
}

bool FrontEnd::closed() {
    char byte;
    return readableWithin(socket_.get(), Patience) &&
           recv(socket_.get(), &byte, 1, MSG_DONTWAIT) <= 0;
}

uint64_t FrontEnd::ask(Type type) {
    send(type, nullptr, 0);
    return reply().as<uint64_t>();
}

std::vector<uint8_t> FrontEnd::config(uint32_t offset, uint32_t bytes) {
    std::vector<uint8_t> payload(sizeof(ConfigSpace) + bytes);
    ConfigSpace asked{offset, bytes, 0};
    memcpy(payload.data(), &asked, sizeof(asked));
    send(Type::GetConfig, payload.data(), payload.size());
    Message answer = reply();
    return answer.payload.size() < sizeof(asked)
               ? std::vector<uint8_t>()
               : std::vector<uint8_t>(answer.payload.begin() + sizeof(asked), answer.payload.end());
}

void FrontEnd::negotiate(uint64_t features) {
    uint64_t protocol = ask(Type::GetProtocolFeatures);
    send(Type::SetProtocolFeatures, &protocol, sizeof(protocol));
    send(Type::SetOwner, nullptr, 0);
    features_ = features;
    features |= ProtocolFeaturesFeature;
    if (tell(Type::SetFeatures, features) != 0) {
        throw Error("features refused");
    }
}

void FrontEnd::negotiateOld(uint64_t features) {
    old_ = true;
    features_ = features;
    tell(Type::SetOwner, uint64_t(0));
    tell(Type::SetFeatures, features);
}

void FrontEnd::shareMemory() {
    struct {
        MemoryTable head;
        Region regions[2];
    } table{{2, 0}, {{0, Split, User, 0}, {Split, Memory - Split, User + Split, Split}}};
    if (tell(Type::SetMemTable, table, {file_.get(), file_.get()}) != 0) {
        throw Error("memory refused");
    }
}

void FrontEnd::trackInflight(uint16_t size) {
    if (!inflight_) {
        area_ = {0, 0, 1, size, 0};
        send(Type::GetInflightFd, &area_, sizeof(area_));
        Message answer = reply();
        area_ = answer.as<InflightArea>();
        inflight_ = std::move(answer.fds.at(0));
    }
    if (tell(Type::SetInflightFd, area_, {inflight_.get()}) != 0) {
        throw Error("the record of requests in flight is refused");
    }
}

void FrontEnd::startQueue(uint16_t size, uint16_t base) {
    size_ = size;
    VringState number{0, size}, from{0, base}, on{0, 1};
    VringAddress places{0, 0, User + Descriptors, User + UsedRing, User + Available, 0};
    uint64_t index = 0, bad = 0;
    bad |= tell(Type::SetVringNum, number);
    bad |= tell(Type::SetVringAddr, places);
    bad |= tell(Type::SetVringBase, from);
    bad |= tell(Type::SetVringCall, index, {call_.get()});
    bad |= tell(Type::SetVringErr, index, {error_.get()});
    bad |= tell(Type::SetVringKick, index, {kick_.get()});
    bad |= old_ ? 0 : tell(Type::SetVringEnable, on);
    if (bad != 0) {
        throw Error("the queue is refused");
    }
}

uint32_t FrontEnd::stopQueue() {
    VringState state{0, 0};
    send(Type::GetVringBase, &state, sizeof(state));
    return reply().as<VringState>().num;
}

Fd FrontEnd::backendChannel() {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        systemError("can't make a pair of sockets");
    }
    Fd ours(ends[0]), theirs(ends[1]);
    send(Type::SetBackendReqFd, nullptr, 0, {theirs.get()}, NeedReplyFlag);
    if (reply().as<uint64_t>() != 0) {
        throw Error("the channel is refused");
    }
    return ours;
}

// --- the driver ------------------------------------------------------------------

uint64_t FrontEnd::room(size_t bytes) {
    uint64_t place = next_;
    next_ += (bytes + 63) / 64 * 64;
    if (next_ > Memory) {
        next_ = Data; // tests use a buffer at once
        return room(bytes);
    }
    return place;
}

uint64_t FrontEnd::put(const std::string &bytes) {
    uint64_t place = room(bytes.size());
    memcpy(at(place), bytes.data(), bytes.size());
    return place;
}

std::string FrontEnd::get(uint64_t guest, size_t bytes) {
    return {reinterpret_cast<char *>(at(guest)), bytes};
}

void FrontEnd::describe(uint64_t table, uint16_t index, Segment segment, uint16_t flags,
                        uint16_t next) {
    uint8_t *entry = at(table + uint64_t(16) * index);
    memcpy(entry, &segment.address, 8);
    memcpy(entry + 8, &segment.length, 4);
    flags |= segment.writable ? 2 : 0;
    memcpy(entry + 12, &flags, 2);
    memcpy(entry + 14, &next, 2);
}

uint16_t FrontEnd::chain(uint16_t head, const std::vector<Segment> &segments) {
    for (size_t i = 0; i < segments.size(); i++) {
        bool last = i + 1 == segments.size();
        describe(Descriptors, uint16_t(head + i), segments[i], last ? 0 : 1,
                 uint16_t(head + i + 1));
    }
    return uint16_t(segments.size());
}

void FrontEnd::publish(uint16_t head) {
    memcpy(at(Available + 4 + 2 * (published_ % size_)), &head, 2);
    shared(at(Available + 2)).store(++published_, std::memory_order_release);
}

void FrontEnd::kick() {
    uint64_t one = 1;
    if (write(kick_.get(), &one, sizeof(one)) < 0) {
        systemError("can't kick");
    }
}

bool FrontEnd::called(int milliseconds) {
    uint64_t count;
    return readableWithin(call_.get(), milliseconds) &&
           read(call_.get(), &count, sizeof(count)) > 0;
}

bool FrontEnd::failed(int milliseconds) {
    return readableWithin(error_.get(), milliseconds);
}

std::vector<Used> FrontEnd::used(size_t count) {
    std::vector<Used> list;
    auto until = Loop::Clock::now() + std::chrono::milliseconds(Patience);
    while (list.size() < count) {
        if (shared(at(UsedRing + 2)).load(std::memory_order_acquire) == seen_) {
            if (Loop::Clock::now() > until) {
                throw Silence("nothing more was used");
            }
            std::this_thread::yield();
            continue;
        }
        Used element;
        memcpy(&element, at(UsedRing + 4 + 8 * (seen_ % size_)), sizeof(element));
        list.push_back(element);
        seen_++;
    }
    return list;
}

void FrontEnd::availableFlags(uint16_t flags) {
    shared(at(Available)).store(flags);
}

void FrontEnd::usedEvent(uint16_t index) {
    shared(at(Available + 4 + 2 * size_)).store(index);
}

uint16_t FrontEnd::availableEvent() {
    return shared(at(UsedRing + 4 + 8 * size_)).load();
}

void FrontEnd::resetRing() {
    memset(at(Descriptors), 0, Data - Descriptors);
    published_ = seen_ = 0;
}

uint64_t FrontEnd::submit(uint16_t head, uint32_t type, uint64_t sector, const std::string &out,
                          size_t in, uint64_t *inPlace) {
    struct {
        uint32_t type, reserved;
        uint64_t sector;
    } header{type, 0, sector};
    std::vector<Segment> segments{
        {put({reinterpret_cast<char *>(&header), sizeof(header)}), sizeof(header), false}};
    if (!out.empty()) {
        segments.push_back({put(out), uint32_t(out.size()), false});
    }
    if (in != 0) {
        segments.push_back({room(in), uint32_t(in), true});
        memset(at(segments.back().address), 0xCC, in);
        if (inPlace != nullptr) {
            *inPlace = segments.back().address;
        }
    }
    segments.push_back({put("\xFF"), 1, true});
    chain(head, segments);
    publish(head);
    return segments.back().address;
}

FrontEnd::Result FrontEnd::request(uint32_t type, uint64_t sector, const std::string &out,
                                   size_t in) {
    uint64_t data = 0;
    uint64_t status = submit(0, type, sector, out, in, &data);
    kick();
    Used done = used(1)[0];
    if (done.id != 0) {
        throw Error("another buffer was used: " + std::to_string(done.id));
    }
    return {*at(status), done.length, in != 0 ? get(data, in) : ""};
}

} // namespace hostile
