// SPDX-License-Identifier: MIT
//
// The object model under every WDF handle: type, references, parent and children,
// contexts, deletion in two steps (dispose: children first, then cleanup
// callbacks; destroy: destroy callbacks and memory, at the last reference).
#ifndef NTC_WDF_OBJECT_H_
#define NTC_WDF_OBJECT_H_

#include "wdfldr.h"

namespace wdfldr {

enum class Type : USHORT {
    Object = 1,
    Driver,
    Device,
    Queue,
    Request,
    FileObject,
    Interrupt,
    DmaEnabler,
    CommonBuffer,
    Memory,
    Key,
    String,
    Collection,
    CmResList,
    SpinLock,
    WaitLock,
    Timer,
    WorkItem,
    Dpc,
};
const char *TypeName(Type type);

// A context attached to an object; the driver's bytes follow the header.
struct alignas(MEMORY_ALLOCATION_ALIGNMENT) Context {
    static constexpr ULONG kSignature = 'xtCW';
    ULONG signature;
    Context *next;
    class Object *owner;
    PCWDF_OBJECT_CONTEXT_TYPE_INFO type; // NULL: attributes without a context type
    PFN_WDF_OBJECT_CONTEXT_CLEANUP cleanup;
    PFN_WDF_OBJECT_CONTEXT_DESTROY destroy;

    void *Data() {
        return this + 1;
    }
};

class Object {
  public:
    static constexpr ULONG kSignature = 'jbOW';

    ULONG signature = 0;
    Type type = Type::Object;
    bool noDelete = false;      // WdfObjectDelete is a violation
    bool passiveDelete = false; // dispose needs PASSIVE_LEVEL
    bool disposed = false;
    bool linked = false; // in the parent's list
    volatile LONG references = 1;
    Globals *globals = nullptr;
    Object *parent = nullptr; // referenced until this object is destroyed
    LIST_ENTRY children{};
    LIST_ENTRY sibling{};
    Context *contexts = nullptr;
    WDF_EXECUTION_LEVEL executionLevel = WdfExecutionLevelInheritFromParent;
    WDF_SYNCHRONIZATION_SCOPE synchronizationScope = WdfSynchronizationScopeInheritFromParent;

    WDFOBJECT Handle() {
        return reinterpret_cast<WDFOBJECT>(~reinterpret_cast<ULONG_PTR>(this));
    }
    template <class H> H HandleAs() {
        return reinterpret_cast<H>(Handle());
    }
    void Reference();
    void Dereference();
    // Disposes children and this object, unlinks it from its parent and drops the
    // creator's reference. Once for each object.
    void Delete();

    // Releases what the object stands for; called once, children are gone, cleanup
    // callbacks have run. IRQL <= DISPATCH_LEVEL, PASSIVE_LEVEL where passiveDelete.
    virtual void OnDispose() {}
    // Stops activity that may still call the driver; before the children go.
    virtual void OnDelete() {}
    // Called after destroy callbacks, before the memory is freed.
    virtual void OnDestroy() {}

  private:
    void Dispose();
    void Destroy();
};

// What an object type accepts in WDF_OBJECT_ATTRIBUTES.
enum AttributeRules : ULONG {
    kParentOptional = 0,
    kParentRequired = 1,
    kParentNotAllowed = 2,
    kLevelsAllowed = 4, // ExecutionLevel and SynchronizationScope may be set
};

// STATUS_SUCCESS, STATUS_INFO_LENGTH_MISMATCH, STATUS_WDF_OBJECT_ATTRIBUTES_INVALID,
// STATUS_WDF_PARENT_*, STATUS_WDF_EXECUTION_LEVEL_INVALID,
// STATUS_WDF_SYNCHRONIZATION_SCOPE_INVALID. `attributes` may be NULL.
NTSTATUS CheckAttributes(Globals *globals, PWDF_OBJECT_ATTRIBUTES attributes, ULONG rules);

// Names the parent that the attributes ask for, else `fallback`.
Object *ParentOf(Globals *globals, PWDF_OBJECT_ATTRIBUTES attributes, Object *fallback);

// Second half of construction: header, parent, context. On failure the object has
// been freed. The caller still owns type-specific set-up, done before this call.
NTSTATUS FinishCreate(Globals *globals, Object *object, Object *parent,
                      PWDF_OBJECT_ATTRIBUTES attributes);
// Deletes an object whose creation failed after FinishCreate: no callbacks.
void DropFailed(Object *object);
NTSTATUS AddContext(Object *object, PWDF_OBJECT_ATTRIBUTES attributes, Context **context);
// TRUE where `object` is a descendant of `ancestor` or the same.
bool IsBelow(Object *object, Object *ancestor);

// Memory for objects: nonpaged, zeroed; counted against the driver, so that what is
// left at unload is seen.
void *Allocate(Globals *globals, size_t size);
void Free(Globals *globals, void *memory);

// What the synchronization scope of a device or queue gives to its callbacks: a
// lock that one thread may take again. Spin lock, or a mutex where callbacks run at
// PASSIVE_LEVEL.
class CallbackLock {
  public:
    void Initialize(bool passiveLevel);
    void Acquire();
    void Release();
    bool IsOwner() const {
        return owner == KeGetCurrentThread();
    }

  private:
    bool passive = false;
    KSPIN_LOCK spin = 0;
    KIRQL previous = 0;
    KMUTEX mutex{};
    PKTHREAD volatile owner = nullptr;
    ULONG depth = 0;
};

// Takes a lock that may be missing.
class CallbackGuard {
  public:
    explicit CallbackGuard(CallbackLock *callbackLock) : lock(callbackLock) {
        if (lock)
            lock->Acquire();
    }
    ~CallbackGuard() {
        if (lock)
            lock->Release();
    }
    CallbackGuard(const CallbackGuard &) = delete;

  private:
    CallbackLock *lock;
};

template <class T> T *New(Globals *globals, Type type) {
    void *memory = Allocate(globals, sizeof(T));
    if (!memory)
        return nullptr;
    T *object = new (memory) T;
    object->type = type;
    object->globals = globals;
    return object;
}

// Handle to object: stops with WDF_INVALID_HANDLE or
// WDF_REQUIRED_PARAMETER_IS_NULL where it isn't a live object of this type.
Object *FromHandle(Globals *globals, const void *handle, const char *function);
Object *FromHandle(Globals *globals, const void *handle, Type type, const char *function);
template <class T> T *From(Globals *globals, const void *handle, const char *function) {
    return static_cast<T *>(FromHandle(globals, handle, T::kType, function));
}

} // namespace wdfldr

#endif // NTC_WDF_OBJECT_H_
