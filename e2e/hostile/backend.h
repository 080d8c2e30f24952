// SPDX-License-Identifier: MIT
// The whole: a device, the front end it serves, and the commands that change it meanwhile.
#pragma once

#include <memory>
#include <optional>

#include "control.h"
#include "session.h"

namespace hostile {

class Backend {
  public:
    Backend(Loop &loop, std::unique_ptr<Device> device);
    ~Backend();

    // Serves whoever connects, one at a time. Throws Error.
    void listen(const std::string &path);
    // Serves a connection that is there already.
    void serve(Fd connection);
    // Executes a line of the control socket; returns the whole answer.
    std::string execute(const std::string &line);

  private:
    struct Command {
        const char *name, *usage;
        std::string (Backend::*run)(const Words &words);
    };
    static const Command commands[];

    std::string help(const Words &words);
    std::string status(const Words &words);
    std::string misbehave(const Words &words);
    std::string behave(const Words &words);
    std::string rules(const Words &words);
    std::string set(const Words &words);
    std::string properties(const Words &words);
    std::string release(const Words &words);
    std::string disconnect(const Words &words);
    std::string cut(const Words &words);
    std::string listenCommand(const Words &words);
    std::string quit(const Words &words);

    void accept();
    void waitForFrontEnd();
    void hangUp(milliseconds pause);
    void ended(const std::string &why);

    Loop &loop_;
    std::unique_ptr<Device> device_;
    Behaviour behaviour_;
    Counters counters_;
    std::string path_;
    Fd listener_;
    std::unique_ptr<Session> session_;
};

} // namespace hostile
