"""Hundreds of bad files: each gets a plain sentence, soon, in little memory, and the next one is served."""

from __future__ import annotations

import contextlib
import re
import resource
import time
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from audio import MAX_SECONDS, SAMPLING_RATE, AudioError, load_audio, read_pcm
from tests import corpus
from tests.sounds import QUICK_BROWN_FOX

SECONDS = 5.0  # for each, on two cores
MEGABYTES = 700  # more than before, at the most, for all of them


@pytest.fixture(scope="module")
def bad_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return corpus.make(tmp_path_factory.mktemp("corpus"))


def is_a_sentence(text: str) -> bool:
    return bool(re.search(r"[A-Za-z]{3,} .*\.$", text, re.DOTALL)) and "Traceback" not in text and "/tmp" not in text


def test_each_is_read_or_refused_in_a_sentence_soon(bad_files: list[Path]) -> None:
    assert len(bad_files) > 350
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    said = {}
    for path in bad_files:
        began = time.perf_counter()
        try:
            waveform = load_audio(path)
        except AudioError as error:
            said[path.name] = str(error)
        else:
            assert waveform.dtype == np.float32
            assert np.isfinite(waveform).all()
            assert 0 < len(waveform) <= MAX_SECONDS * SAMPLING_RATE
            assert np.abs(waveform).max() <= 1.0
        assert time.perf_counter() - began < SECONDS, path.name
    assert len(said) > 200
    assert [name for name, sentence in said.items() if not is_a_sentence(sentence)] == []
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < MEGABYTES


def test_as_chunks_of_a_stream_they_are_no_worse(bad_files: list[Path]) -> None:
    for path in bad_files:
        began = time.perf_counter()
        with contextlib.suppress(AudioError):
            read_pcm(path)
        assert time.perf_counter() - began < SECONDS, path.name


@pytest.mark.slow
def test_over_http_each_gets_a_sentence_and_the_next_is_served(app_url: str, bad_files: list[Path]) -> None:
    client = Client(app_url, verbose=False)
    client.predict(handle_file(QUICK_BROWN_FOX), "english", api_name="/transcribe")  # loaded
    for path in bad_files:
        began = time.perf_counter()
        with pytest.raises(AppError) as caught:  # none of it is speech
            client.predict(handle_file(path), "english", api_name="/transcribe")
        assert is_a_sentence(str(caught.value)), (path.name, str(caught.value))
        assert time.perf_counter() - began < SECONDS, path.name
    assert "fox" in client.predict(handle_file(QUICK_BROWN_FOX), "english", api_name="/transcribe").lower()
