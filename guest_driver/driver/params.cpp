// SPDX-License-Identifier: MIT
// The service's Parameters key.
#include "driver.h"

struct TRANSPORT_NAME {
    const WCHAR *name;
    VIRTIO_PCI_MODE mode;
};

static const TRANSPORT_NAME TransportNames[] = {
    {L"auto", VirtioPciModeAuto},
    {L"legacy", VirtioPciModeLegacy},
    {L"modern", VirtioPciModeModern},
};

static NTSTATUS ParseTransport(PCUNICODE_STRING text, VIRTIO_PCI_MODE *mode) {
    for (ULONG i = 0; i < RTL_NUMBER_OF(TransportNames); i++) {
        UNICODE_STRING name;
        RtlInitUnicodeString(&name, TransportNames[i].name);
        if (RtlEqualUnicodeString(text, &name, TRUE)) {
            *mode = TransportNames[i].mode;
            return STATUS_SUCCESS;
        }
    }
    Vq7Log("parameter Transport is \"%wZ\", not auto, legacy or modern\n", text);
    return STATUS_INVALID_PARAMETER;
}

static NTSTATUS QueryTransport(WDFKEY key, VIRTIO_PCI_MODE *mode) {
    WCHAR buffer[16];
    UNICODE_STRING text;
    UNICODE_STRING name;
    USHORT length = 0;

    text.Length = 0;
    text.MaximumLength = sizeof(buffer);
    text.Buffer = buffer;
    RtlInitUnicodeString(&name, L"Transport");
    NTSTATUS status = WdfRegistryQueryUnicodeString(key, &name, &length, &text);
    if (status == STATUS_OBJECT_NAME_NOT_FOUND) {
        *mode = VirtioPciModeAuto;
        return STATUS_SUCCESS;
    }
    if (!NT_SUCCESS(status)) {
        Vq7Log("parameter Transport is not a short REG_SZ, status 0x%08x\n", (unsigned int)status);
        return STATUS_INVALID_PARAMETER;
    }
    return ParseTransport(&text, mode);
}

NTSTATUS Vq7ReadTransport(VIRTIO_PCI_MODE *mode) {
    WDFKEY key;
    NTSTATUS status = WdfDriverOpenParametersRegistryKey(WdfGetDriver(), KEY_READ,
                                                         WDF_NO_OBJECT_ATTRIBUTES, &key);

    if (status == STATUS_OBJECT_NAME_NOT_FOUND) {
        *mode = VirtioPciModeAuto; // no Parameters key at all
        return STATUS_SUCCESS;
    }
    if (!NT_SUCCESS(status)) {
        Vq7Log("cannot open the Parameters key, status 0x%08x\n", (unsigned int)status);
        return status;
    }
    status = QueryTransport(key, mode);
    WdfRegistryClose(key);
    return status;
}
