// SPDX-License-Identifier: MIT
#include "backend.h"

#include <cstdio>
#include <sstream>

#include <sys/socket.h>

namespace hostile {

Backend::Backend(Loop &loop, std::unique_ptr<Device> device)
    : loop_(loop), device_(std::move(device)), behaviour_(device_->kinds()) {}

Backend::~Backend() {
    session_.reset();
    if (listener_) {
        loop_.forget(listener_.get());
        unlink(path_.c_str());
    }
}

void Backend::listen(const std::string &path) {
    listener_ = listenAt(path);
    path_ = path;
    waitForFrontEnd();
}

void Backend::waitForFrontEnd() {
    if (listener_ && session_ == nullptr) {
        loop_.watch(listener_.get(), [this] { accept(); });
    }
}

void Backend::accept() {
    Fd connection(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (connection) {
        loop_.forget(listener_.get()); // the next one waits until this one has gone
        serve(std::move(connection));
    }
}

void Backend::serve(Fd connection) {
    counters_.connections++;
    session_ = std::make_unique<Session>(
        std::move(connection), loop_, *device_, behaviour_, counters_,
        [this](milliseconds pause) { hangUp(pause); },
        [this](const std::string &why) { ended(why); });
}

// The session is still at work when it asks for this.
void Backend::hangUp(milliseconds pause) {
    loop_.soon([this, pause, number = counters_.connections] {
        if (number == counters_.connections) {
            session_.reset();
            loop_.at(Loop::Clock::now() + pause, [this] { waitForFrontEnd(); });
        }
    });
}

// The session is still at work when it says that it has ended.
void Backend::ended(const std::string &why) {
    fprintf(stderr, "connection %llu ended: %s\n", (unsigned long long)counters_.connections,
            why.c_str());
    loop_.soon([this, number = counters_.connections] {
        if (number == counters_.connections) {
            session_.reset();
            waitForFrontEnd();
        }
    });
}

// --- commands ----------------------------------------------------------------

const Backend::Command Backend::commands[] = {
    {"help", "", &Backend::help},
    {"status", "", &Backend::status},
    {"misbehave",
     "NAME [value=N] [kind=A,B] [when=always|on:K|after:N|every:N|random:PERCENT] "
     "[seed=N] [times=N]",
     &Backend::misbehave},
    {"behave", "[NAME|RULE]", &Backend::behave},
    {"rules", "", &Backend::rules},
    {"set", "NAME=VALUE ...", &Backend::set},
    {"properties", "", &Backend::properties},
    {"release", "[COUNT]", &Backend::release},
    {"disconnect", "", &Backend::disconnect},
    {"listen", "on|off", &Backend::listenCommand},
    {"cut", "[SEED]", &Backend::cut},
    {"quit", "", &Backend::quit},
};

std::string Backend::execute(const std::string &line) {
    std::istringstream stream(line);
    std::string name, word;
    Words words;

    stream >> name;
    while (stream >> word) {
        words.push_back(word);
    }
    try {
        for (const Command &each : commands) {
            if (name == each.name) {
                return (this->*each.run)(words);
            }
        }
        throw Error("unknown command '" + name + "'; see help");
    } catch (const Error &bad) {
        return "error " + std::string(bad.what()) + "\n";
    }
}

std::string Backend::help(const Words &) {
    std::string text;

    for (const Command &each : commands) {
        text += std::string(each.name) + (*each.usage != '\0' ? " " : "") + each.usage + "\n";
    }
    for (const Misbehaviour &each : misbehaviours()) {
        text += "misbehave " + std::string(each.name) + ": " + std::string(each.what) + "\n";
    }
    return text + "ok\n";
}

std::string Backend::status(const Words &) {
    std::ostringstream text;
    const Counters &c = counters_;

    text << "ok connected=" << (session_ != nullptr) << " connections=" << c.connections
         << " starts=" << c.starts << " kicks=" << c.kicks << " calls=" << c.calls
         << " suppressed=" << c.suppressed << " requests=" << c.requests
         << " completed=" << c.completed << " misbehaved=" << c.misbehaved
         << " resubmitted=" << c.resubmitted << " forgotten=" << c.forgotten
         << " ring_errors=" << c.ring_errors;
    text << " pending=" << (session_ ? session_->pending() : 0)
         << " held=" << (session_ ? session_->held() : 0)
         << " regions=" << (session_ ? session_->regions() : 0)
         << " features=" << (session_ ? session_->features() : 0);
    for (std::string_view kind : device_->kinds()) {
        auto found = c.kinds.find(kind);
        text << " " << kind << "=" << (found == c.kinds.end() ? 0 : found->second);
    }
    for (const auto &each : device_->counters()) {
        text << " " << each.first << "=" << each.second;
    }
    text << "\n";
    return c.last_error.empty() ? text.str() : c.last_error + "\n" + text.str();
}

std::string Backend::misbehave(const Words &words) {
    return "ok rule=" + std::to_string(behaviour_.add(words)) + "\n";
}

std::string Backend::behave(const Words &words) {
    if (words.empty()) {
        behaviour_.clear();
    }
    for (const std::string &each : words) {
        behaviour_.remove(each);
    }
    if (session_ != nullptr && words.empty()) {
        session_->behave();
    }
    return "ok\n";
}

std::string Backend::rules(const Words &) {
    std::string text;

    for (const std::string &each : behaviour_.describe()) {
        text += each + "\n";
    }
    return text + "ok\n";
}

std::string Backend::set(const Words &words) {
    bool changed = false;

    for (const std::string &each : words) {
        size_t equals = each.find('=');
        if (equals == std::string::npos) {
            throw Error("'" + each + "' isn't name=value");
        }
        changed = device_->set(each.substr(0, equals), each.substr(equals + 1)) || changed;
    }
    bool told = changed && session_ != nullptr && session_->configChanged();
    return std::string("ok told=") + (told ? "1" : "0") + "\n";
}

std::string Backend::properties(const Words &) {
    std::string text;

    for (const std::string &each : device_->properties()) {
        text += each + "\n";
    }
    return text + "ok\n";
}

std::string Backend::release(const Words &words) {
    uint64_t most = words.empty() ? UINT64_MAX : number(words[0], "count");
    uint64_t count = session_ != nullptr ? session_->release(most) : 0;
    return "ok released=" + std::to_string(count) + "\n";
}

std::string Backend::disconnect(const Words &) {
    if (session_ == nullptr) {
        throw Error("nobody is connected");
    }
    session_.reset();
    waitForFrontEnd();
    return "ok\n";
}

// Nobody is answered any more; what was at the device is lost with it.
std::string Backend::cut(const Words &words) {
    uint64_t seed = words.empty() ? 0 : number(words[0], "seed");
    std::string lost = device_->cutPower(seed);

    session_.reset();
    if (listener_) {
        listenCommand({"off"});
    }
    return "ok " + lost + "\n";
}

std::string Backend::listenCommand(const Words &words) {
    if (words.size() != 1 || path_.empty() || (words[0] != "on" && words[0] != "off")) {
        throw Error("listen on, or listen off, of a back end that was given a socket's path");
    }
    if (words[0] == "off" && listener_) {
        loop_.forget(listener_.get());
        listener_.reset();
        unlink(path_.c_str());
    } else if (words[0] == "on" && !listener_) {
        listen(path_);
    }
    return "ok\n";
}

std::string Backend::quit(const Words &) {
    loop_.end(0);
    return "ok\n";
}

} // namespace hostile
