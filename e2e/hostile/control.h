// SPDX-License-Identifier: MIT
// The control socket: a line in, lines out. The last line of each answer begins with
// `ok` or `error`.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "fd.h"
#include "loop.h"

namespace hostile {

// A listening UNIX socket, its old file removed. Throws Error.
Fd listenAt(const std::string &path);

class Control {
  public:
    using Execute = std::function<std::string(const std::string &line)>;

    Control(Loop &loop, const std::string &path, Execute execute);
    ~Control();
    Control(const Control &) = delete;
    Control &operator=(const Control &) = delete;

  private:
    struct Client {
        Fd socket;
        std::string line;
    };
    void accept();
    void readable(int number);
    bool answer(Client &client, const std::string &text);
    void drop(int number);

    Loop &loop_;
    std::string path_;
    Execute execute_;
    Fd listener_;
    std::map<int, Client> clients_;
};

} // namespace hostile
