# SPDX-License-Identifier: MIT
"""The driver's parameters in the registry: what is taken, and what keeps a device from being
added, with a line in the log."""

import pytest

from vq7rig import machine

DEFAULTS = {"timeout_ms": 60000, "retries": 1}


@pytest.mark.nightly
@pytest.mark.needs("settings", "kernel log")
@pytest.mark.parametrize("settings, taken", [
    (("vq7test.Transport=AUTO",), {}),
    (("vq7test.RequestTimeoutMs=dword:0x64", "vq7test.RequestRetries=dword:0"),
     {"timeout_ms": 100, "retries": 0}),
    (("vq7test.RequestTimeoutMs=dword:0",), {"timeout_ms": 0}),
    (("vq7test.Transport=newest",), 'Transport is "newest", not auto, legacy or modern'),
    (("vq7test.Transport=legacy-and-modern-or-auto",), "parameter Transport is not a short REG_SZ"),
    (("vq7test.Transport=dword:1",), "parameter Transport is not a short REG_SZ"),
    (("vq7test.RequestTimeoutMs=1000",), "parameter RequestTimeoutMs is no REG_DWORD"),
    (("vq7test.RequestRetries=none",), "parameter RequestRetries is no REG_DWORD"),
    (("vq7test.RequestTimeoutMs=dword:1",), "parameter RequestTimeoutMs is 1, not 0 or"),
    (("vq7test.RequestRetries=dword:0xFFFFFFFF",), "RequestRetries is 4294967295, above"),
])
def test_parameters(pool, artefacts, settings, taken):
    vm = pool.get(machine.Config(settings=settings), fresh=True)
    devices = vm.console.command("devices")
    if isinstance(taken, str):
        assert devices["devices"] == "0"
        assert taken in vm.kernel_log()
    else:
        assert devices["devices"] == "1"
        now = vm.console.command("device timeout")
        assert {name: now.num(name) for name in DEFAULTS} == {**DEFAULTS, **taken}
    pool.release()
