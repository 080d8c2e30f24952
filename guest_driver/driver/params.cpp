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

// A value that isn't there leaves *value alone.
static NTSTATUS QueryNumber(WDFKEY key, PCWSTR name_text, unsigned int *value) {
    UNICODE_STRING name;
    ULONG number;

    RtlInitUnicodeString(&name, name_text);
    NTSTATUS status = WdfRegistryQueryULong(key, &name, &number);
    if (status == STATUS_OBJECT_NAME_NOT_FOUND) {
        return STATUS_SUCCESS;
    }
    if (!NT_SUCCESS(status)) {
        Vq7Log("parameter %wZ is no REG_DWORD, status 0x%08x\n", &name, (unsigned int)status);
        return STATUS_INVALID_PARAMETER;
    }
    *value = (unsigned int)number;
    return STATUS_SUCCESS;
}

static NTSTATUS QueryTimeout(WDFKEY key, VQ7_TIMEOUT *timeout) {
    NTSTATUS status = QueryNumber(key, L"RequestTimeoutMs", &timeout->timeout_ms);

    if (NT_SUCCESS(status)) {
        status = QueryNumber(key, L"RequestRetries", &timeout->retries);
    }
    if (NT_SUCCESS(status) && !Vq7TimeoutIsValid(timeout)) {
        Vq7Log("parameter RequestTimeoutMs is %u, not 0 or %u to %u; or RequestRetries is %u, "
               "above %u\n",
               timeout->timeout_ms, VQ7_TIMEOUT_MIN, VQ7_TIMEOUT_MAX, timeout->retries,
               VQ7_RETRIES_MAX);
        status = STATUS_INVALID_PARAMETER;
    }
    return status;
}

NTSTATUS Vq7ReadSettings(VQ7_SETTINGS *settings) {
    WDFKEY key;

    settings->mode = VirtioPciModeAuto;
    settings->timeout.timeout_ms = VQ7_TIMEOUT_DEFAULT;
    settings->timeout.retries = VQ7_RETRIES_DEFAULT;
    NTSTATUS status = WdfDriverOpenParametersRegistryKey(WdfGetDriver(), KEY_READ,
                                                         WDF_NO_OBJECT_ATTRIBUTES, &key);

    if (status == STATUS_OBJECT_NAME_NOT_FOUND) {
        return STATUS_SUCCESS; // no Parameters key at all
    }
    if (!NT_SUCCESS(status)) {
        Vq7Log("cannot open the Parameters key, status 0x%08x\n", (unsigned int)status);
        return status;
    }
    status = QueryTransport(key, &settings->mode);
    if (NT_SUCCESS(status)) {
        status = QueryTimeout(key, &settings->timeout);
    }
    WdfRegistryClose(key);
    return status;
}
