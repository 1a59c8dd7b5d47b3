"""ZeroGPU, as far as it can be shown without one: `spaces` is a stand-in that keeps what is asked of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT

CODE = """
import sys, types
asked = []
spaces = types.ModuleType("spaces")
def GPU(duration):
    def decorate(function):
        asked.append((f"{function.__module__}.{function.__name__}", duration))
        return function
    return decorate
spaces.GPU = GPU
sys.modules["spaces"] = spaces
from pathlib import Path
import checkpoints, endpoints, service, stst, zero_gpu
from checkpoints import Settings
from tests.sounds import BONJOUR
zero_gpu.place(Settings(asr_checkpoint="openai/whisper-base"))
loaded = {key[0] if isinstance(key, tuple) else key for key in checkpoints._loaded}
assert {"whisper", "hibari"} <= loaded, loaded
assert dict(asked) == {
    "asr.windows": 60, "stst.translate_windows": 60, "stst.stream": 120, "tts.stream": 60, "captions.update": 15, "tts.synthesise": 60
}, asked
done = list(stst.stream(BONJOUR, stopped=lambda: False))
assert done[-1].sentences
stopped = list(stst.stream(BONJOUR, stopped=lambda: True))
assert len(stopped) == 1
whole = endpoints.WholeFiles(service.Service(Settings(asr_checkpoint="openai/whisper-base"), Path("cache")))
assert whole.transcribe(str(BONJOUR)) and whole.translate(str(BONJOUR)) and len(whole.synthesise("Hello there.")[1])
print("placed")
"""


@pytest.mark.slow
def test_everything_is_placed_and_what_computes_is_decorated() -> None:
    result = subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert "placed" in result.stdout, result.stderr[-2000:]
