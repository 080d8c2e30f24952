# SPDX-License-Identifier: MIT
"""The prompt of `make kd`, without a target."""

import os
import sys
import types

from vq7rig.kd.shell import Shell


def test_question_of_the_target_is_put_to_the_user(monkeypatch, capsys):
    """As an assertion's: a line of the input is the answer; at its end there is none."""
    theirs, ours = os.pipe()
    with os.fdopen(theirs) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        debugger = types.SimpleNamespace(client=types.SimpleNamespace(on_prompt=None))
        Shell(debugger)
        os.write(ours, b"o\n")
        assert debugger.client.on_prompt("break Once (boipt)? ") == "o"
        assert capsys.readouterr().out == "break Once (boipt)? o\n"
        os.close(ours)
        assert debugger.client.on_prompt("break Once (boipt)? ") == ""
