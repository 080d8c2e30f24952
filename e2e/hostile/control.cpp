// SPDX-License-Identifier: MIT
#include "control.h"

#include <sys/socket.h>
#include <sys/un.h>

namespace hostile {

namespace {

constexpr size_t MaxLine = 4096;
constexpr int Backlog = 4;

} // namespace

Fd listenAt(const std::string &path) {
    sockaddr_un address{};

    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof(address.sun_path)) {
        throw Error("the socket's path is longer than " +
                    std::to_string(sizeof(address.sun_path) - 1) + " bytes: " + path);
    }
    memcpy(address.sun_path, path.c_str(), path.size());
    unlink(path.c_str());
    Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd || bind(fd.get(), reinterpret_cast<sockaddr *>(&address), sizeof(address)) != 0 ||
        listen(fd.get(), Backlog) != 0) {
        systemError("can't listen at " + path);
    }
    return fd;
}

Control::Control(Loop &loop, const std::string &path, Execute execute)
    : loop_(loop), path_(path), execute_(std::move(execute)), listener_(listenAt(path)) {
    loop_.watch(listener_.get(), [this] { accept(); });
}

Control::~Control() {
    loop_.forget(listener_.get());
    for (const auto &each : clients_) {
        loop_.forget(each.first);
    }
    unlink(path_.c_str());
}

void Control::accept() {
    Fd socket(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket) {
        return; // it has gone already
    }
    int number = socket.get();
    clients_[number] = {std::move(socket), ""};
    loop_.watch(number, [this, number] { readable(number); });
}

void Control::drop(int number) {
    loop_.forget(number);
    clients_.erase(number);
}

void Control::readable(int number) {
    Client &client = clients_.at(number);
    char buffer[1024];
    ssize_t got = recv(number, buffer, sizeof(buffer), 0);

    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0 || client.line.size() + size_t(got) > MaxLine) {
        drop(number);
        return;
    }
    client.line.append(buffer, size_t(got));
    for (size_t end; (end = client.line.find('\n')) != std::string::npos;) {
        std::string line = client.line.substr(0, end);
        client.line.erase(0, end + 1);
        if (!answer(client, execute_(line))) {
            drop(number);
            return;
        }
    }
}

// A client that doesn't read what it asked for isn't waited for.
bool Control::answer(Client &client, const std::string &text) {
    return send(client.socket.get(), text.data(), text.size(), MSG_NOSIGNAL) ==
           ssize_t(text.size());
}

} // namespace hostile
