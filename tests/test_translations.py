"""Whoever reads Chinese reads all of the page in Chinese, mistakes included."""

from __future__ import annotations

import ast
import re

import pytest

import app
import checkpoints
import how_it_works
import streams
import telling
import translations
from audio import AudioError, load_audio
from tests.conftest import ROOT

# What tells a person something, and which argument is what it tells.
SAYING = dict.fromkeys(("t", "say", "AudioError", "CheckpointError", "LimitError", "RefusalError", "TextError"), 0) | {"report": 1}


def templates(node: ast.expr) -> list[str]:
    """What a literal says, with {} where something is filled in; of a choice between two, both."""
    if isinstance(node, ast.IfExp):
        return [*templates(node.body), *templates(node.orelse)]
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.JoinedStr):
        return ["".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)]
    return []


def trees() -> list[ast.Module]:
    return [ast.parse(file.read_text(encoding="utf-8")) for file in sorted(ROOT.glob("*.py")) if file.stem != "translations"]


def is_translated(template: str) -> bool:
    return template in translations.CHINESE or template.replace("{}", "x") != translations.in_language(template.replace("{}", "x"), "zh")


def test_every_sentence_that_is_said_or_raised_is_translated() -> None:
    missing = []
    for tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args and node.func.id in SAYING:
                missing += [each for what in node.args[SAYING[node.func.id] :][:1] for each in templates(what)]
    assert [each for each in missing if not is_translated(each)] == []


def test_nothing_is_translated_that_nobody_says() -> None:
    """Each piece between two gaps stands somewhere in the code, if only as a part of a sentence that is put together."""
    text = "\n".join(template for tree in trees() for node in ast.walk(tree) if isinstance(node, ast.expr) for template in templates(node))
    for english in translations.CHINESE:
        for piece in english.split("{}"):
            assert piece.strip(" .:(),").lower() in text.lower(), english


def test_gaps_are_as_many_in_chinese() -> None:
    for english, chinese in translations.CHINESE.items():
        assert english.count("{}") == chinese.count("{}"), english


def test_what_fills_a_gap_is_translated_too() -> None:
    assert translations.in_language("Language heard: Italian.", "zh") == "听到的语言：意大利语。"
    assert translations.in_language("Language heard: Italian.", "en") == "Language heard: Italian."
    source = checkpoints.Source("openai/whisper-base.en", "openai/whisper-base", "embedded")
    line = translations.in_language(f"Model: {source.sentence}.", "zh")
    assert line == "模型：openai/whisper-base（内置于已安装的软件包），代替 openai/whisper-base.en：无法连接 Hugging Face Hub。"


def test_sentences_in_a_line_are_apart_as_each_language_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    sentences = ["Language heard: Italian.", "No speech is heard."]
    assert telling._in_a_line(sentences) == "Language heard: Italian. No speech is heard."
    monkeypatch.setattr(translations, "preferred", lambda header: "zh")
    assert telling._in_a_line(sentences).startswith("听到的语言：意大利语。没有")


def test_what_a_person_wrote_or_named_stays_as_it_is() -> None:
    with pytest.raises(AudioError) as caught:
        load_audio("Speech {0} {}.wav")
    assert translations.in_language(str(caught.value), "zh") == "没有文件 Speech {0} {}.wav。请另选一个。"
    assert translations.in_language("What I said, in no list", "zh") == "What I said, in no list"


@pytest.mark.parametrize(
    ("header", "language"), [("zh-CN,zh;q=0.9,en;q=0.8", "zh"), ("zh", "zh"), ("en-US,zh;q=0.5", "en"), ("", "en"), (None, "en")]
)
def test_the_browser_says_which_language(header: str | None, language: str) -> None:
    assert translations.preferred(header) == language


def test_status_lines_are_translated_whole() -> None:
    def chinese(sentence: str) -> str:
        return translations.in_language(sentence, "zh")

    recording = app.Recording()
    for sentence in (
        streams.ACCUMULATED.cost(app.asr.Accumulated(recording)),
        streams.CHUNK_ONLY.cost(app.asr.ChunkOnly(recording)),
        "Computes on cpu, encoder float32, decoder int8.",
        "Computes on cuda, float16.",
        *telling._last_run(0.5),
        "Translating: 1.5 s.",
    ):
        assert chinese(sentence) != sentence
        assert not re.search(r"[A-Za-z]{2,} [a-z]{2,} [a-z]{2,}", chinese(sentence))


def test_how_it_works_is_drawn_from_the_code_and_reads_in_both_languages() -> None:
    english = how_it_works.page(lambda sentence: sentence)
    chinese = how_it_works.page(lambda sentence: translations.in_language(sentence, "zh"))
    import captions
    import stst

    for page in (english, chinese):
        assert f"{captions.WINDOW_SECONDS:g} s" in page or f"{captions.WINDOW_SECONDS:g} 秒" in page
        assert str(stst.MAX_NEW_TOKENS) in page
        assert (captions.update.__doc__ or "").partition("\n")[0] in page
    prose = re.sub(r"`[^`]*`: .*?(?=$|At most|最多)", "", chinese, flags=re.MULTILINE)
    assert not re.search(r"[a-z]{3,} [a-z]{3,} [a-z]{3,} [a-z]{3,}", prose), "no sentence is left in English but the code's own"
