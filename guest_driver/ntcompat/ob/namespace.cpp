// SPDX-License-Identifier: MIT
//
// The namespace: directories, symbolic links, and the walk along a path.
#include "ob/obp.h"

MI_LOCK ObpNamespaceLock;
void *ObpRootDirectory;

namespace {

const int kMaxLinks = 32;

void RemoveLink(void *body) {
    auto *link = static_cast<OBP_SYMBOLIC_LINK *>(body);
    if (link->target.Buffer)
        ExpFreePool(link->target.Buffer, OBP_NAME_TAG, 0);
}

// References what it finds. The lock is held.
OBP_HEADER *FindChild(OBP_HEADER *directory, const UNICODE_STRING *name, bool ignore_case) {
    auto *body = static_cast<OBP_DIRECTORY *>(ObpBody(directory));
    for (LIST_ENTRY *entry = body->children.Flink; entry != &body->children; entry = entry->Flink) {
        auto *child = CONTAINING_RECORD(entry, OBP_HEADER, directory_links);
        if (RtlEqualUnicodeString(&child->name, name, ignore_case)) {
            InterlockedIncrement(&child->references);
            return child;
        }
    }
    return nullptr;
}

// Takes the first component off the path. False: it is empty.
bool NextComponent(UNICODE_STRING *path, UNICODE_STRING *component) {
    const USHORT count = path->Length / sizeof(WCHAR);
    USHORT length = 0;
    while (length < count && path->Buffer[length] != '\\')
        ++length;
    component->Buffer = path->Buffer;
    component->Length = component->MaximumLength = length * sizeof(WCHAR);
    const USHORT skip = length < count ? length + 1 : length;
    path->Buffer += skip;
    path->Length = path->MaximumLength = static_cast<USHORT>((count - skip) * sizeof(WCHAR));
    return length != 0;
}

// The path goes on with the link's target: storage = target [+ '\' + rest].
NTSTATUS FollowLink(OBP_HEADER *header, UNICODE_STRING *rest, WCHAR *storage) {
    auto *link = static_cast<OBP_SYMBOLIC_LINK *>(ObpBody(header));
    const size_t target = link->target.Length / sizeof(WCHAR);
    const size_t tail = rest->Length / sizeof(WCHAR);
    if (target + 1 + tail >= OBP_PATH_CHARS)
        return STATUS_NAME_TOO_LONG;
    // `rest` may lie in storage already.
    memmove(storage + target + 1, rest->Buffer, rest->Length);
    memcpy(storage, link->target.Buffer, link->target.Length);
    storage[target] = '\\';
    const size_t total = tail ? target + 1 + tail : target;
    rest->Buffer = storage;
    rest->Length = rest->MaximumLength = static_cast<USHORT>(total * sizeof(WCHAR));
    return STATUS_SUCCESS;
}

NTSTATUS StartAtRoot(UNICODE_STRING *path, void **current) {
    if (path->Length < sizeof(WCHAR) || path->Buffer[0] != '\\')
        return STATUS_OBJECT_PATH_SYNTAX_BAD;
    ++path->Buffer;
    path->Length = static_cast<USHORT>(path->Length - sizeof(WCHAR));
    ObfReferenceObject(ObpRootDirectory);
    *current = ObpRootDirectory;
    return STATUS_SUCCESS;
}

// One step down from a directory. *current's reference moves on to the child.
NTSTATUS StepDown(const OBP_WALK *walk, UNICODE_STRING *rest, void **current) {
    UNICODE_STRING component;
    if (!NextComponent(rest, &component))
        return STATUS_OBJECT_NAME_INVALID;
    OBP_HEADER *child;
    {
        MiLockGuard guard(&ObpNamespaceLock);
        child = FindChild(ObpHeader(*current), &component,
                          (walk->attributes & OBJ_CASE_INSENSITIVE) != 0);
    }
    if (!child)
        return rest->Length ? STATUS_OBJECT_PATH_NOT_FOUND : STATUS_OBJECT_NAME_NOT_FOUND;
    ObfDereferenceObject(*current);
    *current = ObpBody(child);
    return STATUS_SUCCESS;
}

// Splits \a\b\c into its parent directory (referenced) and c.
NTSTATUS OpenParent(const UNICODE_STRING *path, WCHAR *storage, void **parent,
                    UNICODE_STRING *last) {
    USHORT split = path->Length / sizeof(WCHAR);
    while (split > 0 && path->Buffer[split - 1] != '\\')
        --split;
    if (split == 0 || split * sizeof(WCHAR) == path->Length)
        return STATUS_OBJECT_PATH_SYNTAX_BAD;
    last->Buffer = path->Buffer + split;
    last->Length = last->MaximumLength = static_cast<USHORT>(path->Length - split * sizeof(WCHAR));
    // The root keeps its backslash.
    const USHORT length = static_cast<USHORT>((split > 1 ? split - 1 : 1) * sizeof(WCHAR));
    const UNICODE_STRING up = {length, length, path->Buffer};
    UNICODE_STRING rest;
    NTSTATUS status = ObpLookup(&up, OBJ_CASE_INSENSITIVE, storage, parent, &rest);
    if (!NT_SUCCESS(status))
        return status == STATUS_OBJECT_NAME_NOT_FOUND ? STATUS_OBJECT_PATH_NOT_FOUND : status;
    if (!rest.Length && ObpGetType(*parent) == &ObpDirectoryType)
        return STATUS_SUCCESS;
    ObfDereferenceObject(*parent);
    return STATUS_OBJECT_TYPE_MISMATCH;
}

NTSTATUS LinkName(OBP_HEADER *directory, OBP_HEADER *header, const UNICODE_STRING *name) {
    const UNICODE_STRING copy = {name->Length, name->Length,
                                 static_cast<WCHAR *>(ExpAllocatePool(NonPagedPool, name->Length,
                                                                      OBP_NAME_TAG, MI_CALLER()))};
    if (!copy.Buffer)
        return STATUS_INSUFFICIENT_RESOURCES;
    memcpy(copy.Buffer, name->Buffer, name->Length);
    OBP_HEADER *old;
    {
        MiLockGuard guard(&ObpNamespaceLock);
        old = FindChild(directory, name, true);
        if (!old) {
            header->name = copy;
            header->directory = directory;
            auto *body = static_cast<OBP_DIRECTORY *>(ObpBody(directory));
            InsertTailList(&body->children, &header->directory_links);
            InterlockedIncrement(&header->references);
        }
    }
    if (!old)
        return STATUS_SUCCESS;
    ObfDereferenceObject(ObpBody(old));
    ExpFreePool(copy.Buffer, OBP_NAME_TAG, 0);
    return STATUS_OBJECT_NAME_COLLISION;
}

} // namespace

struct _OBJECT_TYPE ObpDirectoryType = {
    L"Directory", 'eriD', sizeof(OBP_DIRECTORY), nullptr, nullptr, nullptr, FALSE, -1, 0, {}};
struct _OBJECT_TYPE ObpSymbolicLinkType = {L"SymbolicLink",
                                           'bmyS',
                                           sizeof(OBP_SYMBOLIC_LINK),
                                           nullptr,
                                           RemoveLink,
                                           nullptr,
                                           FALSE,
                                           -1,
                                           0,
                                           {}};

NTSTATUS ObpWalk(const OBP_WALK *walk, const UNICODE_STRING *path, void **body,
                 UNICODE_STRING *remaining) {
    UNICODE_STRING rest = *path;
    void *current;
    NTSTATUS status = StartAtRoot(&rest, &current);
    if (!NT_SUCCESS(status))
        return status;
    for (int links = 0; links <= kMaxLinks;) {
        POBJECT_TYPE type = ObpGetType(current);
        if (type == &ObpDirectoryType && rest.Length) {
            status = StepDown(walk, &rest, &current);
        } else if (type == &ObpSymbolicLinkType &&
                   (rest.Length || !(walk->attributes & OBJ_OPENLINK))) {
            ++links;
            status = FollowLink(ObpHeader(current), &rest, walk->storage);
            ObfDereferenceObject(current);
            if (NT_SUCCESS(status))
                status = StartAtRoot(&rest, &current);
            if (!NT_SUCCESS(status))
                return status;
        } else if (walk->use_parse && type->parse && (rest.Length || type->parse_empty)) {
            void *found = nullptr;
            status =
                type->parse(current, &rest, walk->attributes, walk->access, walk->context, &found);
            ObfDereferenceObject(current);
            if (status != OBP_REPARSE) {
                *body = found;
                return status;
            }
            ++links;
            status = StartAtRoot(&rest, &current);
            if (!NT_SUCCESS(status))
                return status;
        } else {
            *body = current;
            *remaining = rest;
            return STATUS_SUCCESS;
        }
        if (!NT_SUCCESS(status)) {
            ObfDereferenceObject(current);
            return status;
        }
    }
    ObfDereferenceObject(current);
    return STATUS_OBJECT_NAME_INVALID;
}

NTSTATUS ObpLookup(const UNICODE_STRING *path, ULONG attributes, WCHAR *storage, void **body,
                   UNICODE_STRING *remaining) {
    const OBP_WALK walk = {attributes, 0, nullptr, false, storage};
    return ObpWalk(&walk, path, body, remaining);
}

NTSTATUS ObpOpenByName(const UNICODE_STRING *path, ULONG attributes, POBJECT_TYPE type,
                       ACCESS_MASK access, void *context, void **body) {
    MiPagedCode(__func__);
    WCHAR storage[OBP_PATH_CHARS];
    UNICODE_STRING rest = {};
    void *found = nullptr;
    const OBP_WALK walk = {attributes, access, context, true, storage};
    NTSTATUS status = ObpWalk(&walk, path, &found, &rest);
    if (!NT_SUCCESS(status))
        return status;
    if (rest.Length || (type && ObpGetType(found) != type)) {
        ObfDereferenceObject(found);
        return STATUS_OBJECT_TYPE_MISMATCH;
    }
    *body = found;
    return status;
}

NTSTATUS ObpInsertName(void *body, const UNICODE_STRING *path) {
    MiPagedCode(__func__);
    OBP_HEADER *header = ObpHeader(body);
    if (header->directory)
        KdViolation(0xC4, "an object that has a name gets a second one", 0x3F,
                    reinterpret_cast<uintptr_t>(body), 0, 0);
    WCHAR storage[OBP_PATH_CHARS];
    void *parent;
    UNICODE_STRING last;
    NTSTATUS status = OpenParent(path, storage, &parent, &last);
    if (!NT_SUCCESS(status))
        return status;
    status = LinkName(ObpHeader(parent), header, &last);
    ObfDereferenceObject(parent);
    return status;
}

void ObpRemoveName(void *body) {
    OBP_HEADER *header = ObpHeader(body);
    {
        MiLockGuard guard(&ObpNamespaceLock);
        if (!header->directory)
            return;
        RemoveEntryList(&header->directory_links);
        header->directory = nullptr;
    }
    ObfDereferenceObject(body);
}

UNICODE_STRING ObpObjectName(void *body) {
    return ObpHeader(body)->name;
}

NTSTATUS ObpObjectPath(void *body, UNICODE_STRING *buffer) {
    buffer->Length = 0;
    MiLockGuard guard(&ObpNamespaceLock);
    OBP_HEADER *chain[16];
    int depth = 0;
    for (OBP_HEADER *header = ObpHeader(body); header->directory; header = header->directory) {
        if (depth == 16)
            return STATUS_NAME_TOO_LONG;
        chain[depth++] = header;
    }
    while (depth > 0) {
        if (!NT_SUCCESS(RtlAppendUnicodeToString(buffer, L"\\")) ||
            !NT_SUCCESS(RtlAppendUnicodeStringToString(buffer, &chain[--depth]->name)))
            return STATUS_BUFFER_OVERFLOW;
    }
    return STATUS_SUCCESS;
}

NTSTATUS ObpCreateSymbolicLink(const UNICODE_STRING *path, const UNICODE_STRING *target) {
    MiPagedCode(__func__);
    if (target->Length < sizeof(WCHAR))
        return STATUS_INVALID_PARAMETER;
    void *body;
    NTSTATUS status = ObpCreateObject(&ObpSymbolicLinkType, 0, &body);
    if (!NT_SUCCESS(status))
        return status;
    auto *link = static_cast<OBP_SYMBOLIC_LINK *>(body);
    link->target.Buffer = static_cast<WCHAR *>(
        ExpAllocatePool(NonPagedPool, target->Length, OBP_NAME_TAG, MI_CALLER()));
    if (link->target.Buffer) {
        memcpy(link->target.Buffer, target->Buffer, target->Length);
        link->target.Length = link->target.MaximumLength = target->Length;
        status = ObpInsertName(body, path);
    } else {
        status = STATUS_INSUFFICIENT_RESOURCES;
    }
    ObfDereferenceObject(body); // the name keeps it
    return status;
}

NTSTATUS ObpDeleteSymbolicLink(const UNICODE_STRING *path) {
    MiPagedCode(__func__);
    WCHAR storage[OBP_PATH_CHARS];
    UNICODE_STRING rest;
    void *body;
    NTSTATUS status = ObpLookup(path, OBJ_CASE_INSENSITIVE | OBJ_OPENLINK, storage, &body, &rest);
    if (!NT_SUCCESS(status))
        return status;
    if (rest.Length || ObpGetType(body) != &ObpSymbolicLinkType)
        status = STATUS_OBJECT_TYPE_MISMATCH;
    else
        ObpRemoveName(body);
    ObfDereferenceObject(body);
    return status;
}

NTSTATUS ObpCreateDirectory(const WCHAR *path) {
    MiPagedCode(__func__);
    void *body;
    NTSTATUS status = ObpCreateObject(&ObpDirectoryType, 0, &body);
    if (!NT_SUCCESS(status))
        return status;
    InitializeListHead(&static_cast<OBP_DIRECTORY *>(body)->children);
    UNICODE_STRING name;
    RtlInitUnicodeString(&name, path);
    status = ObpInsertName(body, &name);
    ObfDereferenceObject(body);
    return status;
}
