"""What a clip's decode is made of, and how far encoder and steps are from what this machine could do at best.

    python -m benchmarks.floors CLIPS

The encoder's floor is its arithmetic at the rate of one of its own products, repeated by itself; a step's is one reading of all
that it needs, at the rate at which the same cores read as much memory again and again. One clip, warm caches, the fastest of a few runs.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import torch

from audio import SAMPLING_RATE
from benchmarks.whisper import clips, whisper, with_fast
from cores import N_THREADS, threads
from decoding import PADDING_SECONDS
from fast_whisper import BLOCK, N_SAMPLES_PER_POSITION, Decoder, FastWhisper, Heard, encode, fast, log_mel, step_threads
from int8_decoder import N_EXACT, VOCABULARY_BLOCK, Int8Decoder
from kernels import seconds
from voice_activity import has_speech

SECONDS = 10  # of the clip
SCALE_BYTES = 4


def encoder_operations(form: FastWhisper, n_positions: int) -> float:
    """Multiplications and additions of `encode` for one window."""
    config = whisper().model.config
    d, n_layers = config.d_model, config.encoder_layers
    convolutions = 2 * n_positions * 3 * config.num_mel_bins * d + n_positions * 3 * d * d
    layers = n_layers * n_positions * (4 * d * d + 2 * d * config.encoder_ffn_dim)
    attention = n_layers * 2 * n_positions * n_positions * d
    for_the_decoder = n_positions * d * 2 * form.n_decoder_layers * d
    return 2.0 * (convolutions + layers + attention + for_the_decoder)


def step_bytes(form: FastWhisper, heard: Heard) -> float:
    """That a decoder's step reads: weights, and what it attends to in the audio."""
    layers = whisper().model.model.decoder.layers
    # Keys and values of the audio are made once, not in a step.
    once = ("encoder_attn.k_proj.weight", "encoder_attn.v_proj.weight")
    weights = sum(weight.numel() for name, weight in layers.named_parameters() if weight.ndim == 2 and not name.endswith(once))
    vocabulary = whisper().model.proj_out.weight
    audio = sum(part.nbytes for part in (*heard.keys, *heard.values))
    if not isinstance(form.decoder, Int8Decoder):
        return float((weights + vocabulary.numel()) * form.decoder_dtype.itemsize + audio)
    in_layers = weights * (1 + SCALE_BYTES / BLOCK)
    in_vocabulary = vocabulary.numel() * (1 / 2 + SCALE_BYTES / VOCABULARY_BLOCK) + N_EXACT * vocabulary.shape[1] * vocabulary.itemsize
    return in_layers + in_vocabulary + audio


@torch.inference_mode()
def floors(waveform: np.ndarray, language: str) -> None:
    form = fast(whisper())
    # 1. The whole, and its parts as `decode` calls them.
    text = with_fast(waveform, language)
    n_steps = len(form.tokenizer(text, add_special_tokens=False).input_ids) + 1  # and the end
    whole, detecting = seconds(lambda: with_fast(waveform, language)), seconds(lambda: has_speech(waveform))
    with threads(N_THREADS):
        heard = encode(form, [waveform], PADDING_SECONDS)
        n_positions = heard.keys[0].shape[2]
        mel = seconds(lambda: log_mel(form, [waveform], n_positions * N_SAMPLES_PER_POSITION))
        encoder = seconds(lambda: encode(form, [waveform], PADDING_SECONDS)) - mel
    token = torch.tensor([[form.tokens.start]])
    with step_threads(form, N_THREADS):
        decoder = Decoder.new(form, heard, form.n_positions)
        step = seconds(lambda: decoder(token))
    # 2. The floors.
    rows = torch.randn(1, n_positions, form.encoder_positions.shape[1]).to(form.encoder_layers[-1].dtype)
    product = form.encoder_layers[-1].qkv
    operations, n_bytes = encoder_operations(form, n_positions), step_bytes(form, heard)
    memory = torch.ones(int(n_bytes) // 4)
    with threads(N_THREADS):
        per_second = 2 * 3 * rows.numel() * rows.shape[-1] / seconds(lambda: product(rows))
        bytes_per_second = memory.nbytes / seconds(memory.sum)
    print(f"{len(waveform) / SAMPLING_RATE:.0f} s of audio, {n_positions} positions, {N_THREADS} threads, load {os.getloadavg()[0]:.1f}")
    for name, took, floor, why in (
        ("encoder", encoder, operations / per_second, f"{operations / 1e9:.0f} GFLOP at {per_second / 1e9:.0f} GFLOP/s"),
        ("one step", step, n_bytes / bytes_per_second, f"{n_bytes / 1e6:.0f} MB at {bytes_per_second / 1e9:.0f} GB/s"),
    ):
        print(f"  {name:9} {1000 * took:6.1f} ms, floor {1000 * floor:.1f} ms ({why}): {took / floor:.1f} times as long")
    parts = {"voice detection": detecting, "mel": mel, "encoder": encoder, f"{n_steps} steps": n_steps * step}
    parts["the rest"] = whole - sum(parts.values())
    shares = ", ".join(f"{name} {100 * took / whole:.0f} %" for name, took in parts.items())
    print(f"  the whole {1000 * whole:6.1f} ms: {shares}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    clip = next(clip for clip in clips(parser.parse_args().clips) if clip.language == "en" and clip.seconds >= SECONDS)
    floors(clip.waveform[: SECONDS * SAMPLING_RATE], clip.language)
