"""Live captions: a stream that hears every word and never slows down.

Source: the last paragraph of Gradio's "Real Time Speech Recognition" ("re-processing only the last 5 seconds"), made with
a bounded window, committed words as the decoder's forced prefix (Macháček et al. 2023, "Turning Whisper into Real-Time
Transcription System") and the alignment heads' word times as the guard at the end of the audio (Papi et al. 2023, "AlignAtt").
Knows: what of a recording is decoded again, which words are committed, subtitles. Does not know: the page, other visitors.

A word is committed once two decodes in a row agree on it and it ended `GUARD_SECONDS` before the end of the audio, once
`SETTLED_SECONDS` have been heard after it, or once a pause follows it. Committed words never change. What lies before the
window is not needed any more: its audio may be forgotten, and an hour costs per second what a minute does.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from audio import SAMPLING_RATE
from checkpoints import Settings, load_whisper
from decoding import LOG_PROBABILITY, Decoded, Options, Task, Word, decode
from repetition import twice_period
from sentences import ends_sentence
from voice_activity import FRAME, spoken

UPDATE_SECONDS = 1.0  # new audio that is worth a decode
WINDOW_SECONDS = 12.0  # audio that is decoded again at most
LONGEST_SECONDS = 16.0  # audio that one decode hears at most: the window, and what came meanwhile
KEPT_SECONDS = 4.0  # of it stay when the window is cut: committed words that the next decode continues after
GUARD_SECONDS = 0.6  # before the end of the audio, where a word may be cut
SETTLED_SECONDS = 2.0  # before the end of the audio, where more of it seldom changes a word
PAUSE_SECONDS = 0.6  # silence that ends an utterance: everything before it is committed
MARGIN_SECONDS = 0.3  # around speech: what the detector hears late, and the end of a last consonant
FORGET_SECONDS = 2.0  # of silence, after which the next words begin a new window
PRE_ROLL_SECONDS = 1.0  # kept while nobody speaks, so that a first word is whole
WARM_UP_SECONDS = 0.5  # audio that the detector hears again to know where it is
CONTEXT_TOKENS = 40  # committed text before the window that the decoder is told
LANGUAGE_SECONDS = 4.0  # of an utterance after which its detected language is kept
SURE_SECONDS = 1.0  # of sound that the detector took for speech: what is heard in less must be likely
CROWDED_SECONDS = 0.1  # two words take longer
WORDS_PER_SECOND = 10.0  # nobody speaks faster: more than that in what the detector took for speech was made up


@dataclass(frozen=True, eq=False)
class Captions:
    """What was said so far. All positions are samples at 16 kHz since the recording began."""

    task: Task = "transcribe"
    language: str | None = None  # chosen, or kept once it was heard for long enough; None is still being detected
    heard_language: str | None = None  # code of the last decode's
    words: tuple[Word, ...] = ()  # committed; times in seconds since the recording began
    n_words_in_window: int = 0  # how many of the last of them are in the window: the forced prefix
    n_untold: int = 0  # how many of the first of them the decoder is not told any more: they led it into a loop
    hypothesis: tuple[Word, ...] = ()  # what followed them in the last decode; may change
    window_start: int = 0
    n_heard: int = 0  # where the last update ended
    speech_end: int = 0  # where somebody last spoke
    n_committed: int = 0  # up to where everything is committed
    n_speech: int = 0  # samples of speech in the window

    @property
    def committed(self) -> str:
        return "".join(word.text for word in self.words).strip()

    @property
    def partial(self) -> str:
        return "".join(word.text for word in self.hypothesis)

    @property
    def hears_speech(self) -> bool:
        return self.speech_end > self.window_start

    @property
    def step_end(self) -> int:
        """Up to where the next decode hears at most: more may have come while the weights were loaded, or others spoke."""
        return max(self.n_heard + _samples(UPDATE_SECONDS), self.window_start + _samples(LONGEST_SECONDS))


def update(captions: Captions, waveform: np.ndarray, settings: Settings = Settings(), final: bool = False) -> Captions:
    """Decodes what is not committed yet.

    Args:
        waveform: float32, (n_samples,), 16 kHz: the recording from `captions.window_start` to its newest sample.
        final: the recording is over: every word is committed.

    Raises:
        CheckpointError: the weights cannot be had.
        RefusalError: the chosen language is none that the checkpoint knows.
    """
    end = captions.window_start + len(waveform)
    while end > captions.step_end:
        start = captions.window_start
        captions = _step(captions, waveform[: captions.step_end - start], settings)
        waveform = waveform[captions.window_start - start :]
    return _step(captions, waveform, settings, final)


def _step(captions: Captions, waveform: np.ndarray, settings: Settings, final: bool = False) -> Captions:
    captions = _listen(captions, waveform)
    silence = captions.n_heard - captions.speech_end
    # 1. Nobody has spoken since the last commit: only the last moment is kept, or nothing has changed.
    if captions.speech_end <= max(captions.window_start, captions.n_committed):
        if final or silence > _samples(FORGET_SECONDS):
            start = captions.n_heard if final else max(captions.window_start, captions.n_heard - _samples(PRE_ROLL_SECONDS))
            return replace(captions, window_start=start, n_words_in_window=0, hypothesis=(), n_speech=0)
        return captions
    # 2. An utterance is over: all of it is committed.
    if final or silence >= _samples(PAUSE_SECONDS):
        end = min(captions.n_heard, captions.speech_end + _samples(MARGIN_SECONDS))
        captions, decoded = _decode(captions, waveform[: end - captions.window_start], settings)
        captions = replace(_commit_all(captions, decoded), n_committed=end, hypothesis=())
    # 3. Somebody is speaking: what is certain is committed.
    else:
        captions, decoded = _decode(captions, waveform, settings, temperatures=(0.0,))
        captions = _commit_certain(captions, decoded.words) if _is_likely(decoded) else captions
    # 4. The window stays bounded.
    if final:
        return replace(captions, window_start=captions.n_heard, n_words_in_window=0, n_speech=0)
    return _cut(captions) if captions.n_heard - captions.window_start > _samples(WINDOW_SECONDS) else captions


def _samples(seconds: float) -> int:
    return round(seconds * SAMPLING_RATE)


def _listen(captions: Captions, waveform: np.ndarray) -> Captions:
    """Where, in what is new, somebody speaks."""
    known = captions.n_heard - captions.window_start
    start = max(0, known - _samples(WARM_UP_SECONDS)) // FRAME * FRAME
    speech = spoken(waveform[start:])
    new = np.flatnonzero(speech) * FRAME + start
    new = new[new + FRAME > known]
    return replace(
        captions,
        n_heard=captions.window_start + len(waveform),
        speech_end=captions.window_start + int(new[-1]) + FRAME if len(new) else captions.speech_end,
        n_speech=captions.n_speech + len(new) * FRAME,
    )


def _decode(captions: Captions, waveform: np.ndarray, settings: Settings, **options: object) -> tuple[Captions, Decoded]:
    """Only what follows a window's committed words. Times are since the recording began.

    Whisper may take a pause in a window for the end, and hear nothing after it: then the window begins behind the pause. And words
    that it is told, a wrong one or a number, may lead it to say the last of them for ever: then it begins behind them, and is not
    told them.
    """
    decoded = _decode_window(captions, waveform, settings, **options)
    start: int | None = None
    is_loop = _loops(decoded) and len(captions.words) > captions.n_untold
    if is_loop:
        captions = replace(captions, n_untold=len(captions.words))
        behind = _samples(captions.words[-1].end) if captions.n_words_in_window else 0
        start = min(captions.window_start + len(waveform), max(captions.window_start, behind))
    elif not decoded.words and captions.n_committed > captions.window_start:
        start = captions.n_committed
    if start is not None:
        waveform = waveform[start - captions.window_start :]
        captions = replace(captions, window_start=start, n_words_in_window=0, hypothesis=())
        decoded = _decode_window(captions, waveform, settings, **options)
        # It may be heard once more, because a loop is badly timed.
        if is_loop and decoded.words and _plain(decoded.words[0].text) == _plain(captions.words[-1].text):
            again, *words = decoded.words
            captions = replace(captions, window_start=min(start + len(waveform), max(start, _samples(again.end))))
            decoded = replace(decoded, words=tuple(words))
    # What was detected is kept once there was enough of it to be sure.
    captions = replace(captions, heard_language=decoded.language)
    if captions.language is None and decoded.words and captions.n_speech >= _samples(LANGUAGE_SECONDS):
        captions = replace(captions, language=decoded.language)
    return captions, decoded


def _decode_window(captions: Captions, waveform: np.ndarray, settings: Settings, **options: object) -> Decoded:
    n_before = len(captions.words) - captions.n_words_in_window
    prefix = _tokens(captions.words[n_before:])
    decoded = decode(
        load_whisper(settings.whisper_for(captions.task), settings),
        waveform,
        Options(
            task=captions.task,
            language=captions.language,
            prefix=prefix,
            context=_tokens(captions.words[max(captions.n_untold, n_before - CONTEXT_TOKENS) : n_before])[-CONTEXT_TOKENS:],
            draft=_tokens(captions.hypothesis),
            word_times=True,
        ),
        **options,
    )
    # Counted in tokens: a comma that was committed by itself is part of its word when the whole prefix is put into words.
    ends = itertools.accumulate(len(word.tokens) for word in decoded.words)
    new = _supported([word for word, end in zip(decoded.words, ends, strict=True) if end > len(prefix)])
    start = captions.window_start / SAMPLING_RATE
    committed = captions.words[-1].end if captions.words else 0.0  # as an earlier decode timed it
    timed = (replace(word, start=max(committed, start + word.start), end=max(committed, start + word.end)) for word in new)
    return replace(decoded, words=tuple(timed))


def _tokens(words: Iterable[Word]) -> tuple[int, ...]:
    return tuple(token for word in words for token in word.tokens)


def _loops(decoded: Decoded) -> bool:
    return any(segment.endless for segment in decoded.segments)


def _is_likely(decoded: Decoded) -> bool:
    return not _loops(decoded) and all(not segment.repetitive and segment.avg_logprob >= LOG_PROBABILITY for segment in decoded.segments)


def _commit_all(captions: Captions, decoded: Decoded) -> Captions:
    n_words = captions.n_words_in_window + len(decoded.words)
    heard = min(captions.n_speech, captions.speech_end - max(captions.window_start, captions.n_committed))
    made_up = n_words > max(1.0, WORDS_PER_SECOND * captions.n_speech / SAMPLING_RATE)
    if made_up or (heard < _samples(SURE_SECONDS) and not _is_likely(decoded)):
        return captions
    return replace(captions, words=captions.words + decoded.words, n_words_in_window=n_words)


def _supported(words: Sequence[Word]) -> Sequence[Word]:
    """Without what is in no sound: words that the alignment crowds into one moment were made up after the last real one."""
    made_up = [
        index
        for index, word in enumerate(words)
        if word.end <= word.start and (index + 1 == len(words) or words[index + 1].end - word.start < CROWDED_SECONDS)
    ]
    return words[: made_up[0]] if made_up else words


def _commit_certain(captions: Captions, words: Sequence[Word]) -> Captions:
    """LocalAgreement-2 behind a guard, without waiting for a second decode where the first has heard enough after a word.

    The last word is held back, because more of it may come. A phrase said twice waits for the second decode all the same:
    a decoder in a loop that is believed is forced to go on.
    """
    now = captions.n_heard / SAMPLING_RATE
    in_window = captions.words[len(captions.words) - captions.n_words_in_window :]
    n_certain = 0
    for word in words[:-1]:
        before = captions.hypothesis[n_certain : n_certain + 1]
        agreed = bool(before) and _plain(word.text) == _plain(before[0].text)
        settled = word.end <= now - SETTLED_SECONDS and not twice_period(_tokens((*in_window, *words[: n_certain + 1])))
        if word.end > now - GUARD_SECONDS or not (agreed or settled):
            break
        n_certain += 1
    return replace(
        captions,
        words=(*captions.words, *words[:n_certain]),
        n_words_in_window=captions.n_words_in_window + n_certain,
        hypothesis=tuple(words[n_certain:]),
    )


def _plain(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


def _cut(captions: Captions) -> Captions:
    """Moves the window's start to a committed word: after a sentence or the longest gap, if it may choose."""
    latest = captions.n_heard / SAMPLING_RATE - KEPT_SECONDS
    in_window = captions.words[len(captions.words) - captions.n_words_in_window :]
    candidates = [index for index in range(1, len(in_window)) if in_window[index].start <= latest]
    if not candidates:  # nothing was agreed on for a whole window: what was understood last is taken, what was not is let go
        taken = [word for word in captions.hypothesis if word.end <= latest]
        if len(taken) > WORDS_PER_SECOND * captions.n_speech / SAMPLING_RATE:
            taken = []
        left = captions.hypothesis[len(taken) :]
        captions = replace(captions, words=(*captions.words, *taken), hypothesis=left)
        start, kept = max(captions.window_start, _samples(left[0].start if taken and left else latest)), 0
    else:

        def merit(index: int) -> tuple[bool, float]:
            before = in_window[index - 1]
            return ends_sentence(before.text), in_window[index].start - before.end

        first = max(candidates[len(candidates) // 2 :], key=merit)
        start, kept = round(in_window[first].start * SAMPLING_RATE), len(in_window) - first
    return replace(
        captions,
        window_start=start,
        n_words_in_window=kept,
        n_speech=min(captions.n_speech, captions.n_heard - start),
    )


# --- subtitles ----------------------------------------------------------------------------------------------------

CUE_CHARACTERS = 84  # two lines of 42, as broadcasters have it
CUE_SECONDS = 6.0
CUE_GAP_SECONDS = 0.8  # silence after which a new cue begins
CLAUSE_ENDS = (",", ";", ":", "，", "、", "；", "：")
WITHIN_WORD = ("-", "'", "’", ".")  # Whisper splits a word before them
CLAUSE_CHARACTERS = 15  # that far from where it would be even, a cut behind a comma is still better


class TimedText(Protocol):
    """A word as decoding.py has it, or anything else with its own leading space and its seconds."""

    @property
    def text(self) -> str: ...
    @property
    def start(self) -> float: ...
    @property
    def end(self) -> float: ...


def cues(words: Sequence[TimedText]) -> list[tuple[float, float, str]]:
    """Words as subtitles: (start, end, text), times in seconds."""
    sentences: list[list[TimedText]] = []
    for word in words:
        before = sentences[-1][-1] if sentences else None
        is_over = before is not None and ends_sentence(before.text) and not re.fullmatch(r"\d+\.", _text(sentences[-1]))
        if before is None or is_over or word.start - before.end > CUE_GAP_SECONDS:
            sentences.append([])
        sentences[-1].append(word)
    fitting = [cue for sentence in sentences for cue in _in_cues(sentence)]
    return [(cue[0].start, max(cue[-1].end, cue[0].start + 0.1), _text(cue)) for cue in fitting]


def _in_cues(words: Sequence[TimedText]) -> list[Sequence[TimedText]]:
    """As few as fit, of about the same length, best cut behind a comma: a last cue of one word reads badly."""
    n_cues = math.ceil(max(len(_text(words)) / CUE_CHARACTERS, (words[-1].end - words[0].start) / CUE_SECONDS))
    if n_cues <= 1 or len(words) == 1:
        return [words]
    lengths = [*itertools.accumulate(len(word.text) for word in words)]
    wanted = lengths[-1] * (n_cues // 2) / n_cues

    def merit(index: int) -> float:
        is_within = words[index].text.startswith(WITHIN_WORD)
        return CLAUSE_CHARACTERS * words[index - 1].text.endswith(CLAUSE_ENDS) - abs(lengths[index - 1] - wanted) - lengths[-1] * is_within

    cut = max(range(1, len(words)), key=merit)
    return [*_in_cues(words[:cut]), *_in_cues(words[cut:])]


def _text(words: Sequence[TimedText]) -> str:
    return "".join(word.text for word in words).strip()


def to_srt(words: Sequence[TimedText]) -> str:
    """SubRip: numbered cues, a comma before the milliseconds."""
    return "\n".join(
        f"{number}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{text}\n" for number, (start, end, text) in enumerate(cues(words), 1)
    )


def to_vtt(words: Sequence[TimedText]) -> str:
    """WebVTT: a point before the milliseconds; & and < are escaped."""
    body = (
        f"{_clock(start, '.')} --> {_clock(end, '.')}\n{text.replace('&', '&amp;').replace('<', '&lt;')}\n"
        for start, end, text in cues(words)
    )
    return "\n".join(["WEBVTT\n", *body])


def _clock(seconds: float, mark: str) -> str:
    milliseconds = round(1000 * seconds)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}{mark}{milliseconds % 1000:03}"
