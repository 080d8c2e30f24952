/* SPDX-License-Identifier: MIT */
/* What the snippets of lib/README.md take from the driver around them. */
#include "virtio_sg_pfn.h"

#define NonPagedPool 0
void *ExAllocatePoolWithTag(int type, size_t bytes, ULONG tag);
void WriteNotifyRegister(void);
void CompleteRequest(void *cookie, UINT32 len);
void CancelRequest(void *cookie);
void ResetDevice(void);

extern VIRTQ_SPLIT *vq;
extern UINT16 qsz, table_count, indirect_max_desc;
extern UINT32 ring_align;
extern BOOLEAN event_idx, indirect;
extern void *ring_va, *pool_va, *cookie;
extern UINT64 ring_pa, pool_pa;
extern PMDL Mdl;
extern size_t ByteOffset, ByteLength;
