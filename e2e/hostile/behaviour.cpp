// SPDX-License-Identifier: MIT
#include "behaviour.h"

#include <algorithm>

#include "device.h"
#include "garbage.h"

namespace hostile {

namespace {

std::string knownNames() {
    std::string all;

    for (const Misbehaviour &each : misbehaviours()) {
        all += (all.empty() ? "" : ", ") + std::string(each.name);
    }
    return all;
}

const Misbehaviour *find(const std::string &name) {
    for (const Misbehaviour &each : misbehaviours()) {
        if (each.name == name) {
            return &each;
        }
    }
    throw Error("unknown misbehaviour '" + name + "'; known: " + knownNames());
}

} // namespace

void apply(const Hits &hits, Moment moment, Plan &plan) {
    for (const Hit &hit : hits) {
        if (hit.misbehaviour->moment == moment) {
            plan.random = hit.random;
            hit.misbehaviour->change(plan, hit.value);
        }
    }
}

bool Behaviour::Rule::matches(std::string_view kind) const {
    return kinds.empty() || kinds.find("," + std::string(kind) + ",") != std::string::npos;
}

bool Behaviour::Rule::fires() {
    bool now = true;

    seen++;
    if (trigger == "on") {
        now = seen == count;
    } else if (trigger == "after") {
        now = seen > count;
    } else if (trigger == "every") {
        now = seen % count == 0;
    } else if (trigger == "random") {
        now = mixed(seed, seen) % 100 < count;
    }
    now = now && (times == 0 || hits < times);
    hits += now ? 1 : 0;
    return now;
}

void Behaviour::parseWhen(Rule &rule) const {
    size_t colon = rule.when.find(':');

    rule.trigger = rule.when.substr(0, colon);
    if (rule.when == "always") {
        return;
    }
    for (const char *each : {"on", "after", "every", "random"}) {
        if (rule.trigger == each && colon != std::string::npos) {
            rule.count = number(rule.when.substr(colon + 1), "when=" + rule.trigger);
            if (rule.count == 0 && rule.trigger != "after") {
                throw Error("when=" + rule.when + ": the number must be at least 1");
            }
            return;
        }
    }
    throw Error("when=" + rule.when +
                ": it must be always, on:K, after:N, every:N or random:PERCENT");
}

void Behaviour::checkKinds(const std::string &list) const {
    std::string known;

    for (std::string_view each : kinds_) {
        known += (known.empty() ? "" : ", ") + std::string(each);
    }
    for (size_t from = 0; from <= list.size();) {
        size_t to = std::min(list.find(',', from), list.size());
        std::string kind = list.substr(from, to - from);
        if (std::find(kinds_.begin(), kinds_.end(), kind) == kinds_.end()) {
            throw Error("unknown kind of request '" + kind + "'; known: " + known);
        }
        from = to + 1;
    }
}

void Behaviour::parse(Rule &rule, const std::string &key, const std::string &value) const {
    if (key == "value") {
        rule.value = number(value, key);
    } else if (key == "kind") {
        checkKinds(value);
        rule.kinds = "," + value + ",";
    } else if (key == "when") {
        rule.when = value;
    } else if (key == "seed") {
        rule.seed = number(value, key);
    } else if (key == "times") {
        rule.times = number(value, key);
    } else {
        throw Error("unknown option '" + key + "'; known: value, kind, when, seed, times");
    }
}

unsigned Behaviour::add(const std::vector<std::string> &words) {
    if (words.empty()) {
        throw Error("which misbehaviour? known: " + knownNames());
    }
    const Misbehaviour *chosen = find(words[0]);
    Rule rule{next_, chosen, chosen->value, "", "always", "", 0, 1, 0};
    for (size_t i = 1; i < words.size(); i++) {
        size_t equals = words[i].find('=');
        if (equals == std::string::npos) {
            throw Error("'" + words[i] + "' isn't name=value");
        }
        parse(rule, words[i].substr(0, equals), words[i].substr(equals + 1));
    }
    parseWhen(rule);
    rules_.push_back(rule);
    return next_++;
}

void Behaviour::remove(const std::string &which) {
    size_t gone = std::erase_if(rules_, [&](const Rule &rule) {
        return rule.misbehaviour->name == which || std::to_string(rule.number) == which;
    });
    if (gone == 0) {
        throw Error("no rule has the name or number '" + which + "'");
    }
}

Hits Behaviour::decide(std::string_view kind) {
    Hits hits;

    for (Rule &rule : rules_) {
        if (rule.matches(kind) && rule.fires()) {
            hits.push_back({rule.misbehaviour, rule.value, mixed(rule.seed, rule.seen)});
        }
    }
    return hits;
}

std::vector<std::string> Behaviour::describe() const {
    std::vector<std::string> lines;

    for (const Rule &rule : rules_) {
        std::string kinds =
            rule.kinds.empty() ? "all" : rule.kinds.substr(1, rule.kinds.size() - 2);
        lines.push_back("rule=" + std::to_string(rule.number) +
                        " name=" + std::string(rule.misbehaviour->name) +
                        " value=" + std::to_string(rule.value) + " kind=" + kinds +
                        " when=" + rule.when + " seen=" + std::to_string(rule.seen) +
                        " hits=" + std::to_string(rule.hits));
    }
    return lines;
}

} // namespace hostile
