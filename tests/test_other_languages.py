"""Into other languages than English: by text, by the course's shortcut, and in which there is a voice.

Neither MMS-TTS nor M2M-100 can be had where these tests run. The voices are small, with random weights in the real layout: that
they speak is shown, not what. The translator has learnt these sentences by heart, with the real tokenizer. Whisper is real.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import app
import checkpoints
import stst
import text_translation
import tts
from checkpoints import Engine, Settings
from errors import CheckpointError
from service import Service
from tests import small_checkpoints
from tests.conftest import run
from tests.fake_hub import FakeHub
from tests.sounds import BONJOUR, COUNTING, QUICK_BROWN_FOX

FOX = "The quick brown fox jumps over the lazy dog."
FUCHS = "Der schnelle braune Fuchs springt über den faulen Hund."
HALLO = "Hallo Welt!"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("languages")
    bonjour = asr_text(BONJOUR)
    pairs = [("en", FOX, "de", FUCHS), ("fr", bonjour, "de", HALLO), ("fr", bonjour, "it", "Ciao mondo!")]
    translator = small_checkpoints.save_text_translator(folder / "m2m100", pairs)
    small_checkpoints.save_mms_voice(folder / "mms-tts-deu")
    small_checkpoints.save_mms_voice(folder / "mms-tts-ita")
    small_checkpoints.save_mms_voice(folder / "mms-tts-kor", is_uroman=True)
    return Settings(text_translation_checkpoint=str(translator), mms_voices=str(folder / "mms-tts-{}"))


def asr_text(clip: Path) -> str:
    import asr

    return asr.transcribe(clip, settings=Settings(asr_checkpoint="openai/whisper-base"))


@pytest.mark.parametrize("engine", ["fast", "pipeline"])
def test_speech_is_written_down_translated_and_spoken(settings: Settings, engine: Engine) -> None:
    cascades = list(stst.stream(BONJOUR, settings=dataclasses.replace(settings, engine=engine), target="german"))
    last = cascades[-1]
    assert last.text == HALLO
    assert "".join(said.text for said in last.transcript).strip() == asr_text(BONJOUR)
    assert last.language == "fr"
    assert (last.sampling_rate, last.speech.dtype) == (16_000, np.int16)
    assert last.speech.any()
    assert set(last.seconds) == {"transcribing", "translating", "speaking"}


def test_what_is_in_the_target_already_is_not_translated(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stst, "translate_text", lambda *_: pytest.fail("asked to translate Italian into Italian"))
    sampling_rate, speech = stst.speech_to_speech_translation(COUNTING, settings=settings, target="it")
    assert sampling_rate == 16_000
    assert speech.any()


def test_what_a_voice_has_no_letter_for_is_silent_and_the_rest_is_spoken(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not tts.synthesise("①", settings=settings, language="german")[1].size
    monkeypatch.setattr(stst, "translate_text", lambda text, *_: f"① {text}")
    monkeypatch.setattr(stst, "cut_sentences", lambda *_: ([stst.Timed(text, 0.0, 1.0) for text in ("", "Hallo Welt!")], []))
    last = list(stst.stream(BONJOUR, settings=settings, target="german"))[-1]
    assert [sentence.text for sentence in last.sentences] == ["① ", "① Hallo Welt!"]
    assert last.speech.any()


def test_the_shortcut_asks_whisper_alone(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    windows = stst._windows
    monkeypatch.setattr(stst, "_windows", lambda *given, **options: asked.append(options) or windows(*given, **options))
    without = dataclasses.replace(settings, text_translation_checkpoint="./nowhere")
    *_, last = stst.stream(QUICK_BROWN_FOX, settings=without, target="german", shortcut=True)
    assert asked == [{"task": "transcribe", "language": "de"}]
    assert last.sentences


def test_one_translator_serves_two_target_languages(settings: Settings) -> None:
    assert text_translation.translate_text(asr_text(BONJOUR), "fr", "it", settings) == "Ciao mondo!"
    assert text_translation.translate_text(FOX, "en", "de", settings) == FUCHS


def test_a_translation_can_be_stopped_at_any_token(settings: Settings) -> None:
    asked = []

    def check() -> None:
        asked.append(1)
        if len(asked) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        text_translation.translate_text(FOX, "en", "de", settings, check)
    assert len(asked) == 3


def test_a_language_that_the_translator_does_not_know_is_named(settings: Settings) -> None:
    with pytest.raises(CheckpointError, match=r"does not know Basque. Translate into English"):
        text_translation.translate_text("Kaixo mundua.", "eu", "de", settings)


def test_a_language_without_a_voice_is_named(settings: Settings, tmp_path: Path) -> None:
    locks = [*checkpoints._locks]
    with pytest.raises(CheckpointError, match=r"No voice speaks Xx{19} here"):
        Service(settings, tmp_path).load_target("x" * 100_000, False, lambda *_: pytest.fail("it was told"))
    assert [*checkpoints._locks] == locks, "whatever is asked for, nothing is kept of it"
    with pytest.raises(CheckpointError, match=r"No voice speaks Spanish here"):
        stst.speech_to_speech_translation(BONJOUR, settings=settings, target="spanish")


def test_the_targets_are_english_and_what_there_is_a_voice_for(settings: Settings) -> None:
    assert stst.targets(settings) == ["en", "de", "it", "ko"]
    assert stst.targets(Settings(mms_voices="./nowhere/{}")) == ["en"]


def test_the_page_offers_those_targets_and_no_others(settings: Settings) -> None:
    for chosen, visible in ((settings, True), (Settings(), checkpoints.hub_reachable())):
        page = app.Page(chosen)
        page.build()
        updates = page.prepare(None)
        target = next(update for update in updates if isinstance(update, dict) and "choices" in update)
        assert target["visible"] == visible
        assert [code for _, code in target["choices"]] == stst.targets(chosen)


@pytest.mark.slow
def test_voices_on_the_hub_are_found_and_loaded_and_stay(tmp_path: Path) -> None:
    code = """
import stst, tts
settings = Settings()
targets = stst.targets(settings)
sampling_rate, speech = tts.synthesise("Hallo.", settings=settings, language="german")
print(json.dumps([targets, sampling_rate, int(abs(speech).max())]))
"""
    with FakeHub() as hub:
        for name in ("deu", "eng", "eus"):  # English has better voices; Basque has one too
            hub.add(f"facebook/mms-tts-{name}", small_checkpoints.save_mms_voice(tmp_path / name))
        targets, sampling_rate, loudest = run(code, tmp_path, hub.url)
    assert (targets, sampling_rate) == (["en", "eu", "de"], 16_000)
    assert loudest > 0
    assert run(code, tmp_path)[0] == ["en", "de"], "what was downloaded is there without the Hub"


@pytest.mark.parametrize(
    ("code", "text", "read"),
    [
        ("de", "Um 12 Uhr, 1.250.000 Mal", "Um zwölf Uhr, eine Million zweihundertfünfzigtausend Mal"),
        ("fr", "1 250 fois", "mille deux cent cinquante fois"),
        ("ko", "3", "삼"),
        ("yo", "7", "seven"),
        ("de", "1234567890123", "eins zwei drei vier fünf sechs sieben acht neun null eins zwei drei"),
    ],
)
def test_numbers_are_read_in_their_language(code: str, text: str, read: str) -> None:
    assert tts._numbers_in_words(text, code) == read


def test_a_voice_gets_only_letters_that_it_knows(settings: Settings) -> None:
    heard = []
    voice = checkpoints.load_mms_voice("ko", settings)
    tokenizer = voice.tokenizer

    class Listening:
        get_vocab = tokenizer.get_vocab

        def __call__(self, text: str, **how: object) -> object:
            heard.append(text)
            return tokenizer(text=text, **how)

    checkpoints._loaded[next(key for key, value in checkpoints._loaded.items() if value is voice)] = dataclasses.replace(
        voice, tokenizer=Listening()
    )
    tts.synthesise("안녕 Café!", settings=settings, language="korean")
    assert heard == ["annyeong cafe"]


def test_checkpoints_that_cannot_translate_are_refused_with_ones_that_can(tmp_path: Path) -> None:
    turbo = small_checkpoints.save_whisper(tmp_path / "turbo")
    config = (turbo / "config.json").read_text(encoding="utf-8")
    (turbo / "config.json").write_text(config.replace('"encoder_layers": 1', '"encoder_layers": 4'), encoding="utf-8")
    source = checkpoints.find_whisper(str(turbo))
    with pytest.raises(CheckpointError, match=r"transcribe only. Translate with one that can, like openai/whisper-base"):
        stst.check_translates(source)
    stst.check_translates(source, "de")  # by text: transcribing is all that is asked of it
    hub = checkpoints.Source("openai/whisper-large-v3-turbo", "openai/whisper-large-v3-turbo", "hub")
    assert not checkpoints.translates(hub)
    assert checkpoints.translates(checkpoints.find_whisper("openai/whisper-base"))
