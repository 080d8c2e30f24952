// SPDX-License-Identifier: MIT
// Rules: which misbehaviour, for which requests, at which moment.
#pragma once

#include <string>
#include <vector>

#include "plan.h"

namespace hostile {

// What one request is chosen for.
struct Hit {
    const Misbehaviour *misbehaviour;
    uint64_t value, random;
};
using Hits = std::vector<Hit>;

void apply(const Hits &hits, Moment moment, Plan &plan);

class Behaviour {
  public:
    explicit Behaviour(std::vector<std::string_view> kinds) : kinds_(std::move(kinds)) {}

    // A rule from the words of a command: NAME [value=N] [kind=A,B] [when=...] [times=N].
    // Returns its number. Throws Error, with what would be right.
    unsigned add(const std::vector<std::string> &words);
    // All rules, or those that have this name or number. Throws Error if there are none.
    void remove(const std::string &which);
    void clear() {
        rules_.clear();
    }

    // Counts a request and says what it is chosen for. In the order of arrival.
    Hits decide(std::string_view kind);

    std::vector<std::string> describe() const;

  private:
    struct Rule {
        unsigned number;
        const Misbehaviour *misbehaviour;
        uint64_t value;
        std::string kinds; // with a comma on each side; empty: all
        std::string when, trigger;
        uint64_t count, seed, times;
        uint64_t seen = 0, hits = 0;

        bool matches(std::string_view kind) const;
        bool fires();
    };
    void parse(Rule &rule, const std::string &key, const std::string &value) const;
    void parseWhen(Rule &rule) const;
    void checkKinds(const std::string &list) const;

    std::vector<std::string_view> kinds_;
    std::vector<Rule> rules_;
    unsigned next_ = 1;
};

} // namespace hostile
