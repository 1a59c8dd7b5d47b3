"""Weights and a waveform -> text: the one path that every tab takes.

Knows: Whisper's windows, temperatures, token budgets, timestamps and alignment, and when nobody speaks.
Does not know: where audio or weights come from, how a layer is computed (fast_whisper.py), streams, the page.

What makes it fast, beside fast_whisper.py:

- the encoder hears the audio and about a second of silence, not 30 s; where the text then looks wrong it hears all 30;
- long audio is cut where it is quiet, and several windows go through the decoder together;
- what a stream's last decode had is read in one pass, as far as it still holds.

Sources: openai/whisper `decoding.py`, `transcribe.py` and `timing.py`, whose rules these are.
"""

from __future__ import annotations

import functools
import math
import time
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

import checkpoints
from alignment import align, median
from audio import SAMPLING_RATE
from checkpoints import Engine, Whisper
from cores import N_THREADS, Turns, counted, free_threads, is_shared, threads
from errors import RefusalError, Stopped
from fast_whisper import (
    HOP,
    N_SAMPLES_PER_POSITION,
    POSITIONS_STEP,
    WINDOW_SECONDS,
    Decoder,
    FastWhisper,
    Heard,
    Tokens,
    encode,
    fast,
    get_ready,
    set_step_threads,
    step_threads,
)
from int8_decoder import Int8Decoder
from repetition import COMPRESSION_RATIO, TOKENS_PER_SECOND, compression_ratio, is_endless, loop_period, made_up, moves_on, twice_period
from voice_activity import has_speech, stretches

Task = Literal["transcribe", "translate"]

POSITIONS_PER_SECOND = SAMPLING_RATE / N_SAMPLES_PER_POSITION  # 50.0; a timestamp token is one position, 20 ms

# Silence that follows the audio in a window. Whisper never saw a window end in the middle of speech.
PADDING_SECONDS = 0.75  # at least; on average half of a step of the encoder's more, which makes it a second or two
# A clip of a second or two is padded to this; and to more where its language is to be detected, because heard in less, more
# of them are taken for another.
SHORTEST_SECONDS = 6 * POSITIONS_STEP / POSITIONS_PER_SECOND  # 3.84
SHORTEST_TO_DETECT_SECONDS = 10.0
LANGUAGE_PROBABILITY = 0.6  # a language less sure than this is asked for again, with all 30 s
# Longer audio is cut where it is quietest between these, so that no word is cut and windows stay cheap: attention costs
# the square of a window's length.
CUT_SECONDS = (14.0, 22.0)
WINDOWS_AT_ONCE = 4
UNHEARD_SECONDS = 1.0  # a window's last timestamp is about this exact
LEFT_SECONDS = 3.0  # where its last tokens attend to is about this exact

# Alignment knows no pauses: a word that is longer than most may have one in it.
LONG_WORD_SECONDS = 0.8
BESIDE_SECONDS = 0.5  # of its sides that the detector hears, too
MARGIN_SECONDS = 0.1  # around speech, for soft consonants
WORD_SECONDS = 0.35  # with them; less of speech at a word's beginning is the end of the one before
SHORTEST_WORD_SECONDS = 0.04

MIN_TOKENS = 16  # a window may cost, beside TOKENS_PER_SECOND
MAX_TOKENS = 440  # of the decoder's 448 positions, some are the prompt's

# openai/whisper transcribe.py: a decode that repeats itself or that the model itself thinks unlikely is done again, hotter.
TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
LOG_PROBABILITY = -1.0
NO_SPEECH_PROBABILITY = 0.6

LOOP_EVERY = 4  # steps from look to look for a loop, as the rest of the budget would only be more of it
SLOW_STEP = 4  # times the fastest step so far: another process has come


_turns = Turns(N_THREADS)


@dataclass(frozen=True)
class Options:
    """How to decode. The defaults are a recording's; `prefix` and `context` are a stream's."""

    task: Task = "transcribe"  # "translate" is into English; an English-only checkpoint ignores it
    language: str | None = None  # "it" or "italian"; None detects it
    prefix: str | Sequence[int] = ()  # text or tokens already decided: decoding continues after them
    context: str | Sequence[int] = ()  # text or tokens that came before this audio
    timestamps: bool = False  # segments as Whisper times them; otherwise one segment per window
    draft: Sequence[int] = ()  # tokens that may well follow the prefix: as many as greedy decoding agrees with cost one pass
    word_times: bool = False  # align every word
    max_new_tokens: int | None = None  # per window, besides the limit that the audio's length sets
    temperatures: tuple[float, ...] = TEMPERATURES  # tried in this order until one is good enough; a single one is final
    precise: bool = False  # in the form that is nearest to the checkpoint's weights, not the fastest
    padding_seconds: float | None = PADDING_SECONDS  # silence after the audio, at least; None always hears 30 s
    n_beams: int = 1  # hypotheses that are followed at temperature 0; five translate better, and a step takes twice as long
    windows_at_once: int = WINDOWS_AT_ONCE  # through encoder and decoder together; 1 has the first text soonest
    stopped: Callable[[], bool] = lambda: False  # asked at every layer and step; once it says so, decoding raises `Stopped`
    engine: Engine = "fast"  # "pipeline" is the tutorial's own call: plain text; of these it takes task, language, limits and stopped

    def check(self) -> None:
        """Raises `Stopped` once nobody wants the text any more."""
        if self.stopped():
            raise Stopped


@dataclass(frozen=True)
class Word:
    """One word as it is written, with its leading space and punctuation."""

    text: str
    start: float  # seconds
    end: float
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class Segment:
    """Whisper's timed span."""

    start: float  # seconds
    end: float
    text: str
    tokens: tuple[int, ...]  # with timestamp tokens, where they were asked for
    avg_logprob: float  # of the decode that this segment is from
    repetitive: bool  # that decode was compressible beyond what people say, and not because somebody said it again
    endless: bool  # that decode was one phrase over and over, from its first token on


@dataclass(frozen=True)
class Decoded:
    """What was understood."""

    text: str  # "" where nobody speaks; does not repeat the prefix
    segments: tuple[Segment, ...] = ()
    language: str = "en"  # code
    end: float = 0.0  # seconds: up to where the audio was decoded
    words: tuple[Word, ...] = ()  # of the prefix too; empty unless word_times


@dataclass(frozen=True)
class _Attempt:
    """One window decoded at one temperature."""

    tokens: tuple[int, ...]  # new ones, without <|endoftext|>
    logprobs: tuple[float, ...]  # of each token, and of <|endoftext|> where it came
    temperature: float
    no_speech_prob: float
    repetitive: bool  # as in `Segment`
    complete: bool  # ended by itself: neither in a loop nor at the end of the budget
    endless: bool  # as in `Segment`
    asked: tuple[Tensor, ...]  # by the prompt's tokens and these, as `Decoder.asked` has it; more may follow

    @property
    def avg_logprob(self) -> float:
        return sum(self.logprobs) / max(1, len(self.logprobs))

    @property
    def silent(self) -> bool:
        return self.no_speech_prob > NO_SPEECH_PROBABILITY and self.avg_logprob < LOG_PROBABILITY

    def is_good(self, least_logprob: float = LOG_PROBABILITY) -> bool:
        likely = self.avg_logprob >= least_logprob and self.complete and not self.repetitive
        return likely or self.silent


def _places(fast_whisper: FastWhisper, heard: Heard, asked: Sequence[Tensor], first: int, n_tokens: int) -> np.ndarray:
    """Seconds in one window, (n_tokens,): where each token from `first` on is said, as the median of the alignment heads has it."""
    queries = slice(first - 1, first - 1 + n_tokens)  # a token's queries ask where the next one is
    scores = [asked[layer][head, queries] @ heard.key(layer, head).T for layer, head in fast_whisper.alignment_heads]
    return torch.stack(scores).argmax(-1).float().median(0).values.cpu().numpy() / POSITIONS_PER_SECOND


def _is_repetitive(fast_whisper: FastWhisper, tokens: Sequence[int], places: Callable[[], np.ndarray]) -> bool:
    """Whether a text is written over and over, and not because somebody says it again: its attention stays where it is."""
    return compression_ratio(_text(fast_whisper, tokens)) > COMPRESSION_RATIO and moves_on(places()).count(False) > 1


def _generate(
    fast_whisper: FastWhisper,
    heard: Heard,
    prompt: Sequence[int],
    n_forced: int,
    budget: int,
    temperature: float,
    options: Options,
) -> list[_Attempt]:
    """Decodes every window after the same prompt.

    Args:
        prompt: context, <|startoftranscript|> and what belongs to it, prefix.
        n_forced: how many of its last tokens are the prefix.
        budget: new tokens at most.
    """
    special, n_windows = fast_whisper.tokens, heard.keys[0].shape[0]
    generator = torch.Generator(fast_whisper.device).manual_seed(0)  # the same audio gives the same text
    # 1. The prompt, and the draft after it as if it were right (Leviathan et al. 2023, "speculative decoding").
    draft = options.draft if n_windows == 1 and temperature == 0 else ()
    budget, decoder, logits, no_speech = _read_prompt(fast_whisper, heard, prompt, budget, draft)
    tokens: list[list[int]] = [[] for _ in range(n_windows)]
    logprobs: list[list[float]] = [[] for _ in range(n_windows)]
    complete, endless, running = [False] * n_windows, [False] * n_windows, set(range(n_windows))
    forced = prompt[len(prompt) - n_forced :]

    def places(row: int) -> np.ndarray:
        return _places(fast_whisper, heard.window(row), decoder.asked(row), len(prompt), len(tokens[row]))

    # 2. One token after another until every window has ended.
    fastest = float("inf")
    for step in range(budget):
        options.check()
        allowed = _allowed(fast_whisper, logits[:, 0], forced, tokens, options)
        likely = allowed.log_softmax(-1)
        if temperature > 0:
            chosen = torch.multinomial((allowed / temperature).softmax(-1), 1, generator=generator)
            how_likely = likely.gather(1, chosen)
        else:
            chosen = _likeliest(likely)
            how_likely = likely.gather(1, chosen)
        for row, ((token,), (logprob,)) in enumerate(zip(chosen.tolist(), how_likely.tolist(), strict=True)):
            if row not in running:
                continue
            logprobs[row].append(logprob)
            if token == special.end:
                complete[row] = True
                running.discard(row)
                continue
            tokens[row].append(token)
            if step % LOOP_EVERY == 0 and loop_period(tokens[row]):
                n_made_up, is_over = made_up(tokens[row], places(row), heard.seconds[row])
                if n_made_up:
                    complete[row], endless[row] = is_over, not is_over and is_endless(tokens[row])
                    del tokens[row][-n_made_up:]
                    running.discard(row)
        if not running or step == budget - 1:
            break
        if logits.shape[1] > 1 and tokens[0][step] == draft[step]:
            logits = logits[:, 1:]
            continue
        decoder.n_tokens = len(prompt) + step
        began = time.perf_counter()
        logits = decoder(chosen)
        seconds = time.perf_counter() - began
        fastest = min(fastest, seconds)
        if seconds > SLOW_STEP * fastest or is_shared():
            set_step_threads(fast_whisper, 1)
    # 3. What the rules of fallback ask about each.
    return [
        _Attempt(
            tuple(tokens[row]),
            tuple(logprobs[row]),
            temperature,
            no_speech[row],
            _is_repetitive(fast_whisper, tokens[row], functools.partial(places, row)),
            complete[row],
            endless[row],
            decoder.asked(row),
        )
        for row in range(n_windows)
    ]


def _search(fast_whisper: FastWhisper, heard: Heard, prompt: Sequence[int], n_forced: int, budget: int, options: Options) -> _Attempt:
    """Decodes one window with several hypotheses at once: transformers' beam search, which is the course's.

    Args:
        heard: one window.
        prompt, n_forced, budget: as `_generate` takes them.
    """

    def by_token(hypothesis: Sequence[Any]) -> float:
        """How likely it is; by token, as short ones would win otherwise."""
        return sum(hypothesis[1]) / len(hypothesis[1])

    def places(tokens: Sequence[int], asked: Sequence[Tensor]) -> np.ndarray:
        return _places(fast_whisper, heard, asked, len(prompt), len(tokens))

    def loop(tokens: Sequence[int], asked: Sequence[Tensor]) -> tuple[int, bool]:
        return made_up(tokens, places(tokens, asked), heard.seconds[0]) if loop_period(tokens) else (0, False)

    n_beams, forced = options.n_beams, prompt[len(prompt) - n_forced :]
    budget, decoder, logits, no_speech = _read_prompt(fast_whisper, heard, prompt, budget)
    beams: list[tuple[list[int], list[float]]] = [([], [])]  # tokens and how likely each is, best first
    ended: list[tuple[list[int], list[float], tuple[Tensor, ...]]] = []  # and what they asked
    for step in range(budget):
        options.check()
        # 1. How likely each next token is after each hypothesis.
        allowed = _allowed(fast_whisper, logits[:, -1], forced, [tokens for tokens, _ in beams], options)
        likely, chosen = allowed.log_softmax(-1).topk(n_beams + 1)
        # 2. The best of all continuations go on. Those that end are set aside if they are among the best themselves.
        following = [
            (sum(logprobs) + logprob, row, token, logprob)
            for row, (_, logprobs) in enumerate(beams)
            for token, logprob in zip(chosen[row].tolist(), likely[row].tolist(), strict=True)
        ]
        parents, before, beams = [], beams, []
        for rank, (_, row, token, logprob) in enumerate(sorted(following, reverse=True)):
            tokens, logprobs = before[row]
            if token != fast_whisper.tokens.end:
                parents.append(row)
                beams.append(([*tokens, token], [*logprobs, logprob]))
            elif rank < n_beams:
                ended.append((tokens, [*logprobs, logprob], tuple(queries.clone() for queries in decoder.asked(row))))
            if len(beams) == n_beams:
                break
        # 3. It is over once none that goes on is likelier than what has ended.
        ended = sorted(ended, key=by_token, reverse=True)[:n_beams]
        if not beams or (len(ended) == n_beams and by_token(beams[0]) <= by_token(ended[-1])):
            break
        if step == budget - 1:
            break
        if step % LOOP_EVERY == 0 and loop(beams[0][0], decoder.asked(parents[0]))[0]:
            break
        decoder.branch(parents)
        logits = decoder(torch.tensor([[tokens[-1]] for tokens, _ in beams], device=fast_whisper.device))
    tokens, logprobs, asked = max(ended, key=by_token) if ended else (*beams[0], decoder.asked(parents[0]))
    n_made_up, is_over = loop(tokens, asked)
    endless = n_made_up > 0 and not is_over and is_endless(tokens)
    tokens = tokens[: len(tokens) - n_made_up]
    repetitive = _is_repetitive(fast_whisper, tokens, functools.partial(places, tokens, asked))
    complete = is_over or (bool(ended) and not n_made_up)
    return _Attempt(tuple(tokens), tuple(logprobs), 0.0, no_speech[0], repetitive, complete, endless, asked)


def _read_prompt(
    fast_whisper: FastWhisper, heard: Heard, prompt: Sequence[int], budget: int, draft: Sequence[int] = ()
) -> tuple[int, Decoder, Tensor, list[float]]:
    """Every window's decoder after the prompt and as much of the draft as there is room for, in one pass.

    Returns:
        (new tokens that there is room for, the decoder, the logits from the prompt's last token on, how likely it is that nobody
        speaks in each window, as the model says right after <|startoftranscript|>).
    """
    budget = max(1, min(budget, fast_whisper.n_positions - len(prompt)))
    decoder = Decoder.new(fast_whisper, heard, len(prompt) + budget)
    tokens = [*prompt, *draft[: budget - 1]]
    # In one product for each window, which reads the whole vocabulary however many logits there are.
    wanted = [list(prompt).index(fast_whisper.tokens.start), *range(len(prompt) - 1, len(tokens))]
    logits = decoder(torch.tensor([tokens] * len(heard.keys[0]), device=fast_whisper.device), wanted)
    no_speech = logits[:, 0].softmax(-1)[:, fast_whisper.tokens.no_speech]
    return budget, decoder, logits[:, 1:], no_speech.tolist()


def _allowed(fast_whisper: FastWhisper, logits: Tensor, forced: Sequence[int], tokens: Sequence[Sequence[int]], options: Options) -> Tensor:
    """The logits, (n_rows, n_vocabulary), of the token after each row's `tokens`: float32, made -inf where it may not be that one."""
    logits.index_fill_(1, fast_whisper.suppressed if options.timestamps else fast_whisper.suppressed_untimed, -torch.inf)
    if not forced and not any(tokens):
        logits.index_fill_(1, fast_whisper.suppressed_first, -torch.inf)
    if options.timestamps:
        for row, before in enumerate(tokens):
            _apply_timestamp_rules(logits[row], [*forced, *before], fast_whisper.tokens)
    return logits


def _apply_timestamp_rules(logits: Tensor, tokens: Sequence[int], special: Tokens) -> None:
    """openai/whisper's ApplyTimestampRules for one window's logits, (n_vocabulary,), in place."""
    first = special.first_timestamp
    logits[special.no_timestamps] = -torch.inf
    if not tokens:  # a window begins with a timestamp, and soon
        logits[:first] = -torch.inf
        logits[special.max_initial_timestamp + 1 :] = -torch.inf
        return
    # 1. Timestamps come in pairs, except before the end.
    last = tokens[-1] >= first
    last_but_one = len(tokens) < 2 or tokens[-2] >= first
    if last and last_but_one:
        logits[first:] = -torch.inf
    elif last:
        logits[: special.end] = -torch.inf
    # 2. They never go back, and a segment takes time.
    times = [token for token in tokens if token >= first]
    if times:
        logits[first : times[-1] + (0 if last and not last_but_one else 1)] = -torch.inf
    # 3. All timestamps together against the best word.
    if logits[first:].logsumexp(0) > logits[:first].max():
        logits[:first] = -torch.inf


def _likeliest(likely: Tensor) -> Tensor:
    """int64, (n_rows, 1). On a CPU NumPy finds it in a tenth of torch's time (scratch run)."""
    if likely.device.type != "cpu":
        return likely.argmax(-1, keepdim=True)
    return torch.from_numpy(likely.numpy().argmax(-1, keepdims=True))


def _text(fast_whisper: FastWhisper, tokens: Sequence[int]) -> str:
    end = fast_whisper.tokens.end
    return str(fast_whisper.tokenizer.decode([token for token in tokens if token < end], clean_up_tokenization_spaces=False))


# --- window -> text -----------------------------------------------------------------------------------------------


def decode(whisper: Whisper, waveform: np.ndarray, options: Options | None = None, **changes: Any) -> Decoded:
    """Text of a waveform of any length.

    Args:
        whisper: a loaded checkpoint.
        waveform: float32, (n_samples,), 16 kHz.
        options: how; its fields may also be given by name: `decode(whisper, waveform, language="it")`.

    Raises:
        RefusalError: the language is none that the checkpoint knows.
    """
    return joined(decode_windows(whisper, waveform, options, **changes))


def joined(windows: Iterable[Decoded]) -> Decoded:
    """What `decode_windows` gives one by one, as one."""
    windows = list(windows)
    return Decoded(
        text="".join(window.text for window in windows).strip(),
        segments=tuple(segment for window in windows for segment in window.segments),
        language=windows[-1].language,
        end=windows[-1].end,
        words=tuple(word for window in windows for word in window.words),
    )


def decode_windows(whisper: Whisper, waveform: np.ndarray, options: Options | None = None, **changes: Any) -> Iterator[Decoded]:
    """`decode`, handing out the windows as they are done: one for each span of `cut(waveform)`, with times in the whole.

    A waveform without speech, and engine "pipeline", give a single one.

    Raises:
        RefusalError: as `decode`.
        Stopped: `options.stopped` said so.
    """
    options = replace(options or Options(), **changes)
    if options.engine == "fast":
        get_ready(fast(whisper, options.precise))  # before anybody speaks: a stream often begins with silence
    # Silence, noise and music are never worth a guess.
    if not has_speech(waveform):
        yield Decoded("", end=len(waveform) / SAMPLING_RATE)
        return
    if options.engine == "pipeline":
        yield _plain(whisper, waveform, options)
        return
    fast_whisper = fast(whisper, options.precise)
    languages = fast_whisper.tokens.languages  # none where the checkpoint is English-only
    language = language_code(languages, whisper.source.found, options.language) if languages else "en"
    spans = cut(waveform)
    if len(spans) > 1:  # without timestamps Whisper falls silent after one speaker's pause in a long window
        options = replace(options, timestamps=True)
    # Windows of similar length go together; short ones alone, because their silence would cost more than it saves.
    for start in range(0, len(spans), options.windows_at_once):
        together = spans[start : start + options.windows_at_once]
        spoken = [span for span in together if len(spans) == 1 or has_speech(waveform[slice(*span)])]
        options = replace(options, language=language)
        outcomes = dict(zip(spoken, _in_turn(fast_whisper, waveform, spoken, options) if spoken else [], strict=True))
        for span in together:
            if span not in outcomes:
                yield Decoded("", language=language or "en", end=span[1] / SAMPLING_RATE)
                continue
            parts, heard = [outcomes[span]], span
            while len(options.temperatures) > 1 and (rest := _unheard(waveform, heard, parts[-1])):
                heard = rest
                parts += _in_turn(fast_whisper, waveform, [rest], replace(options, language=parts[0].language, prefix=(), draft=()))
            language = parts[-1].language
            yield replace(joined(parts), text="".join(part.text for part in parts), end=span[1] / SAMPLING_RATE)
        options = replace(options, prefix=(), draft=())


def _in_turn(fast_whisper: FastWhisper, waveform: np.ndarray, spans: Sequence[tuple[int, int]], options: Options) -> list[Decoded]:
    # Only while it decodes, as inference mode is the thread's, and whoever draws the next window may do so in another one.
    with _turns, torch.inference_mode(), counted():
        return _decode_windows(fast_whisper, waveform, spans, options)


def _unheard(waveform: np.ndarray, span: tuple[int, int], outcome: Decoded) -> tuple[int, int] | None:
    """What the decoder left of a window after its last words, as it does after a long pause, if anybody speaks in it."""
    if span[1] / SAMPLING_RATE - outcome.end <= UNHEARD_SECONDS:
        return None
    first = max(span[0] / SAMPLING_RATE, outcome.end - BESIDE_SECONDS)
    speech = [(first + begin, first + end) for begin, end in stretches(waveform[round(first * SAMPLING_RATE) : span[1]])]
    left = [(max(begin - MARGIN_SECONDS, outcome.end), end) for begin, end in speech if end > outcome.end + MARGIN_SECONDS]
    if sum(end - begin for begin, end in left) <= UNHEARD_SECONDS:
        return None
    start = round(left[0][0] * SAMPLING_RATE)
    return (start, span[1]) if start - span[0] > UNHEARD_SECONDS * SAMPLING_RATE else None  # else it would be heard for ever


def cut(waveform: np.ndarray) -> list[tuple[int, int]]:
    """Where to cut long audio, as (start, end) samples: nowhere up to 30 s, else where it is quietest now and then."""
    shortest, longest = (int(seconds * SAMPLING_RATE) for seconds in CUT_SECONDS)
    spans, start = [], 0
    if len(waveform) > WINDOW_SECONDS * SAMPLING_RATE:
        # Energy of every 10 ms, smoothed over 300: the gap between two words, not a consonant's closure.
        frames = waveform[: len(waveform) // HOP * HOP].reshape(-1, HOP)
        energy = np.convolve(np.square(frames).mean(1), np.ones(30), "same")
        while len(waveform) - start > longest:
            quietest = np.argmin(energy[(start + shortest) // HOP : (start + longest) // HOP])
            end = start + shortest + int(quietest) * HOP
            spans.append((start, end))
            start = end
    return [*spans, (start, len(waveform))]


def language_code(known: Collection[str], checkpoint: str, language: str | None) -> str | None:
    """ "italian", "Italian" or "it" -> "it"; None, which is to be detected, stays None.

    Raises:
        RefusalError: it is not among the languages that the checkpoint knows.
    """
    if language is None:
        return None
    code = checkpoints.language_code(language)
    if code not in known:
        raise RefusalError(f"{checkpoint} does not know {language}. Choose another language, or let it be detected.")
    return code


def _decode_windows(fast_whisper: FastWhisper, waveform: np.ndarray, spans: Sequence[tuple[int, int]], options: Options) -> list[Decoded]:
    """Windows that go through encoder and decoder together."""
    waveforms = [waveform[start:end] for start, end in spans]
    seconds = max(map(len, waveforms)) / SAMPLING_RATE
    # 1. Hear.
    n_threads = free_threads()
    with threads(n_threads):
        padding = options.padding_seconds
        if padding is not None:
            padding = max(padding, (SHORTEST_TO_DETECT_SECONDS if options.language is None else SHORTEST_SECONDS) - seconds)
        heard = encode(fast_whisper, waveforms, padding, options.check)
    with step_threads(fast_whisper, n_threads):
        # 2. Ask.
        language = options.language
        if language is None:
            language, probability = _detect_language(fast_whisper, heard.window(0))
            if probability < LANGUAGE_PROBABILITY and padding is not None:
                language, _ = _detect_language(fast_whisper, _hear_all(fast_whisper, waveforms[0], options))
        prefix, prompt = _prompt(fast_whisper, language, options)
        budget = min(MIN_TOKENS + round(TOKENS_PER_SECOND * seconds), options.max_new_tokens or fast_whisper.n_positions)

        def generate(heard: Heard, temperature: float) -> list[_Attempt]:
            if options.n_beams > 1 and temperature == 0:
                windows = [heard.window(index) for index in range(len(heard.keys[0]))]
                return [_search(fast_whisper, window, prompt, len(prefix), budget, options) for window in windows]
            return _generate(fast_whisper, heard, prompt, len(prefix), budget, temperature, options)

        def places_of(own: Heard, attempt: _Attempt) -> np.ndarray:
            return _places(fast_whisper, own, attempt.asked, len(prompt) - len(prefix), len(prefix) + len(attempt.tokens))

        outcomes = []
        for index, attempt in enumerate(generate(heard, options.temperatures[0])):
            # 3. Ask again where the answer looks wrong: first with all 30 s, then hotter.
            own = heard.window(index)
            places = places_of(own, attempt)
            if len(options.temperatures) > 1:
                doubtful = not attempt.is_good()
                if not doubtful and options.padding_seconds is not None:
                    # Between a phrase and the same once more is a comma, and behind that a full stop.
                    said = (*prefix, *attempt.tokens)
                    spoken = [index for index, token in enumerate(said) if _is_spoken(fast_whisper, token)]
                    doubtful = not options.timestamps and _stops_early(places, waveforms[index])
                    doubtful = doubtful or _says_twice([said[index] for index in spoken], places[spoken])
                if doubtful:
                    own, attempt = _ask_again(fast_whisper, waveforms[index], own, attempt, generate, options)
                    places = places_of(own, attempt)
            # 4. Time.
            start = spans[index][0] / SAMPLING_RATE
            segments = () if attempt.silent else _segments(fast_whisper, attempt, start, len(waveforms[index]) / SAMPLING_RATE)
            words: tuple[Word, ...] = ()
            if options.word_times and not attempt.silent:
                aligned = _words(fast_whisper, own, prompt, prefix, attempt, start, len(waveforms[index]), language)
                words = tuple(_without_pauses(word, waveforms[index], start) for word in aligned)
            end = start + len(waveforms[index]) / SAMPLING_RATE
            is_text = [token < fast_whisper.tokens.end for token in (*prefix, *attempt.tokens)]
            if segments and any(is_text):
                end = _heard_until(start + float(places[is_text][-2:].max()), segments[-1].end, end, options)
            outcomes.append(Decoded("".join(segment.text for segment in segments), segments, language, end, words))
    return outcomes


def _heard_until(place: float, timestamp: float, end: float, options: Options) -> float:
    """Up to where a window is in its text: a timestamp may be early; without one there is only where attention was last."""
    if options.timestamps:
        return max(timestamp, place) if place - timestamp <= LEFT_SECONDS else timestamp
    return place + UNHEARD_SECONDS if end - place > LEFT_SECONDS else end


def _is_spoken(fast_whisper: FastWhisper, token: int) -> bool:
    """Whether a token is neither special nor punctuation."""
    text = _text(fast_whisper, [token]).strip()
    return bool(text) and not all(unicodedata.category(character).startswith("P") for character in text)


def _says_twice(tokens: Sequence[int], places: np.ndarray) -> bool:
    """Whether a text ends in a phrase that is written twice and said once."""
    period = twice_period(tokens)
    return period > 0 and not all(moves_on(places[-2 * period :], period))


def _stops_early(places: np.ndarray, waveform: np.ndarray) -> bool:
    """Whether somebody goes on speaking after a text's last tokens, as Whisper overhears when a word is said again and again."""
    if not len(places):
        return False
    end = round((float(np.median(places[-4:])) + LEFT_SECONDS) * SAMPLING_RATE)
    return end < len(waveform) and has_speech(waveform[end:])


def _ask_again(
    fast_whisper: FastWhisper,
    waveform: np.ndarray,
    heard: Heard,
    attempt: _Attempt,
    generate: Callable[[Heard, float], list[_Attempt]],
    options: Options,
) -> tuple[Heard, _Attempt]:
    """A better attempt than one that is not good, and what it heard; the best there was where none is good."""
    attempts, temperatures = [(heard, attempt)], options.temperatures[1:]
    if options.padding_seconds is not None:
        heard, temperatures = _hear_all(fast_whisper, waveform, options), options.temperatures
    # A translation is less likely than a transcription by its nature: that alone is no reason for heat, which seldom finds a better one.
    enough = -math.inf if options.task == "translate" else LOG_PROBABILITY
    for temperature in temperatures:
        if temperature > 0 and attempts[-1][1].is_good(enough):
            break
        (attempt,) = generate(heard, temperature)
        attempts.append((heard, attempt))
        if attempt.is_good():
            return attempts[-1]
    return max(attempts, key=lambda tried: (tried[1].complete, not tried[1].repetitive, tried[1].avg_logprob))


def _hear_all(fast_whisper: FastWhisper, waveform: np.ndarray, options: Options) -> Heard:
    """A window with all of Whisper's 30 s, between two steps."""
    n_threads = free_threads()
    with threads(n_threads):
        heard = encode(fast_whisper, [waveform], None, options.check)
    set_step_threads(fast_whisper, n_threads)
    return heard


def _detect_language(fast_whisper: FastWhisper, heard: Heard) -> tuple[str, float]:
    """The likeliest language token after <|startoftranscript|>, and how likely it is among the languages."""
    special = fast_whisper.tokens
    logits = Decoder.new(fast_whisper, heard, 1)(torch.tensor([[special.start]], device=fast_whisper.device))[0, 0]
    probabilities = logits[list(special.languages.values())].softmax(0)
    best = int(probabilities.argmax())
    return list(special.languages)[best], float(probabilities[best])


def _prompt(fast_whisper: FastWhisper, language: str, options: Options) -> tuple[list[int], list[int]]:
    """The prefix's tokens, and the whole prompt that ends in them."""
    special = fast_whisper.tokens
    context, prefix = (_token_list(fast_whisper, given) for given in (options.context, options.prefix))
    start = [special.start]
    if special.languages:
        start += [special.languages[language], special.tasks[options.task]]
    if not options.timestamps:
        start.append(special.no_timestamps)
    # As in openai/whisper, context takes at most half of the positions, less one for <|startofprev|>.
    context = [special.previous, *context[-(fast_whisper.n_positions // 2 - 1) :]] if context else []
    return prefix, [*context, *start, *prefix]


def _token_list(fast_whisper: FastWhisper, given: str | Sequence[int]) -> list[int]:
    if isinstance(given, str):
        text = given.strip()
        return fast_whisper.tokenizer.encode(" " + text, add_special_tokens=False) if text else []
    return list(given)


def _segments(fast_whisper: FastWhisper, attempt: _Attempt, start: float, seconds: float) -> tuple[Segment, ...]:
    """A window's tokens, cut after each pair of timestamps; one segment where there are none."""
    first = fast_whisper.tokens.first_timestamp

    def segment(tokens: Sequence[int]) -> Segment:
        times = [(token - first) / POSITIONS_PER_SECOND for token in tokens if token >= first]
        begin, end = (times[0], times[-1]) if len(times) > 1 else (times[0] if times else 0.0, seconds)
        return Segment(
            round(start + min(begin, seconds), 2),
            round(start + min(end, seconds), 2),
            _text(fast_whisper, tokens),
            tuple(tokens),
            attempt.avg_logprob,
            attempt.repetitive,
            attempt.endless,
        )

    tokens, begin, segments = attempt.tokens, 0, []
    for index in range(1, len(tokens)):
        if tokens[index - 1] >= first and tokens[index] >= first:
            segments.append(segment(tokens[begin:index]))
            begin = index
    segments.append(segment(tokens[begin:]))
    return tuple(s for s in segments if s.text.strip())


# --- words --------------------------------------------------------------------------------------------------------


def _words(
    fast_whisper: FastWhisper,
    heard: Heard,
    prompt: Sequence[int],
    prefix: Sequence[int],
    attempt: _Attempt,
    start: float,
    n_samples: int,
    language: str,
) -> tuple[Word, ...]:
    """When each word of prefix and text is said, after openai/whisper timing.py, but from the decode's own attention."""
    from transformers.models.whisper.tokenization_whisper import LANGUAGES, _combine_tokens_into_words

    special, first = fast_whisper.tokens, len(prompt) - len(prefix)
    read = [*prompt, *attempt.tokens]
    places = [index for index in range(first, len(read)) if read[index] < special.end]
    if not places:
        return ()
    # 1. Where the alignment heads attended. A token's queries ask where the next one is, those after the last where it ends.
    begin = list(prompt).index(special.start)
    n_positions = max(1, min(heard.values[0].shape[2], round(n_samples / N_SAMPLES_PER_POSITION)))
    scores = torch.stack(
        [
            attempt.asked[layer][head, begin : len(read)] @ heard.key(layer, head)[:n_positions].T
            for layer, head in fast_whisper.alignment_heads
        ]
    )
    # 2. The path through it.
    weights = scores.float().softmax(-1)
    deviation, mean = torch.std_mean(weights, dim=1, keepdim=True, unbiased=False)
    asking = [place - 1 - begin for place in (*places, places[-1] + 1) if place - 1 - begin < weights.shape[1]]
    matrix = median(((weights - mean) / deviation.clamp_min(1e-8))[:, asking]).mean(0)
    starts = [*align(-matrix.cpu().numpy()), n_positions]  # the last is only used where the budget ended before the text
    starts = [float(position) / POSITIONS_PER_SECOND for position in starts]
    spoken = [read[place] for place in places]
    # 3. Tokens into words. The prefix by itself: what is decoded after it may add to its last word, but is no part of it.
    n_prefix, words = sum(token < special.end for token in prefix), []
    for offset, part in ((0, spoken[:n_prefix]), (n_prefix, spoken[n_prefix:])):
        if not part:
            continue
        texts, token_lists, indices = _combine_tokens_into_words(fast_whisper.tokenizer, part, LANGUAGES.get(language))
        for text, token_list, index in zip(texts, token_lists, indices, strict=True):
            at, until = starts[offset + index[0]], starts[offset + index[-1] + 1]
            words.append(Word(text, round(start + at, 2), round(start + until, 2), tuple(token_list)))
    return tuple(words)


def _without_pauses(word: Word, waveform: np.ndarray, start: float) -> Word:
    """The same word, and where it is a long one, only where somebody speaks.

    The path through the attention has to be somewhere in a pause, too: it stays with the word before it, or waits at the next.

    Args:
        start: seconds, of the waveform.
    """
    if word.end - word.start <= LONG_WORD_SECONDS:
        return word
    earliest = max(start, word.start - BESIDE_SECONDS)
    around = waveform[round((earliest - start) * SAMPLING_RATE) : round((word.end + BESIDE_SECONDS - start) * SAMPLING_RATE)]
    speech = [(earliest + begin - MARGIN_SECONDS, earliest + end + MARGIN_SECONDS) for begin, end in stretches(around)]
    speech = [(max(word.start, begin), end) for begin, end in speech if begin < word.end and end > word.start]
    if not speech:
        return word
    begin, end = next(((begin, end) for begin, end in speech if min(end, word.end) - begin >= WORD_SECONDS), speech[-1])
    # A number is said with pauses in it; only what goes on behind its end may be the next word's.
    end = max(end, *(end for _, end in speech if end <= word.end + MARGIN_SECONDS), 0.0)
    begin, end = round(begin, 2), round(min(end, word.end), 2)
    return replace(word, start=begin, end=end) if end - begin >= SHORTEST_WORD_SECONDS else word


def precision(whisper: Whisper, engine: Engine, precise: bool = False) -> str:
    """On what and in what a loaded checkpoint computes: "cpu, encoder float32, decoder int8"."""
    device = whisper.model.device.type
    if engine == "pipeline":
        return f"{device}, {str(whisper.model.dtype).removeprefix('torch.')}"
    fast_whisper = fast(whisper)  # the precise form is not made to be told of
    encoder, decoder = (str(dtype).removeprefix("torch.") for dtype in (fast_whisper.encoder_dtype, fast_whisper.decoder_dtype))
    encoder = "int8" if fast_whisper.encoder_is_int8 and not precise else encoder
    decoder = "int8" if isinstance(fast_whisper.decoder, Int8Decoder) else decoder
    return f"{device}, encoder {encoder}, decoder {decoder}"


# --- the plain path -----------------------------------------------------------------------------------------------


def _plain(whisper: Whisper, waveform: np.ndarray, options: Options) -> Decoded:
    """The tutorial's pipeline, with timestamps where it needs them to step from window to window."""

    def asked(input_ids: Tensor, *_: object) -> Tensor:
        options.check()
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)

    seconds = len(waveform) / SAMPLING_RATE
    budget = min(MAX_TOKENS, MIN_TOKENS + round(TOKENS_PER_SECOND * min(seconds, WINDOW_SECONDS)))
    generate_kwargs: dict[str, Any] = {
        "max_new_tokens": min(budget, options.max_new_tokens or budget),
        "num_beams": 1,
        "temperature": options.temperatures,
        "compression_ratio_threshold": COMPRESSION_RATIO,
        "logprob_threshold": LOG_PROBABILITY,
        "no_speech_threshold": NO_SPEECH_PROBABILITY,
        "condition_on_prev_tokens": False,  # one bad window would spoil those after it
        "stopping_criteria": [asked],
    }
    language: str | None = "en"
    with _turns, torch.inference_mode():
        if whisper.is_multilingual:  # an English-only checkpoint refuses both
            known = {token.strip("<|>"): index for token, index in whisper.model.generation_config.lang_to_id.items()}
            language = language_code(known, whisper.source.found, options.language)
            if language is None:  # as the pipeline would, which does not tell what it found
                features = whisper.feature_extractor(waveform, sampling_rate=SAMPLING_RATE, return_tensors="pt").input_features
                detected = whisper.model.detect_language(features.to(whisper.model.device, whisper.model.dtype))
                language = next(code for code, index in known.items() if index == int(detected))
            generate_kwargs |= {"task": options.task, "language": language}
        result = _pipeline(whisper)(
            {"raw": waveform, "sampling_rate": SAMPLING_RATE},
            return_timestamps=seconds > WINDOW_SECONDS,
            generate_kwargs=generate_kwargs,
        )
    return Decoded(result["text"].strip(), language=language or "en", end=seconds)


def _pipeline(whisper: Whisper) -> Any:
    """`pipeline("automatic-speech-recognition", ...)` as in Gradio's tutorial, around weights already loaded."""
    from transformers import logging, pipeline

    logging.set_verbosity_error()  # it warns of its own internals at every call
    return pipeline(
        "automatic-speech-recognition",
        model=whisper.model,
        tokenizer=whisper.tokenizer,
        feature_extractor=whisper.feature_extractor,
        device=whisper.model.device,
    )
