// SPDX-License-Identifier: MIT
//
// AFL++'s way to a harness: inputs come through shared memory, many in one process
// (persistent mode). Without afl-fuzz it runs the files named, as libFuzzer does.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <vector>

#include <unistd.h>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size);

__AFL_FUZZ_INIT();

namespace {

int RunFile(const char *path) {
    std::FILE *file = std::fopen(path, "rb");
    if (file == nullptr) {
        std::perror(path);
        return 1;
    }
    std::vector<std::uint8_t> data(1 << 16);
    data.resize(std::fread(data.data(), 1, data.size(), file));
    std::fclose(file);
    (void)LLVMFuzzerTestOneInput(data.data(), data.size());
    std::printf("ran %s (%zu bytes)\n", path, data.size());
    return 0;
}

} // namespace

int main(int argc, char **argv) {
    if (argc > 1) {
        int result = 0;
        for (int i = 1; i < argc; i++) {
            result |= RunFile(argv[i]);
        }
        return result;
    }
    __AFL_INIT();
    const std::uint8_t *data = __AFL_FUZZ_TESTCASE_BUF;
    while (__AFL_LOOP(1000000)) {
        (void)LLVMFuzzerTestOneInput(data, static_cast<std::size_t>(__AFL_FUZZ_TESTCASE_LEN));
    }
    return 0;
}
