// SPDX-License-Identifier: MIT
//
// Private to io: opening files, and the buffers of requests.
#ifndef NTC_IO_FILE_H_
#define NTC_IO_FILE_H_

#include "io/iop.h"

// Reaches ParseDevice through the namespace walk.
typedef struct _IOP_OPEN {
    ACCESS_MASK access;
    ULONG attributes;
    ULONG share;
    ULONG disposition;
    ULONG options;
    ULONG_PTR information; // out: FILE_OPENED ...
} IOP_OPEN;

NTSTATUS IopOpenFile(IOP_OPEN *open, const OBJECT_ATTRIBUTES *attributes, PFILE_OBJECT *file);

NTSTATUS IopSetControlBuffers(PIRP irp, ULONG code, PVOID in, ULONG in_length, PVOID out,
                              ULONG out_length);
NTSTATUS IopSetTransferBuffers(PDEVICE_OBJECT device, PIRP irp, bool write, PVOID buffer,
                               ULONG length);
void IopDropIrp(PIRP irp);

#endif // NTC_IO_FILE_H_
