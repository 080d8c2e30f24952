// SPDX-License-Identifier: MIT
// DEFINE_GUID defines, as after Microsoft's header of this name.
#undef VQ7_HOST_INITGUID
#define VQ7_HOST_INITGUID 1
