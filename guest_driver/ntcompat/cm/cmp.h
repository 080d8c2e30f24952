// SPDX-License-Identifier: MIT
//
// Inside cm: keys and values. All of it is guarded by CmpLock.
#ifndef NTC_CMP_H_
#define NTC_CMP_H_

#include "cm/cm.h"
#include "mm/mi.h"
#include "ob/ob.h"

#define CMP_TAG '  MC'
#define CMP_MAX_NAME 255 // characters of a key name

struct CMP_KEY {
    CMP_KEY *parent; // nullptr: \Registry
    LIST_ENTRY siblings;
    LIST_ENTRY children;
    LIST_ENTRY values;
    UNICODE_STRING name;
    LONG opens;
    bool deleted;
};

struct CMP_VALUE {
    LIST_ENTRY links;
    UNICODE_STRING name;
    ULONG type;
    ULONG length;
    void *data; // nullptr when length is 0
};

// Body of a Key object: one an open.
struct CMP_KEY_OBJECT {
    CMP_KEY *key;
};

// What ZwCreateKey passes to the parse routine.
struct CMP_PARSE {
    bool create;
    bool created;
};

extern MI_LOCK CmpLock;
extern CMP_KEY *CmpRoot;

// These are called with the lock held.
CMP_KEY *CmpFindChild(CMP_KEY *key, const UNICODE_STRING *name);
CMP_VALUE *CmpFindValue(CMP_KEY *key, const UNICODE_STRING *name);
NTSTATUS CmpAddChild(CMP_KEY *parent, const UNICODE_STRING *name, CMP_KEY **child);
NTSTATUS CmpStoreValue(CMP_KEY *key, const UNICODE_STRING *name, ULONG type, const void *data,
                       ULONG length);
void CmpDeleteValue(CMP_VALUE *value);
// Unlinks a key without children; its memory goes when nobody has it open.
void CmpDeleteKey(CMP_KEY *key);
void CmpReleaseKey(CMP_KEY *key);
// Walks `path` (relative, no leading backslash) from `from`. With `create` the last
// component is made when it alone is missing, with `create_all` every one.
NTSTATUS CmpWalk(CMP_KEY *from, const UNICODE_STRING *path, bool create, bool create_all,
                 CMP_KEY **found, bool *created);

#endif // NTC_CMP_H_
