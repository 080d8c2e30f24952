// SPDX-License-Identifier: MIT
#include "message.h"

#include <poll.h>
#include <sys/socket.h>

namespace hostile {

namespace {

constexpr size_t MaxFds = 8;          // of one message
constexpr uint32_t MaxPayload = 4096; // the longest is a table of regions
constexpr int SendTimeoutMs = 5000;

void collectFds(msghdr &message, std::vector<Fd> &fds) {
    for (cmsghdr *part = CMSG_FIRSTHDR(&message); part != nullptr;
         part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
            fds.emplace_back(fd);
        }
    }
    if ((message.msg_flags & MSG_CTRUNC) != 0) {
        throw ProtocolError("more file descriptors than a message may carry");
    }
}

// sendmsg, waiting as long as is decent for a socket that is full.
ssize_t sendSome(int socket, const msghdr &message) {
    for (;;) {
        ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL);
        if (sent >= 0 || (errno != EAGAIN && errno != EINTR)) {
            return sent;
        }
        pollfd full{socket, POLLOUT, 0};
        if (errno == EAGAIN && poll(&full, 1, SendTimeoutMs) == 0) {
            errno = ETIMEDOUT;
            return -1;
        }
    }
}

} // namespace

Receiver::State Receiver::read(int socket, uint8_t *into, size_t bytes, size_t &have) {
    while (have < bytes) {
        alignas(cmsghdr) char control[CMSG_SPACE(MaxFds * sizeof(int))];
        iovec part{into + have, bytes - have};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof(control);
        ssize_t got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return errno == EAGAIN ? State::More : State::Closed;
        }
        collectFds(message, message_.fds);
        if (got == 0) {
            return State::Closed;
        }
        have += size_t(got);
    }
    return State::Whole;
}

Receiver::State Receiver::receive(int socket) {
    if (headerBytes_ < sizeof(Header)) {
        State state = read(socket, reinterpret_cast<uint8_t *>(&message_.header), sizeof(Header),
                           headerBytes_);
        if (state != State::Whole) {
            return state;
        }
        if ((message_.header.flags & VersionMask) != Version) {
            throw ProtocolError("a message of version " +
                                std::to_string(message_.header.flags & VersionMask));
        }
        if (message_.header.size > MaxPayload) {
            throw ProtocolError("a message of " + std::to_string(message_.header.size) + " bytes");
        }
        message_.payload.resize(message_.header.size);
    }
    return read(socket, message_.payload.data(), message_.payload.size(), payloadBytes_);
}

Message Receiver::take() {
    headerBytes_ = payloadBytes_ = 0;
    return std::exchange(message_, Message());
}

void sendMessage(int socket, uint32_t request, uint32_t flags, const void *payload, size_t bytes,
                 const std::vector<int> &fds) {
    alignas(cmsghdr) char control[CMSG_SPACE(MaxFds * sizeof(int))] = {};
    std::vector<uint8_t> wire(sizeof(Header) + bytes);
    Header header{request, flags, uint32_t(bytes)};
    memcpy(wire.data(), &header, sizeof(header));
    if (bytes != 0) {
        memcpy(wire.data() + sizeof(header), payload, bytes);
    }
    iovec part{wire.data(), wire.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (!fds.empty()) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
        cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
        memcpy(CMSG_DATA(head), fds.data(), fds.size() * sizeof(int));
    }
    while (part.iov_len != 0) {
        ssize_t sent = sendSome(socket, message);
        if (sent < 0) {
            systemError("can't send message " + std::to_string(request));
        }
        part.iov_base = static_cast<uint8_t *>(part.iov_base) + sent;
        part.iov_len -= size_t(sent);
        message.msg_control = nullptr; // went with the first byte
        message.msg_controllen = 0;
    }
}

} // namespace hostile
