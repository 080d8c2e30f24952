// SPDX-License-Identifier: MIT
#ifndef VQ7_AGENT_ARGS_H_
#define VQ7_AGENT_ARGS_H_

#include "text.h"

namespace agent {

struct Token {
    const char *text;
    size_t size;
};

// The words of a command line. A command asks for its arguments one by one,
// positional ones first, and then calls Finish(); the first thing wrong is kept
// as a message, and what is asked for after it yields the smallest legal value.
struct Args {
    static constexpr size_t kMaxTokens = 32;

    Token tokens[kMaxTokens];
    bool taken[kMaxTokens];
    size_t count;
    size_t next; // positional
    Text<192> message;
    bool failed;

    // Splits at spaces. `text` stays the caller's and must live on.
    void Parse(const char *text, size_t size);
    // Forgets the first words: the command's name.
    void Skip(size_t words);

    uint64_t Number(const char *name, uint64_t min, uint64_t max);
    uint64_t Option(const char *name, uint64_t otherwise, uint64_t min, uint64_t max);
    uint64_t RequiredOption(const char *name, uint64_t min, uint64_t max);
    // Index of the value in `choices` (null-terminated list); 0: not given.
    size_t Choice(const char *name, const char *const *choices);
    // Comma-separated numbers, each a multiple of `unit`; keeps the defaults that
    // *list and *size hold if not given.
    void List(const char *name, uint64_t *list, size_t *size, size_t capacity, uint64_t unit,
              uint64_t max);
    // Bytes in hexadecimal, two digits each, no prefix; returns how many (0: not given).
    size_t Bytes(const char *name, uint8_t *bytes, size_t capacity);
    // False: `message` says what is wrong.
    bool Finish();
    // Says that an argument is wrong, if nothing was wrong before.
    void Fail(const char *name, const char *what);

  private:
    const Token *Find(const char *name, Token *value);
    uint64_t Checked(const char *name, const Token &value, uint64_t min, uint64_t max);
    void FailToken(const Token &token, const char *what);
};

} // namespace agent

#endif // VQ7_AGENT_ARGS_H_
