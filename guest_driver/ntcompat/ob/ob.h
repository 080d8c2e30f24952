// SPDX-License-Identifier: MIT
//
// Object manager, as the other folders of ntoskrnl.exe see it: typed objects with
// a reference count, a kernel handle table, and the namespace. Works as soon as
// MmInitSystem has returned, but for names, which need ObInitSystem.
//
// An object's pointer is its body; the header lies before it. An object lives
// while its reference count is above 0. A handle holds one reference, a name in
// the namespace holds one.
#ifndef NTC_OB_H_
#define NTC_OB_H_

#include "ntc.h"

#ifdef __cplusplus
extern "C" {
#endif

// Result of a parse routine that wants the walk to go on elsewhere: the path in
// *remaining is absolute and is looked up from the root.
#define OBP_REPARSE ((NTSTATUS)STATUS_REPARSE)

// A kind of object. Statically initialised by the folder that owns it; the
// first three fields are enough. NT's name is kept because POBJECT_TYPE is what
// drivers pass around.
struct _OBJECT_TYPE {
    const WCHAR *name; // L"Event"
    ULONG tag;         // pool tag of the objects
    size_t body_size;  // least size of a body; ObpCreateObject may ask for more
    // Last handle closed (cleanup). PASSIVE_LEVEL. May be NULL.
    void (*close)(void *body);
    // Last reference gone; the body is freed afterwards. PASSIVE_LEVEL. May be NULL.
    void (*remove)(void *body);
    // The namespace walk reached this object with a path left over (*remaining,
    // without the leading backslash; may be empty, and is then only called for
    // types with parse_empty). Returns STATUS_SUCCESS with a referenced object in *found,
    // OBP_REPARSE, or an error. PASSIVE_LEVEL. NULL: a path left over is
    // STATUS_OBJECT_TYPE_MISMATCH.
    NTSTATUS(*parse)
    (void *body, UNICODE_STRING *remaining, ULONG attributes, ACCESS_MASK access, void *context,
     void **found);
    BOOLEAN parse_empty; // devices: opening one makes a file object
    // Where the KEVENT, KTHREAD... to wait on lies: offset in the body, or -1 when
    // objects of the type can't be waited on by handle.
    LONG wait_offset;
    // Kept by ob.
    LONG count;
    LIST_ENTRY objects;
};

// Types that drivers know by name. Each is also exported by NT's name
// (PsThreadType...) as a pointer variable.
extern struct _OBJECT_TYPE ObpEventType;     // body: KEVENT
extern struct _OBJECT_TYPE ObpThreadType;    // body: KTHREAD at offset 0; `remove` is set by ke
extern struct _OBJECT_TYPE ObpFileType;      // body: FILE_OBJECT; close/remove are set by io
extern struct _OBJECT_TYPE ObpDeviceType;    // body: DEVICE_OBJECT; parse is set by io
extern struct _OBJECT_TYPE ObpDriverType;    // body: DRIVER_OBJECT; remove is set by io
extern struct _OBJECT_TYPE ObpKeyType;       // cm
extern struct _OBJECT_TYPE ObpDirectoryType; // ob
extern struct _OBJECT_TYPE ObpSymbolicLinkType;

// Makes an object with a zeroed body of max(body_size, type->body_size) bytes and
// one reference, the caller's. <= DISPATCH_LEVEL. STATUS_INSUFFICIENT_RESOURCES.
NTSTATUS ObpCreateObject(POBJECT_TYPE type, size_t body_size, void **body);

// Gives the object a place in the namespace; the namespace takes a reference that
// ObpRemoveName drops. PASSIVE_LEVEL. The parent directory has to exist:
// STATUS_OBJECT_PATH_NOT_FOUND; STATUS_OBJECT_NAME_COLLISION,
// STATUS_OBJECT_PATH_SYNTAX_BAD, STATUS_INSUFFICIENT_RESOURCES.
NTSTATUS ObpInsertName(void *body, const UNICODE_STRING *path);
// Nothing happens when the object has no name.
void ObpRemoveName(void *body);
// The object's last name component, e.g. L"00000012"; an empty string if unnamed.
// Valid while the object is referenced and keeps its name.
UNICODE_STRING ObpObjectName(void *body);
// Full path into `buffer` (MaximumLength is respected): STATUS_BUFFER_OVERFLOW.
NTSTATUS ObpObjectPath(void *body, UNICODE_STRING *buffer);

// Walks the namespace from the root, following symbolic links (\??\X and
// \DosDevices\X too). On success *body is referenced. `type` NULL: any.
// `context` reaches the parse routines.
// STATUS_OBJECT_NAME_NOT_FOUND, STATUS_OBJECT_PATH_NOT_FOUND,
// STATUS_OBJECT_PATH_SYNTAX_BAD, STATUS_OBJECT_TYPE_MISMATCH. PASSIVE_LEVEL.
NTSTATUS ObpOpenByName(const UNICODE_STRING *path, ULONG attributes, POBJECT_TYPE type,
                       ACCESS_MASK access, void *context, void **body);
// The same without parse routines, for IoGetDeviceObjectPointer and the like:
// stops at the first object that isn't a directory or a link; *remaining is the
// rest of the path, pointing into `storage`, or empty. A link moves the walk
// into `storage`, 512 WCHARs of the caller's.
NTSTATUS ObpLookup(const UNICODE_STRING *path, ULONG attributes, WCHAR *storage, void **body,
                   UNICODE_STRING *remaining);

// A new kernel handle; it takes its own reference. PASSIVE_LEVEL.
// STATUS_INSUFFICIENT_RESOURCES when the table is full.
NTSTATUS ObpCreateHandle(void *body, ACCESS_MASK access, ULONG attributes, HANDLE *handle);

// Symbolic links: IoCreateSymbolicLink. PASSIVE_LEVEL.
NTSTATUS ObpCreateSymbolicLink(const UNICODE_STRING *path, const UNICODE_STRING *target);
// STATUS_OBJECT_NAME_NOT_FOUND, STATUS_OBJECT_TYPE_MISMATCH.
NTSTATUS ObpDeleteSymbolicLink(const UNICODE_STRING *path);
// Directories: the whole path but the last component has to exist.
NTSTATUS ObpCreateDirectory(const WCHAR *path);

POBJECT_TYPE ObpGetType(void *body);
LONG ObpReferenceCount(void *body);
LONG ObpHandleCount(void *body);
// Prints the living objects of the type (NULL: a line with the count of each
// type) to the debug port; for leak reports.
void ObpDumpObjects(POBJECT_TYPE type);

#ifdef __cplusplus
}
#endif

#endif // NTC_OB_H_
