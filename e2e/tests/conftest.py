# SPDX-License-Identifier: MIT


def pytest_configure(config):
    config.addinivalue_line("markers", "rules: rules of ntcompat, broken on purpose")
