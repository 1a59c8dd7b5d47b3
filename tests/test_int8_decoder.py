"""The decoder as an int8 graph says nearly what it says in float32, whatever else it is asked beside."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import ModelProto

import int8_graph
from audio import SAMPLING_RATE, load_audio
from checkpoints import Settings, Whisper, load_whisper
from fast_whisper import BLOCK, PRECISE_BLOCK, Decoder, FastWhisper, encode, prepare
from int8_decoder import N_EXACT, Int8Decoder, _logits, in_int8
from int8_graph import Bound, Builder, Graph
from kernels import relative_error
from tests.conftest import ROOT
from tests.sounds import CLIPS, COUNTING

SAID = "Uno, due, tre, quattro, cinque, sei, sette, otto, nove, dieci."


@pytest.fixture(scope="module")
def whisper() -> Whisper:
    return load_whisper("openai/whisper-base", Settings(device="cpu"))


@pytest.fixture(scope="module")
def float32(whisper: Whisper) -> FastWhisper:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fast_whisper.int8_is_faster", lambda: False)
        return prepare(whisper.model, whisper.tokenizer, whisper.feature_extractor.mel_filters)


@pytest.fixture(scope="module", params=[BLOCK, PRECISE_BLOCK])
def int8(whisper: Whisper, float32: FastWhisper, request: pytest.FixtureRequest) -> FastWhisper:
    """Whether it is faster here or not."""
    return replace(float32, decoder=Int8Decoder(whisper.model.model.decoder, whisper.model.proj_out.weight, request.param))


@pytest.fixture(scope="module")
def waveforms() -> list[np.ndarray]:
    return [load_audio(path)[: 5 * SAMPLING_RATE] for path in (COUNTING, CLIPS / "pt" / "pangrama.wav")]


@pytest.fixture(scope="module")
def tokens(whisper: Whisper) -> torch.Tensor:
    whisper.tokenizer.set_prefix_tokens("it", "transcribe", predict_timestamps=False)
    return torch.tensor([whisper.tokenizer.encode(SAID)])


def difference(logits: torch.Tensor, exact: torch.Tensor) -> float:
    """Kullback-Leibler, of the likelihoods of the next token; the mean over all places."""
    exact, logits = exact.log_softmax(-1), logits.log_softmax(-1)
    return float((exact.exp() * (exact - logits)).sum(-1).mean())


@pytest.mark.parametrize("n_threads", [1, 2])
@torch.inference_mode()
def test_a_prompt_and_steps_after_it_are_nearly_float32s(
    int8: FastWhisper, float32: FastWhisper, waveforms: list[np.ndarray], tokens: torch.Tensor, n_threads: int
) -> None:
    int8_graph.set_num_threads(n_threads)
    decoder, exact = (Decoder.new(form, encode(form, waveforms[:1], 1.0), tokens.shape[1]) for form in (int8, float32))
    prompt, places = tokens[:, :6], [0, 3, 5]
    assert difference(decoder(prompt, places), exact(prompt, places)) < 0.01
    for token in tokens[:, 6:].split(1, dim=1):
        assert difference(decoder(token), exact(token)) < 0.05
    assert decoder.n_tokens == exact.n_tokens == tokens.shape[1]
    for ours, theirs in ((decoder.keys[-1], exact.keys[-1]), (decoder.values[-1], exact.values[-1]), (decoder.queries, exact.queries)):
        assert relative_error(ours, theirs) < 0.1


@torch.inference_mode()
def test_what_it_hears_is_in_int8(int8: FastWhisper, float32: FastWhisper, waveforms: list[np.ndarray]) -> None:
    heard, exact = (encode(form, waveforms, 1.0) for form in (int8, float32))
    for computed, part in zip(heard.in_floats(), exact.in_floats(), strict=True):
        assert relative_error(computed, part) < 0.02
    assert torch.equal(heard.window(1).key(2, 3), heard.in_floats()[2][1, 3])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_levels_never_pass_127(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = (torch.randn(2, 3, 50, 64) * torch.logspace(-6, 4, 64)).to(dtype)
    x[0, 1, :, 5] = 0  # a channel in which there is nothing
    levels, scales = in_int8(x)
    assert 120 < float(levels.abs().max()) <= 127
    assert float((levels * scales - x).abs().div(scales).max()) < 1.1, "half a level, and what bfloat16 rounds"


@torch.inference_mode()
def test_a_prompt_may_be_longer_than_the_audio(int8: FastWhisper, float32: FastWhisper, waveforms: list[np.ndarray]) -> None:
    prompt = torch.arange(1000, 1300)[None]
    ours, theirs = (Decoder.new(form, encode(form, [waveforms[0][:SAMPLING_RATE]], 1.0), 301) for form in (int8, float32))
    assert ours.heard.keys[0].shape[2] < 150
    wanted = [0, 126, 127, 299]
    assert difference(ours(prompt, wanted), theirs(prompt, wanted)) < 0.1
    assert relative_error(ours.queries[:, :300], theirs.queries[:, :300]) < 0.2
    assert difference(ours(prompt[:, :1]), theirs(prompt[:, :1])) < 0.1


@torch.inference_mode()
def test_what_was_heard_goes_with_the_decode(int8: FastWhisper, waveforms: list[np.ndarray], tokens: torch.Tensor) -> None:
    decoder = Decoder.new(int8, encode(int8, waveforms[:1], 1.0), 20)
    decoder(tokens[:, :5])
    decoder(tokens[:, 5:6])
    keys = weakref.ref(decoder.heard.keys[0])
    del decoder
    assert keys() is None


@torch.inference_mode()
def test_hypotheses_and_windows_do_not_depend_on_each_other(int8: FastWhisper, waveforms: list[np.ndarray], tokens: torch.Tensor) -> None:
    heard, louder = (encode(int8, [waveforms[0], beside], 1.0) for beside in (waveforms[1], 5 * waveforms[1][::-1]))
    prompt, following = tokens[:, :5], tokens[:, 5:8]
    # 1. Two windows, each as by itself, and the same whatever is beside it.
    together, other = (Decoder.new(int8, each, 20)(prompt.expand(2, -1), [4]) for each in (heard, louder))
    assert torch.equal(together[0], other[0])
    for index in range(2):
        alone = Decoder.new(int8, heard.window(index), 20)(prompt, [4])
        assert difference(together[index], alone[0]) < 0.01
    # 2. Three hypotheses about one window, each as by itself.
    search = Decoder.new(int8, heard.window(0), 20)
    search(prompt)
    search.branch([0, 0, 0])
    branched = search(following.T)
    for row, token in enumerate(following[0]):
        alone = Decoder.new(int8, heard.window(0), 20)
        alone(prompt)
        assert difference(branched[row], alone(token.view(1, 1))[0]) < 0.01
        assert all(relative_error(*queries) < 0.1 for queries in zip(search.asked(row), alone.asked(0), strict=True))


@torch.inference_mode()
def test_a_decoder_that_is_set_back_goes_on_after_fewer_tokens(
    int8: FastWhisper, waveforms: list[np.ndarray], tokens: torch.Tensor
) -> None:
    decoder = Decoder.new(int8, encode(int8, waveforms[:1], 1.0), tokens.shape[1])
    decoder(tokens[:, :6])
    first = decoder(tokens[:, 6:7]).clone()
    for token in (123, 456):
        decoder(torch.tensor([[token]]))
    decoder.n_tokens = 6
    assert torch.equal(decoder(tokens[:, 6:7]), first)


def test_two_visitors_may_run_it_at_once(int8: FastWhisper, waveforms: list[np.ndarray], tokens: torch.Tensor) -> None:
    with torch.inference_mode():
        heard = encode(int8, waveforms, 1.0)

    @torch.inference_mode()
    def decoded(index: int) -> torch.Tensor:
        int8_graph.set_num_threads(1)
        decoder = Decoder.new(int8, heard.window(index), tokens.shape[1])
        return torch.cat([decoder(token).clone() for token in tokens.split(1, dim=1)])

    alone = [decoded(index) for index in range(2)]
    with ThreadPoolExecutor(2) as visitors:
        for _ in range(3):
            assert all(torch.equal(*pair) for pair in zip(visitors.map(decoded, range(2)), alone, strict=True))


def test_a_small_checkpoint_fits_it(small_english_whisper: str) -> None:
    """Of layers narrower than a block."""
    small = load_whisper(small_english_whisper, Settings(device="cpu"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fast_whisper.int8_is_faster", lambda: False)
        float32 = prepare(small.model, small.tokenizer, small.feature_extractor.mel_filters)
    int8 = replace(float32, decoder=Int8Decoder(small.model.model.decoder, small.model.proj_out.weight, BLOCK))
    with torch.inference_mode():
        sound, tokens = np.ones(SAMPLING_RATE, np.float32), torch.tensor([[1, 2, 3]])
        ours, theirs = (Decoder.new(form, encode(form, [sound], 1.0), 3)(tokens, [0, 1, 2]) for form in (int8, float32))
    assert difference(ours, theirs) < 0.0005


def test_a_checkpoint_in_bfloat16_fits_it(small_english_whisper: str) -> None:
    small = load_whisper(small_english_whisper, Settings(device="cpu", dtype="bfloat16"))
    decoder = Int8Decoder(small.model.model.decoder, small.model.proj_out.weight, BLOCK)
    form = replace(prepare(small.model, small.tokenizer, small.feature_extractor.mel_filters), decoder=decoder)
    with torch.inference_mode():
        heard = encode(form, [np.ones(SAMPLING_RATE, np.float32)], 1.0)
        assert Decoder.new(form, heard, 3)(torch.tensor([[1, 2, 3]])).isfinite().all()


@torch.inference_mode()
def test_the_likeliest_tokens_are_exact(whisper: Whisper) -> None:
    vocabulary = whisper.model.proj_out.weight

    def build(folder: Path) -> ModelProto:
        builder = Builder(folder, BLOCK)
        _logits(builder, "state", vocabulary)
        return builder.build({"state": np.float32, "vocabulary": np.float32}, ["logits"])

    states = vocabulary[:600:100].view(2, 3, -1)  # as after rows of tokens: each is most like one of them
    logits, exact = torch.empty(2, 3, len(vocabulary)), states @ vocabulary.T
    Bound(Graph(build), {"vocabulary": vocabulary, "state": states.contiguous()}, {"logits": logits})()
    # Beside them they are rough; all less the same number.
    exact -= (exact - logits).mean(-1, keepdim=True)
    assert 0.001 < relative_error(logits, exact) < 0.15
    likeliest = exact.topk(N_EXACT // 8).indices
    ours, theirs = (each.gather(-1, likeliest) for each in (logits, exact))
    assert torch.allclose(ours - ours[..., :1], theirs - theirs[..., :1], atol=1e-6)


def test_a_kernel_that_computes_wrongly_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bound, "__call__", lambda self: self._outputs["y"].zero_())
    assert not int8_graph._int8_is_faster.__wrapped__()


def test_a_graph_is_made_in_little_more_memory_than_the_checkpoint_is_loaded_in() -> None:
    """In a process of its own, whose peak is theirs: where torch kept what a gradient would need, it was 200 MB more."""
    script = """
from checkpoints import Settings, load_whisper
from fast_whisper import BLOCK
from int8_decoder import Int8Decoder
from tests.measures import megabytes_held

model = load_whisper("openai/whisper-base", Settings(device="cpu")).model
loaded = megabytes_held(field="VmHWM")
graphs = [Int8Decoder(model.model.decoder, model.proj_out.weight, BLOCK).graph for _ in range(2)]
for graph in graphs:
    graph.session(2)
print(megabytes_held(field="VmHWM") - loaded)
"""
    made = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=ROOT)
    assert float(made.stdout) < 40


def test_nobody_waits_while_a_graph_is_made_for_another_number_of_threads() -> None:
    may_go_on = threading.Event()

    def build(folder: Path) -> ModelProto:
        may_go_on.wait(10)
        builder = Builder(folder, BLOCK)
        builder.linear("x", torch.ones(32, 32), None, ["y"])
        return builder.build({"x": np.float32}, ["y"])

    graph = Graph(build)
    may_go_on.set()
    two = graph.session(2)
    may_go_on.clear()
    assert graph.session(1) is two, "until its own is ready"
    assert graph.session(2) is two
    may_go_on.set()
    until = time.monotonic() + 10
    while graph.session(1) is two and time.monotonic() < until:
        time.sleep(0.01)
    one = graph.session(1)
    assert one is not two
    assert one.get_session_options().intra_op_num_threads == 1
