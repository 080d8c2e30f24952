// SPDX-License-Identifier: MIT
//
// Inside ob: the header before each object's body.
#ifndef NTC_OBP_H_
#define NTC_OBP_H_

#include "mm/mi.h"
#include "ob/ob.h"

#define OBP_MAGIC 0x214A424Fu // "OBJ!"
#define OBP_NAME_TAG 'mNbO'
#define OBP_PATH_CHARS 512

struct alignas(16) OBP_HEADER {
    uint32_t magic;
    volatile LONG references;
    volatile LONG handles;
    uint32_t body_size;
    POBJECT_TYPE type;
    LIST_ENTRY type_links;
    // Namespace. Guarded by ObpNamespaceLock.
    OBP_HEADER *directory; // nullptr: no name
    LIST_ENTRY directory_links;
    UNICODE_STRING name;
    LIST_ENTRY delete_links; // waiting for PASSIVE_LEVEL
};

struct OBP_DIRECTORY {
    LIST_ENTRY children; // of OBP_HEADER.directory_links
};

struct OBP_SYMBOLIC_LINK {
    UNICODE_STRING target; // in pool
};

extern MI_LOCK ObpNamespaceLock;
extern void *ObpRootDirectory;

inline void *ObpBody(OBP_HEADER *header) {
    return header + 1;
}

// The header of a living object; bug check 0x18 for anything else.
OBP_HEADER *ObpHeader(void *body);

// Walks the namespace; see ObpOpenByName and ObpLookup for the two ways.
struct OBP_WALK {
    ULONG attributes; // OBJ_CASE_INSENSITIVE, OBJ_OPENLINK
    ACCESS_MASK access;
    void *context;
    bool use_parse;
    WCHAR *storage; // OBP_PATH_CHARS
};
NTSTATUS ObpWalk(const OBP_WALK *walk, const UNICODE_STRING *path, void **body,
                 UNICODE_STRING *remaining);

#endif // NTC_OBP_H_
