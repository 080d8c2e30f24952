// SPDX-License-Identifier: MIT
// What timers, DPCs and work items share: a parent below a device, and callbacks
// that may be serialized with the parent's.
#ifndef NTC_WDF_SERIALIZE_H_
#define NTC_WDF_SERIALIZE_H_

#include "queue.h"

namespace wdfldr {

// The device that `object` hangs below; NULL: none.
inline Device *DeviceOf(Object *object) {
    for (; object; object = object->parent) {
        if (object->type == Type::Device)
            return static_cast<Device *>(object);
    }
    return nullptr;
}

// The lock that serializes a callback at `level` with those of the parent.
// STATUS_WDF_INCOMPATIBLE_EXECUTION_LEVEL: the parent's run at another level.
inline NTSTATUS SerializeWith(Object *parent, bool passiveCallback, CallbackLock **lock) {
    *lock = nullptr;
    for (Object *o = parent; o; o = o->parent) {
        if (o->type == Type::Queue)
            *lock = static_cast<Queue *>(o)->scopeLock;
        else if (o->type == Type::Device)
            *lock = static_cast<Device *>(o)->ScopeLock();
        else
            continue;
        bool passive = o->executionLevel == WdfExecutionLevelPassive;
        if (*lock && passive != passiveCallback)
            return STATUS_WDF_INCOMPATIBLE_EXECUTION_LEVEL;
        return STATUS_SUCCESS;
    }
    return STATUS_SUCCESS;
}

} // namespace wdfldr

#endif // NTC_WDF_SERIALIZE_H_
