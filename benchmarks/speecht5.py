"""Seconds of speech per second of computing, and time to the first sentence: the fast path beside transformers' own.

    python -m benchmarks.speecht5 [rounds]

Every round runs every way once, in turn, so that whatever else the machine does meets them all; medians over rounds.
Random weights never stop by themselves: the length ratio ends a sentence after 1 s of speech per 14 characters.
"""

import os
import sys
import time
from collections.abc import Callable

import checkpoints  # noqa: F401  # first: it sets how torch's threads wait, which is read when torch is loaded

# isort: split
import numpy as np
import torch
from transformers import SpeechT5Config, SpeechT5ForTextToSpeech, SpeechT5HifiGan, SpeechT5HifiGanConfig

from fast_speecht5 import generate_speech, prepare

SAMPLING_RATE = 16_000
LIMITS = {"threshold": 9.0, "maxlenratio": 62.5 / 14}
N_TOKENS = (70, 50, 62, 78)  # one sentence of 5 s; four of 3.6 to 5.6 s


def main(rounds: int) -> None:
    torch.manual_seed(0)
    model = SpeechT5ForTextToSpeech(SpeechT5Config()).eval()
    vocoder = SpeechT5HifiGan(SpeechT5HifiGanConfig()).eval()
    sentences = [torch.randint(4, 80, (length,)) for length in N_TOKENS]
    padded = torch.nn.utils.rnn.pad_sequence(sentences, batch_first=True, padding_value=model.config.pad_token_id)
    x_vector = torch.randn(1, 512)
    fast = prepare(model, vocoder)
    exact = prepare(model, vocoder, exact=True)

    def transformers(input_ids: torch.Tensor) -> None:
        model.generate_speech(input_ids, x_vector, vocoder=vocoder, **LIMITS)

    ways: dict[str, Callable[[], object]] = {
        "one: transformers": lambda: transformers(sentences[0][None]),
        "one: float32": lambda: generate_speech(exact, sentences[:1], x_vector, **LIMITS),
        "one: fast": lambda: generate_speech(fast, sentences[:1], x_vector, **LIMITS),
        "four: transformers": lambda: transformers(padded),
        "four: float32": lambda: generate_speech(exact, sentences, x_vector, **LIMITS),
        "four: fast": lambda: generate_speech(fast, sentences, x_vector, **LIMITS),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    with torch.inference_mode():
        for name, way in ways.items():
            if not name.endswith("transformers"):
                way()  # warm up
        for _ in range(rounds):
            for name, way in ways.items():
                start = time.perf_counter()
                way()
                seconds[name].append(time.perf_counter() - start)

    n_seconds = {"one": N_TOKENS[0] / 14, "four": sum(N_TOKENS) / 14}
    print(f"{rounds} rounds, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}")
    for name, each in seconds.items():
        what = name.split(":")[0]
        ratio = np.median(np.array(seconds[f"{what}: transformers"]) / np.array(each))
        median = np.median(each)
        print(f"{name:20} {n_seconds[what] / median:5.2f} s of speech per second   x{ratio:.2f}")
    # The app speaks the first sentence alone; the course's call hands out nothing before all is done.
    sooner = np.median(np.array(seconds["four: transformers"]) / np.array(seconds["one: fast"]))
    print(f"first sound of the four {np.median(seconds['one: fast']):5.2f} s   x{sooner:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
