// SPDX-License-Identifier: MIT
#include "args.h"

namespace agent {
namespace {

constexpr size_t kShown = 48; // characters of a bad argument that a message shows

size_t NameSize(const Token &token) {
    size_t n = 0;
    while (n < token.size && token.text[n] != '=')
        n++;
    return n;
}

bool IsOption(const Token &token) {
    return NameSize(token) < token.size;
}

} // namespace

void Args::Parse(const char *text, size_t size) {
    count = 0;
    next = 0;
    failed = false;
    message.Clear();
    size_t at = 0;
    for (;;) {
        while (at < size && text[at] == ' ')
            at++;
        if (at == size)
            return;
        size_t start = at;
        while (at < size && text[at] != ' ')
            at++;
        if (count == kMaxTokens) {
            Fail("arguments", "are too many");
            return;
        }
        taken[count] = false;
        tokens[count++] = {text + start, at - start};
    }
}

void Args::Skip(size_t words) {
    for (size_t i = 0; i < words; i++)
        taken[i] = true;
    next = words;
}

void Args::Fail(const char *name, const char *what) {
    if (failed)
        return;
    failed = true;
    message.Str(name).Char(' ').Str(what);
}

void Args::FailToken(const Token &token, const char *what) {
    if (failed)
        return;
    failed = true;
    message.Char('\'').Str(token.text, token.size < kShown ? token.size : kShown);
    message.Str(token.size > kShown ? "...' " : "' ").Str(what);
}

uint64_t Args::Checked(const char *name, const Token &value, uint64_t min, uint64_t max) {
    uint64_t number;
    if (!ParseNumber(value.text, value.size, &number)) {
        Fail(name, "is not a number");
        return min;
    }
    if (number < min || number > max) {
        if (!failed) {
            Fail(name, "must be from ");
            message.Dec(min).Str(" to ").Dec(max);
        }
        return min;
    }
    return number;
}

uint64_t Args::Number(const char *name, uint64_t min, uint64_t max) {
    if (next >= count || IsOption(tokens[next])) {
        Fail(name, "is missing");
        return min;
    }
    taken[next] = true;
    return Checked(name, tokens[next++], min, max);
}

const Token *Args::Find(const char *name, Token *value) {
    const Token *found = nullptr;
    for (size_t i = 0; i < count; i++) {
        size_t n = NameSize(tokens[i]);
        if (taken[i] || n == tokens[i].size || !Equal(tokens[i].text, n, name, Length(name)))
            continue;
        taken[i] = true;
        if (found)
            Fail(name, "is given twice");
        found = &tokens[i];
        *value = {tokens[i].text + n + 1, tokens[i].size - n - 1};
    }
    return found;
}

uint64_t Args::Option(const char *name, uint64_t otherwise, uint64_t min, uint64_t max) {
    Token value;
    return Find(name, &value) ? Checked(name, value, min, max) : otherwise;
}

uint64_t Args::RequiredOption(const char *name, uint64_t min, uint64_t max) {
    Token value;
    if (Find(name, &value))
        return Checked(name, value, min, max);
    Fail(name, "is missing");
    return min;
}

size_t Args::Choice(const char *name, const char *const *choices) {
    Token value;
    if (!Find(name, &value))
        return 0;
    for (size_t i = 0; choices[i]; i++)
        if (Equal(value.text, value.size, choices[i], Length(choices[i])))
            return i;
    if (failed)
        return 0;
    Fail(name, "must be ");
    for (size_t i = 0; choices[i]; i++)
        message.Str(i ? " or " : "").Str(choices[i]);
    return 0;
}

void Args::List(const char *name, uint64_t *list, size_t *size, size_t capacity, uint64_t unit,
                uint64_t max) {
    Token value;
    if (!Find(name, &value))
        return;
    size_t filled = 0;
    for (size_t at = 0; at <= value.size;) {
        size_t end = at;
        while (end < value.size && value.text[end] != ',')
            end++;
        if (filled == capacity) {
            Fail(name, "has too many values");
            return;
        }
        list[filled] = Checked(name, {value.text + at, end - at}, unit, max);
        if (list[filled] % unit) {
            if (!failed) {
                Fail(name, "must be multiples of ");
                message.Dec(unit);
            }
            list[filled] = unit;
        }
        filled++;
        at = end + 1;
    }
    *size = filled;
}

size_t Args::Bytes(const char *name, uint8_t *bytes, size_t capacity) {
    Token value;
    if (!Find(name, &value))
        return 0;
    if (value.size % 2 || !ParseHex(value.text, value.size, bytes, capacity)) {
        Fail(name, "is no even number of hexadecimal digits");
        return 0;
    }
    return value.size / 2;
}

bool Args::Finish() {
    bool options = false;
    for (size_t i = 0; i < count && !failed; i++) {
        bool option = IsOption(tokens[i]);
        if (option && !taken[i])
            FailToken(tokens[i], "is not an option of this command");
        else if (!option && options)
            FailToken(tokens[i], "stands behind an option");
        else if (!taken[i])
            FailToken(tokens[i], "is one argument too many");
        options = options || option;
    }
    return !failed;
}

} // namespace agent
