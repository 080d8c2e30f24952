// SPDX-License-Identifier: MIT
//
// Tests that are run on a modern device and on a legacy one.
#pragma once

#include "machine.h"

namespace vq7::host {

class Interfaces : public testing::TestWithParam<bool> { // modern
  public:
    static std::string Name(const testing::TestParamInfo<bool> &info) {
        return info.param ? "Modern" : "Legacy";
    }

  protected:
    Options options() {
        Options options;
        options.modern = GetParam();
        options.legacy = !GetParam();
        return options;
    }
};

inline void Fill(Data &data, unsigned seed) {
    for (std::size_t i = 0; i < data.size(); i++) {
        data[i] = std::uint8_t(seed + i * 7 + i / 512);
    }
}

} // namespace vq7::host
