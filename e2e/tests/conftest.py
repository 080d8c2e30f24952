# SPDX-License-Identifier: MIT

from kd_bench import _disconnect, com2, kd, running     # noqa: F401, fixtures
from linux_guest import linux       # noqa: F401, a fixture


def pytest_configure(config):
    config.addinivalue_line("markers", "rules: rules of ntcompat, broken on purpose")
