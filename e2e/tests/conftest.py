# SPDX-License-Identifier: MIT

from kd_bench import _disconnect, com2, kd, running     # noqa: F401, fixtures


def pytest_configure(config):
    config.addinivalue_line("markers", "rules: rules of ntcompat, broken on purpose")
