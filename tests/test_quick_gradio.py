"""Gradio comes without reading its type stubs, and whatever else asks for a class's source still gets it."""

from __future__ import annotations

import subprocess
import sys

import pytest

IMPORT = """
import inspect, sys
stubs = []
sys.addaudithook(lambda event, arguments: stubs.append(arguments[0]) if event == "open" and str(arguments[0]).endswith(".pyi") else None)
import {module}
from gradio import Textbox
print(len(stubs), inspect.getfile(Textbox).endswith("textbox.py"))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("module", "reads_stubs"), [("gradio", True), ("quick_gradio", False), ("app", False)])
def test_stubs_are_left_alone(module: str, reads_stubs: bool) -> None:
    done = subprocess.run([sys.executable, "-c", IMPORT.format(module=module)], capture_output=True, text=True, check=True, timeout=120)
    n_stubs, finds_source = done.stdout.split()
    assert (int(n_stubs) > 0) == reads_stubs
    assert finds_source == "True"
