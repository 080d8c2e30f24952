// SPDX-License-Identifier: MIT
//
// IOCTLs on the host as they come: sizes and numbers that are refused, codes that are none.
#include "host/machine.h"

using namespace vq7::host;

namespace {

TEST(Ioctl, TransfersThatAreRefused) {
    Options options;
    options.memory = 16 << 20;
    Machine machine(options);
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    struct Case {
        std::uint64_t sector;
        unsigned segments, reserved;
        std::size_t in, out;
        NTSTATUS status;
    };
    const NTSTATUS bad = STATUS_INVALID_PARAMETER;
    for (const Case &c : {
             Case{0, 0, 0, 0, 512, STATUS_BUFFER_TOO_SMALL},
             Case{0, 0, 0, 15, 512, STATUS_BUFFER_TOO_SMALL},
             Case{0, 0, 0, 16, 0, bad},
             Case{0, 0, 0, 16, 511, bad},
             Case{0, 0, 0, 16, 513, bad},
             Case{0, 0, 1, 16, 512, bad},
             Case{0, 4097, 0, 16, 0x80000, bad},
             Case{0, 513, 0, 16, 512, bad},
             Case{~0ull, 0, 0, 16, 512, bad},
             Case{~0ull - 1, 0, 0, 16, 1024, bad},
             Case{~0ull - 1, 0, 0, 16, 512, STATUS_IO_DEVICE_ERROR},
             Case{~0ull - 2048, 0, 0, 16, 0x100000, STATUS_IO_DEVICE_ERROR},
             Case{0, 0, 0, 16, 512, STATUS_SUCCESS},
             Case{0, 4096, 0, 16, 0x40000, STATUS_SUCCESS},
             Case{0, 0, 0, 24, 512, STATUS_SUCCESS},
         }) {
        std::uint64_t in[3] = {c.sector, std::uint64_t(c.reserved) << 32 | c.segments, 0};
        Data data(machine.memory, c.out == 0 ? 512 : c.out);
        Request *request = machine.framework.Send(IOCTL_VQ7_BLK_READ, in, c.in, c.out, data.mdl());
        machine.Run();
        SCOPED_TRACE(testing::Message()
                     << std::hex << c.sector << " " << c.segments << " " << c.in << " " << c.out);
        EXPECT_TRUE(request->completed);
        EXPECT_EQ(request->status, c.status);
        EXPECT_EQ(request->information, NT_SUCCESS(c.status) ? c.out : 0u);
    }
    machine.Remove();
}

TEST(Ioctl, UnknownCodes) {
    Machine machine;
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    const ULONG known[] = {IOCTL_VQ7_GET_DEVICE_INFO, IOCTL_VQ7_GET_STATS, IOCTL_VQ7_CLEAR_STATS,
                           IOCTL_VQ7_GET_FAILURES,    IOCTL_VQ7_RESTART,   IOCTL_VQ7_SET_TIMEOUT,
                           IOCTL_VQ7_BLK_GET_INFO,    IOCTL_VQ7_BLK_READ,  IOCTL_VQ7_BLK_WRITE,
                           IOCTL_VQ7_BLK_FLUSH,       IOCTL_VQ7_BLK_GET_ID};
    EXPECT_EQ(IOCTL_VQ7_GET_DEVICE_INFO, 0x80076000u);
    EXPECT_EQ(IOCTL_VQ7_BLK_READ, 0x80076046u);
    for (ULONG function = 0; function < 32; function++) {
        for (ULONG low = 0; low < 4; low++) {
            for (ULONG access : {1, 2, 3}) {
                const ULONG code = CTL_CODE(0x8007u, 0x800 + function, low, access);
                if (std::find(std::begin(known), std::end(known), code) != std::end(known)) {
                    continue;
                }
                std::uint64_t in[2] = {};
                Request *request = machine.framework.Send(code, in, sizeof(in), 64);
                EXPECT_TRUE(request->completed) << std::hex << code;
                EXPECT_EQ(request->status, STATUS_INVALID_DEVICE_REQUEST) << std::hex << code;
            }
        }
    }
    EXPECT_TRUE(machine.seen.empty());
    machine.Remove();
}

TEST(Ioctl, OutputThatIsTooShort) {
    Machine machine;
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    struct Case {
        ULONG code;
        std::size_t size;
    };
    for (const Case &c : {Case{IOCTL_VQ7_GET_DEVICE_INFO, sizeof(VQ7_DEVICE_INFO)},
                          Case{IOCTL_VQ7_GET_STATS, sizeof(VQ7_STATS)},
                          Case{IOCTL_VQ7_GET_FAILURES, sizeof(VQ7_FAILURES)},
                          Case{IOCTL_VQ7_BLK_GET_INFO, sizeof(VQ7_BLK_INFO)},
                          Case{IOCTL_VQ7_BLK_GET_ID, sizeof(VQ7_BLK_ID)}}) {
        for (std::size_t length : {std::size_t(0), c.size - 1, c.size, c.size + 8}) {
            Request *request = machine.framework.Send(c.code, nullptr, 0, length);
            machine.Run();
            EXPECT_TRUE(request->completed);
            EXPECT_EQ(request->status, length < c.size ? STATUS_BUFFER_TOO_SMALL : STATUS_SUCCESS);
            EXPECT_EQ(request->information, length < c.size ? 0 : c.size);
            // Neither a refused caller's buffer is written, nor what is behind the end.
            const std::size_t from = length < c.size ? 0 : c.size / 8;
            for (std::size_t i = from; i < request->buffer.size(); i++) {
                EXPECT_EQ(request->buffer[i], 0xA5A5A5A5A5A5A5A5);
            }
        }
    }
    machine.Remove();
}

TEST(Ioctl, FailuresOfTheFramework) {
    Machine machine;
    ASSERT_EQ(machine.Start(), STATUS_SUCCESS);
    Data data(machine.memory, 512);
    machine.kernel.fail_at = 0;
    Request *request = machine.Read(0, data); // no MDL
    EXPECT_TRUE(request->completed);
    EXPECT_EQ(request->status, STATUS_INSUFFICIENT_RESOURCES);
    machine.kernel.fail_at = 1;
    request = machine.Read(0, data); // it can't be queued
    EXPECT_EQ(machine.kernel.failed, "WdfRequestForwardToIoQueue");
    EXPECT_TRUE(request->completed);
    EXPECT_EQ(request->status, STATUS_DEVICE_NOT_READY);
    machine.Remove();
}

} // namespace
