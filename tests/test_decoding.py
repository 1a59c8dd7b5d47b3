"""The fast path against the tutorial's pipeline, and its rules by themselves."""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import decoding
import fast_whisper
import kernels
from alignment import align
from audio import SAMPLING_RATE, load_audio
from checkpoints import Settings, Whisper, load_whisper
from cores import Turns
from errors import Stopped
from fast_whisper import Decoder, encode, fast, log_mel
from int8_decoder import Int8Decoder
from tests.measures import word_error_rate
from tests.sounds import BONJOUR, CLIPS, COUNTING, PARAGRAPH, QUICK_BROWN_FOX, spoken


@pytest.fixture(scope="module")
def whisper() -> Whisper:
    return load_whisper("openai/whisper-base", Settings(device="cpu"))


@pytest.fixture(scope="module")
def fox() -> np.ndarray:
    return load_audio(QUICK_BROWN_FOX)


@pytest.fixture(scope="module")
def paragraph() -> np.ndarray:
    return spoken(PARAGRAPH)


def test_both_engines_understand_the_same(whisper: Whisper, fox: np.ndarray) -> None:
    texts = [decoding.decode(whisper, fox, language="en", engine=engine).text for engine in ("fast", "pipeline")]
    assert word_error_rate(*texts) == 0


def test_the_pipeline_tells_which_language_it_heard_and_can_be_stopped(whisper: Whisper) -> None:
    counting, asked = load_audio(COUNTING), itertools.count()
    assert decoding.decode(whisper, counting, engine="pipeline").language == "it"
    with pytest.raises(Stopped):
        decoding.decode(whisper, counting, engine="pipeline", stopped=lambda: next(asked) > 2)
    assert next(asked) < 6, "at the next token"


def test_the_mel_is_the_feature_extractors(whisper: Whisper, fox: np.ndarray) -> None:
    expected = whisper.feature_extractor(fox, sampling_rate=SAMPLING_RATE, return_tensors="pt").input_features[0]
    mel = log_mel(fast(whisper), [fox], 30 * SAMPLING_RATE)[0]
    assert mel.shape == expected.shape
    assert torch.allclose(mel, expected, atol=1e-3)


def test_the_encoder_agrees_with_transformers(whisper: Whisper, fox: np.ndarray) -> None:
    features = whisper.feature_extractor(fox, sampling_rate=SAMPLING_RATE, return_tensors="pt").input_features
    with torch.inference_mode():
        states = whisper.model.model.encoder(features).last_hidden_state
        expected = whisper.model.model.decoder.layers[0].encoder_attn.k_proj(states)[0]
        keys = encode(fast(whisper), [fox], None).in_floats()[0][0].transpose(0, 1).reshape(expected.shape)
    assert float((keys - expected).norm() / expected.norm()) < 0.05, "bfloat16 keeps about two digits"


@pytest.mark.slow
def test_a_stream_brings_few_lengths_of_window(whisper: Whisper, fox: np.ndarray) -> None:
    waveform = np.resize(fox, 29 * SAMPLING_RATE)
    lengths = {encode(fast(whisper), [waveform[: n * SAMPLING_RATE // 2]], 0.3).values[0].shape[2] for n in range(7, 59)}
    assert len(lengths) <= 16, "oneDNN keeps megabytes for each"


def test_a_window_beside_others_gives_the_text_it_gives_alone(whisper: Whisper, fox: np.ndarray, paragraph: np.ndarray) -> None:
    together = decoding.decode(whisper, paragraph, language="en")
    spans = decoding.cut(paragraph)
    alone = [decoding.decode(whisper, paragraph[start:end], language="en").text for start, end in spans]
    assert len(spans) > 1
    assert word_error_rate(" ".join(alone), together.text) <= 0.02


def test_speech_after_a_long_pause_in_a_window_is_heard(whisper: Whisper, fox: np.ndarray, paragraph: np.ndarray) -> None:
    pause = np.zeros(3 * SAMPLING_RATE, np.float32)
    text = decoding.decode(whisper, np.concatenate([paragraph, pause, fox]), language="en").text
    assert "lazy dog" in text.lower()


def test_a_sentence_after_a_pause_is_translated_too(whisper: Whisper) -> None:
    pause = np.zeros(3 * SAMPLING_RATE, np.float32)
    both = np.concatenate([load_audio(COUNTING), pause, load_audio(CLIPS / "it" / "pangrama.wav")])
    text = decoding.decode(whisper, both, language="it", task="translate", n_beams=5, windows_at_once=1).text
    assert "10" in text
    assert "terribl" in text, "Whisper takes the pause for the end"


@pytest.mark.parametrize(
    ("end", "speech", "expected"),
    [
        (9.5, [], None),  # up to the end, or nearly
        (5.0, [(5.0, 5.05)], None),  # the last word dies away
        (5.0, [(7.0, 9.0)], 6.9),  # after a pause, from its first word on
        (5.0, [(4.0, 5.0), (7.0, 7.8)], None),  # too little
        (5.0, [(4.0, 7.0)], 5.0),  # without one
        (0.9, [(0.0, 9.0)], None),  # little was understood of it, and no more would be
    ],
)
def test_what_is_left_of_a_window(
    end: float, speech: list[tuple[float, float]], expected: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    span, waveform = (SAMPLING_RATE, 11 * SAMPLING_RATE), np.zeros(12 * SAMPLING_RATE, np.float32)
    first = max(0.0, end - decoding.BESIDE_SECONDS)
    monkeypatch.setattr(decoding, "stretches", lambda _: [(begin - first, until - first) for begin, until in speech])
    rest = decoding._unheard(waveform, span, decoding.Decoded("", end=1 + end))
    assert rest == (None if expected is None else (pytest.approx((1 + expected) * SAMPLING_RATE, abs=1), span[1]))


def test_nothing_is_written_for_a_window_in_which_nobody_speaks(whisper: Whisper) -> None:
    noise = np.random.default_rng(0).normal(0, 0.002, 32 * SAMPLING_RATE).astype(np.float32)
    alone = decoding.decode(whisper, load_audio(COUNTING), language="it").text
    for n_beams in (1, 5):
        decoded = decoding.decode(whisper, np.concatenate([noise, load_audio(COUNTING), noise]), n_beams=n_beams, windows_at_once=1)
        assert decoded.language == "it"
        assert word_error_rate(alone, decoded.text) <= 0.1
        assert decoded.end > 60


def test_segments_are_in_order_and_within_the_audio(whisper: Whisper, paragraph: np.ndarray) -> None:
    segments = decoding.decode(whisper, paragraph, language="en", timestamps=True).segments
    times = [time for segment in segments for time in (segment.start, segment.end)]
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= len(paragraph) / SAMPLING_RATE + 0.1


def test_word_times_follow_the_words(whisper: Whisper, fox: np.ndarray) -> None:
    shift = np.zeros(2 * SAMPLING_RATE, np.float32)
    words = decoding.decode(whisper, fox, language="en", word_times=True).words
    later = decoding.decode(whisper, np.concatenate([shift, fox]), language="en", word_times=True).words
    assert "".join(word.text for word in words).split() == ["The", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog."]
    assert [word.start for word in words] == sorted(word.start for word in words)
    assert [b.start - a.start for a, b in zip(words, later, strict=True)] == pytest.approx([2.0] * 9, abs=0.3)


@pytest.mark.parametrize("noise", [0.0, 1e-3])
def test_pauses_belong_to_no_word(whisper: Whisper, fox: np.ndarray, noise: float) -> None:
    """Subtitles would come with the silence before a sentence, and stay for the one after it."""
    pauses, pieces = [], []
    for seconds in (5.0, 2.0, 9.0):
        begin = sum(map(len, pieces)) / SAMPLING_RATE
        pauses.append((begin, begin + seconds))
        pieces += [noise * np.random.default_rng(0).standard_normal(round(seconds * SAMPLING_RATE)).astype(np.float32), fox]
    words = decoding.decode(whisper, np.concatenate(pieces), language="en", word_times=True).words
    assert word_error_rate("the quick brown fox jumps over the lazy dog " * 3, "".join(word.text for word in words)) < 0.1
    for word in words:
        assert 0.05 < word.end - word.start < 1.0, word
        assert sum(max(0.0, min(word.end, end) - max(word.start, begin)) for begin, end in pauses) < 0.25, word


@pytest.mark.parametrize(
    ("speech", "expected"),
    [
        ([], (1.0, 4.0)),  # the detector hears nothing: the path is believed
        ([(1.2, 1.9)], (1.1, 2.0)),  # a pause behind it
        ([(3.5, 4.5)], (3.4, 4.0)),  # and before it
        ([(0.0, 1.2), (3.8, 6.0)], (3.7, 4.0)),  # the end of the word before is none of it
        ([(0.0, 1.5), (3.8, 6.0)], (1.0, 1.6)),  # nor is the beginning of the one after
        ([(0.0, 0.4), (4.05, 6.0)], (3.95, 4.0)),  # heard a little late
        ([(0.0, 0.4), (4.08, 6.0)], (1.0, 4.0)),  # nothing of it would be left
        ([(1.2, 1.9), (2.5, 3.0), (3.3, 3.8), (3.95, 6.0)], (1.1, 3.9)),  # a number, with pauses in it
    ],
)
def test_a_long_word_is_where_somebody_speaks(
    speech: list[tuple[float, float]], expected: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, heard = 10.0, 1.0 - decoding.BESIDE_SECONDS
    waveform = np.zeros(6 * SAMPLING_RATE, np.float32)
    monkeypatch.setattr(decoding, "stretches", lambda _: [(begin - heard, end - heard) for begin, end in speech])
    word = decoding.Word(" long", begun + 1.0, begun + 4.0, (7,))
    moved = decoding._without_pauses(word, waveform, begun)
    assert (moved.start - begun, moved.end - begun) == pytest.approx(expected)
    assert moved == replace(word, start=moved.start, end=moved.end)
    short = replace(word, end=begun + 0.9 + decoding.LONG_WORD_SECONDS)
    assert decoding._without_pauses(short, waveform, begun) is short


def test_a_forced_prefix_is_not_decoded_again(whisper: Whisper, fox: np.ndarray) -> None:
    rest = decoding.decode(whisper, fox, language="en", prefix="The quick brown fox jumps").text
    assert word_error_rate("over the lazy dog", rest) == 0


def test_a_draft_saves_steps_and_changes_nothing(whisper: Whisper, fox: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    n_steps = 0
    read = Decoder.__call__

    def counting(decoder: Decoder, tokens: torch.Tensor, *places: list[int]) -> torch.Tensor:
        nonlocal n_steps
        n_steps += tokens.shape[1] == 1
        return read(decoder, tokens, *places)

    monkeypatch.setattr(Decoder, "__call__", counting)
    alone = decoding.decode(whisper, fox, language="en", word_times=True)
    n_alone, right = n_steps, alone.segments[0].tokens
    half_right = (*right[:4], *right[:4])
    for draft, n_most in ((right, 0), (half_right, n_alone - 4), (right[::-1], n_alone), ((*right, *right * 60), n_alone)):
        n_steps = 0
        drafted = decoding.decode(whisper, fox, language="en", word_times=True, draft=draft)
        assert drafted.text == alone.text
        assert [word.end for word in drafted.words] == pytest.approx([word.end for word in alone.words], abs=0.1)
        assert n_steps <= n_most


def test_the_language_is_detected_on_the_way(whisper: Whisper) -> None:
    for language in ("it", "fr", "es"):
        clip = next((CLIPS / language).glob("pangrama.wav"))
        assert decoding.decode(whisper, load_audio(clip)).language == language


def test_threads_that_decode_at_once_give_what_they_give_alone(whisper: Whisper, fox: np.ndarray) -> None:
    from concurrent.futures import ThreadPoolExecutor

    clips = [fox, load_audio(CLIPS / "fr" / "pangrama.wav")] * 3
    alone = [decoding.decode(whisper, clip).text for clip in clips]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(lambda clip: decoding.decode(whisper, clip).text, clips)) == alone


def test_an_english_only_checkpoint_takes_neither_language_nor_task(small_english_whisper: str, fox: np.ndarray) -> None:
    whisper = load_whisper(small_english_whisper, Settings(device="cpu"))
    decoded = decoding.decode(whisper, fox, language="en", temperatures=(0.0,), max_new_tokens=8)
    assert decoded.language == "en", "its weights are random: what matters is that it decodes"


def test_a_decode_that_loops_is_stopped_and_tried_hotter(whisper: Whisper, fox: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[float] = []
    generate = decoding._generate

    def looping(*args: object) -> list[decoding._Attempt]:
        (attempt,) = generate(*args)  # type: ignore[arg-type]
        tried.append(attempt.temperature)
        return [replace(attempt, complete=False, repetitive=True) if attempt.temperature < 0.4 else attempt]

    monkeypatch.setattr(decoding, "_generate", looping)
    assert word_error_rate("The quick brown fox jumps over the lazy dog.", decoding.decode(whisper, fox, language="en").text) <= 0.3
    assert tried == [0.0, 0.0, 0.2, 0.4], "first with all 30 s, then hotter"


@pytest.mark.parametrize(
    ("task", "repetitive", "expected"),
    [
        ("transcribe", False, [0.0, *decoding.TEMPERATURES]),
        ("translate", False, [0.0, 0.0]),
        ("translate", True, [0.0, *decoding.TEMPERATURES]),
    ],
)
def test_what_is_unlikely_is_tried_hotter_unless_it_is_a_translation(
    whisper: Whisper, monkeypatch: pytest.MonkeyPatch, task: decoding.Task, repetitive: bool, expected: list[float]
) -> None:
    tried: list[float] = []
    generate = decoding._generate

    def unlikely(*args: object) -> list[decoding._Attempt]:
        (attempt,) = generate(*args)  # type: ignore[arg-type]
        tried.append(attempt.temperature)
        return [replace(attempt, logprobs=(-3.0,) * len(attempt.logprobs), repetitive=repetitive)]

    monkeypatch.setattr(decoding, "_generate", unlikely)
    assert decoding.decode(whisper, load_audio(CLIPS / "fr" / "pangrama.wav"), language="fr", task=task).text
    assert tried == expected


@pytest.mark.parametrize("n_beams", [1, 2])
@pytest.mark.parametrize(("head", "endless"), [([], True), ([500, 501], False)])
def test_what_is_nothing_but_a_loop_says_so(
    whisper: Whisper, fox: np.ndarray, monkeypatch: pytest.MonkeyPatch, n_beams: int, head: list[int], endless: bool
) -> None:
    def always_the_same(fast_whisper: decoding.FastWhisper, given: torch.Tensor, forced: object, tokens: list[list[int]], _: object):
        logits = torch.zeros(len(tokens), whisper.model.config.vocab_size)
        for row, before in enumerate(tokens):
            logits[row, [*head, 502][min(len(before), len(head))]] = 100.0
        return logits

    monkeypatch.setattr(decoding, "_allowed", always_the_same)
    decoded = decoding.decode(whisper, fox, language="en", temperatures=(0.0,), n_beams=n_beams)
    assert decoded.segments[0].tokens[: len(head) + 1] == (*head, 502)
    assert [segment.endless for segment in decoded.segments] == [endless]


@pytest.mark.parametrize(
    ("phrase", "pause", "times"), [("Hello.", 0.4, 8), ("We are ready.", 1.0, 5), ("I will not talk in class again.", 1.0, 8)]
)
def test_what_somebody_says_again_and_again_is_written_as_often(whisper: Whisper, phrase: str, pause: float, times: int) -> None:
    once = np.concatenate([spoken(phrase), np.zeros(round(pause * SAMPLING_RATE), np.float32)])
    text = decoding.decode(whisper, np.tile(once, times), language="en").text
    assert abs(text.count(phrase.rstrip(".")) - times) <= 1, text


@given(st.integers(0, 200_000), st.integers(0, 3))
def test_cuts_cover_everything_once_and_in_order(n: int, seed: int) -> None:
    waveform = np.random.default_rng(seed).normal(0, 0.1, n * 10).astype(np.float32)
    spans = decoding.cut(waveform)
    assert spans[0][0] == 0
    assert spans[-1][1] == len(waveform)
    assert all(before[1] == after[0] for before, after in itertools.pairwise(spans))
    assert all(end - start <= decoding.WINDOW_SECONDS * SAMPLING_RATE for start, end in spans)


def test_a_cut_falls_into_the_pause() -> None:
    waveform = np.random.default_rng(0).normal(0, 0.1, 40 * SAMPLING_RATE).astype(np.float32)
    waveform[17 * SAMPLING_RATE : 18 * SAMPLING_RATE] = 0
    ((_, first), *_) = decoding.cut(waveform)
    assert 17 <= first / SAMPLING_RATE <= 18


def test_alignment_follows_a_diagonal() -> None:
    cost = np.ones((5, 20))
    for row in range(5):
        cost[row, row * 4 : row * 4 + 4] = 0
    assert align(cost).tolist() == [0, 4, 8, 12, 16]


def test_turns_are_taken_in_the_order_of_coming() -> None:
    turns, order = Turns(1), []

    def take(name: str) -> None:
        with turns:
            order.append(name)

    with turns:
        visitors = []
        for name in "abc":
            visitors.append(threading.Thread(target=take, args=(name,)))
            visitors[-1].start()
            while len(turns._waiting) < len(visitors):
                time.sleep(0.001)
    with turns:  # whoever comes back at once is behind those who wait
        order.append("long file")
    for visitor in visitors:
        visitor.join()
    assert order == ["a", "b", "c", "long file"]


def test_a_search_is_likelier_than_greed_and_keeps_its_hypotheses_apart(whisper: Whisper) -> None:
    fast_whisper, options = fast(whisper), decoding.Options(task="translate", language="it", n_beams=5)
    with torch.inference_mode():
        heard = encode(fast_whisper, [load_audio(COUNTING)], decoding.PADDING_SECONDS)
        _, prompt = decoding._prompt(fast_whisper, "it", options)
        searched = decoding._search(fast_whisper, heard, prompt, 0, 100, options)
        (greedy,) = decoding._generate(fast_whisper, heard, prompt, 0, 100, 0.0, options)
        # What was said of each token while others were followed beside it, against the text by itself.
        decoder = Decoder.new(fast_whisper, heard, len(prompt) + len(searched.tokens))
        logits = [decoder(torch.tensor([prompt]), [len(prompt) - 1])]
        logits += [decoder(torch.tensor([[token]])).clone() for token in searched.tokens]
        logits = torch.cat(logits, 1)[0].index_fill(1, fast_whisper.suppressed, -torch.inf)
        logits[0, fast_whisper.suppressed_first] = -torch.inf
        logits[:, fast_whisper.tokens.no_timestamps :] = -torch.inf
        alone = logits.log_softmax(-1).gather(1, torch.tensor([[*searched.tokens, fast_whisper.tokens.end]]).T)[:, 0]
    assert searched.complete
    assert searched.avg_logprob >= greedy.avg_logprob - 0.02
    assert float((alone - torch.tensor(searched.logprobs)).abs().mean()) < 0.15, "int8 computes one row otherwise than five"


def test_a_search_is_the_one_of_transformers(whisper: Whisper, monkeypatch: pytest.MonkeyPatch) -> None:
    """In full precision and hearing all 30 s, as the course's pipeline computes: the same sentence, token for token."""
    monkeypatch.setattr(fast_whisper, "int8_is_faster", lambda: False)
    monkeypatch.setattr(fast_whisper, "int8_rows_are_faster", lambda: False)
    monkeypatch.setattr(fast_whisper, "fastest_dtype", lambda: torch.float32)
    exact = fast_whisper.prepare(whisper.model, whisper.tokenizer, whisper.feature_extractor.mel_filters)
    waveform, options = load_audio(CLIPS / "pt" / "pangrama.wav"), decoding.Options(task="translate", language="pt", n_beams=5)
    features = whisper.feature_extractor(waveform, sampling_rate=SAMPLING_RATE, return_tensors="pt").input_features
    expected = whisper.model.generate(features, task="translate", language="pt", num_beams=5, max_new_tokens=256)[0].tolist()
    with torch.inference_mode():
        heard = encode(exact, [waveform], None)
        _, prompt = decoding._prompt(exact, "pt", options)
        searched = decoding._search(exact, heard, prompt, 0, 256, options)
    assert list(searched.tokens) == [token for token in expected if token < exact.tokens.end]


@pytest.mark.parametrize(
    ("dtype", "is_int8", "most"), [(torch.float32, True, 0.05), (torch.bfloat16, False, 0.08), (torch.bfloat16, True, 0.08)]
)
def test_the_decoder_is_asked_nearly_the_same_in_every_precision(
    whisper: Whisper, monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, is_int8: bool, most: float
) -> None:
    """Whatever is fast here. With the first layer in int8, too, it would be 0.1; bfloat16 rounds these clean voices by 0.04 to 0.05."""
    can = torch.cpu.get_capabilities()
    if (is_int8 and not can.get("avx512_vnni")) or dtype not in (torch.float32, kernels.fastest_dtype()):
        pytest.skip("this processor computes it otherwise")
    clips = [QUICK_BROWN_FOX, BONJOUR, COUNTING, *(CLIPS / language / "pangrama.wav" for language in ("fr", "it", "pt"))]
    waveforms = [load_audio(clip) for clip in clips]  # of one it is half chance

    def heard(dtype: torch.dtype, is_int8: bool) -> list[fast_whisper.Heard]:
        monkeypatch.setattr(fast_whisper, "int8_is_faster", lambda: False)  # it rounds for itself
        monkeypatch.setattr(fast_whisper, "fastest_dtype", lambda: dtype)
        monkeypatch.setattr(fast_whisper, "int8_rows_are_faster", lambda: is_int8)
        form = fast_whisper.prepare(whisper.model, whisper.tokenizer, whisper.feature_extractor.mel_filters)
        assert form.encoder_is_int8 == is_int8
        return [encode(form, [waveform], 1.0) for waveform in waveforms]

    differences = []
    for computed, exact in zip(heard(dtype, is_int8), heard(torch.float32, False), strict=True):
        assert all(part.is_contiguous() for part in computed.in_floats())
        pairs = zip(computed.in_floats(), exact.in_floats(), strict=True)
        differences.append(max(float((part - expected).norm() / expected.norm()) for part, expected in pairs))
    assert np.mean(differences) < most
    assert max(differences) < 2 * most


def test_layers_in_parts_hear_what_whole_ones_hear(whisper: Whisper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_whisper, "_has_amx", lambda _: True)  # on every machine, and with a last part that is shorter
    heard = []
    for n_rows in (fast_whisper.WHOLE_ROWS, 100):
        monkeypatch.setattr(fast_whisper, "PART_ROWS", n_rows)
        heard.append(encode(fast(whisper), [load_audio(COUNTING)[: 5 * SAMPLING_RATE]], 1.0).in_floats())
    for parts, whole in zip(*reversed(heard), strict=True):
        assert float((parts - whole).norm() / whole.norm()) < 0.03


def test_windows_that_are_heard_together_are_heard_as_alone(whisper: Whisper) -> None:
    waveforms = [load_audio(COUNTING)[: 5 * SAMPLING_RATE], load_audio(CLIPS / "pt" / "pangrama.wav")[: 5 * SAMPLING_RATE]]
    with torch.inference_mode():
        together, alone = encode(fast(whisper), waveforms, 1.0), [encode(fast(whisper), [waveform], 1.0) for waveform in waveforms]
    for index, each in enumerate(alone):
        window = together.window(index)
        assert all(part.is_contiguous() for part in (*window.keys, *window.values))
        for computed, part in zip(window.in_floats(), each.in_floats(), strict=True):
            assert float((computed - part).norm() / part.norm()) < 0.03


def test_the_precise_form_shares_what_is_not_int8(whisper: Whisper) -> None:
    quick, precise = fast(whisper), fast(whisper, precise=True)
    assert precise is fast(whisper, precise=True)
    assert (precise.encoder_layers is quick.encoder_layers) != quick.encoder_is_int8
    assert (precise.decoder is quick.decoder) != isinstance(quick.decoder, Int8Decoder)
    assert "encoder int8" not in decoding.precision(whisper, "fast", precise=True)


def test_a_search_over_windows_gives_the_text_of_each(whisper: Whisper, paragraph: np.ndarray) -> None:
    assert word_error_rate(PARAGRAPH, decoding.decode(whisper, paragraph, language="en", n_beams=3).text) <= 0.05
