// SPDX-License-Identifier: MIT
//
// The four ways to drive a queue that are compared: the library and the floor,
// a call for each buffer and a call for each batch. Each one submits a batch,
// with the kick decision, and takes buffers back; everything else is the same.
#pragma once

#include <benchmark/benchmark.h>

#include "floor.h"

namespace bench {

struct Shape {
    UINT16 batch;
    UINT16 segments;
    bool indirect;
};

class Driver {
  public:
    explicit Driver(const Shape &shape)
        : queue(shape.indirect), batch_(shape.batch), sg_(Segments(shape.segments)),
          buffers_(shape.batch, {sg_.data(), static_cast<UINT16>(sg_.size()), queue.vq}),
          done_(shape.batch) {}

    Queue queue;
    UINT32 kicks = 0;

  protected:
    UINT16 batch_;
    std::vector<VIRTQ_SG> sg_;
    std::vector<VIRTQ_BUFFER> buffers_;
    std::vector<VIRTQ_COMPLETION> done_;
};

class LibraryCalls : public Driver {
  public:
    using Driver::Driver;

    void Submit() {
        for (UINT16 i = 0; i < batch_; i++) {
            UINT16 head;
            if (VirtqSplitAddBuffer(queue.vq, sg_.data(), static_cast<UINT16>(sg_.size()), queue.vq,
                                    &head) != STATUS_SUCCESS) {
                std::abort();
            }
            VirtqSplitPublish(queue.vq, head);
        }
        kicks += VirtqSplitKick(queue.vq);
    }

    UINT16 Take(UINT16 most) {
        UINT16 count = 0;
        for (; count < most; count++) {
            void *cookie;
            UINT32 length;
            NTSTATUS status = VirtqSplitGetUsed(queue.vq, &cookie, &length);
            if (status == STATUS_NOT_FOUND) {
                break;
            }
            if (status != STATUS_SUCCESS || cookie != queue.vq || length != kSegmentSize) {
                std::abort();
            }
        }
        return count;
    }
};

class LibraryBatch : public Driver {
  public:
    using Driver::Driver;

    void Submit() {
        UINT16 count;
        if (VirtqSplitSubmitBatch(queue.vq, buffers_.data(), batch_, &count) != STATUS_SUCCESS) {
            std::abort();
        }
        kicks += VirtqSplitKick(queue.vq);
    }

    UINT16 Take(UINT16 most) {
        UINT16 count;
        NTSTATUS status = VirtqSplitGetUsedBatch(queue.vq, done_.data(), most, &count);
        if (status != STATUS_SUCCESS && status != STATUS_NOT_FOUND) {
            std::abort();
        }
        benchmark::DoNotOptimize(done_.data());
        return count;
    }
};

class FloorCalls : public Driver {
  public:
    explicit FloorCalls(const Shape &shape) : Driver(shape), floor_(queue, shape.indirect) {}

    void Submit() {
        for (UINT16 i = 0; i < batch_; i++) {
            floor_.Publish(floor_.Add(sg_.data(), static_cast<UINT16>(sg_.size()), queue.vq));
        }
        kicks += floor_.Kick();
    }

    UINT16 Take(UINT16 most) {
        UINT16 count = 0;
        for (; count < most; count++) {
            void *cookie;
            UINT32 length;
            if (!floor_.Get(&cookie, &length)) {
                break;
            }
            if (cookie != queue.vq || length != kSegmentSize) {
                std::abort();
            }
        }
        return count;
    }

  private:
    Floor floor_;
};

class FloorBatch : public Driver {
  public:
    explicit FloorBatch(const Shape &shape) : Driver(shape), floor_(queue, shape.indirect) {}

    void Submit() {
        floor_.Submit(buffers_.data(), batch_);
        kicks += floor_.Kick();
    }

    UINT16 Take(UINT16 most) {
        UINT16 count = floor_.GetBatch(done_.data(), most);
        benchmark::DoNotOptimize(done_.data());
        return count;
    }

  private:
    Floor floor_;
};

} // namespace bench
