"""The page for the curious: the cascade, and the ways to stream with what each costs, out of the code's own words and numbers.

Knows: which docstrings and constants tell the story, and reads them from the source, so that nothing has to be imported for it.
Does not know: the page, in which language it is read.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


class Module:
    """A module's docstrings and plain constants, without importing it."""

    def __init__(self, name: str) -> None:
        self.tree = ast.parse((HERE / f"{name}.py").read_text(encoding="utf-8"))

    def doc(self, name: str) -> str:
        """The first line of a function's or a class's docstring."""
        for node in self.tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
                return (ast.get_docstring(node) or "").partition("\n")[0]
        raise KeyError(name)

    def constant(self, name: str) -> Any:
        for node in self.tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name:
                return ast.literal_eval(node.value)
        raise KeyError(name)


def page(say: Callable[[str], str]) -> str:
    """Markdown.

    Args:
        say: puts a sentence into the reader's language. Docstrings stay as they are in the code.
    """
    asr, captions, stst, tts, decoding = (Module(name) for name in ("asr", "captions", "stst", "tts", "decoding"))
    return f"""
## {say("Three ways to stream, and what each costs")}

{say("Whisper hears a whole window of sound at a time: it was not made to be fed piece by piece. So a stream has to choose what it decodes again.")}

| {say("way")} | {say("decodes")} | {say("costs")} | {say("loses")} |
|---|---|---|---|
| {say("Streaming, accumulated")} | {say("everything said so far, every time")} | {say("more with every second: twice as long a talk costs four times as much")} | {say("nothing, but each text comes later than the one before")} |
| {say("Streaming, chunk only")} | {say("each piece once, alone")} | {say("the least, and always the same")} | {say("words that a cut falls into, and what the words before would have told")} |
| {say("Live captions")} | {say(f"the last {captions.constant('WINDOW_SECONDS'):g} s at most, after the words that are certain")} | {say("always the same")} | {say(f"little: a word is certain once two decodes agree on it, or {captions.constant('SETTLED_SECONDS'):g} s after it")} |

{say("In the code's own words:")}

- `asr.transcribe_accumulated`: {asr.doc("transcribe_accumulated")}
- `asr.transcribe_chunk`: {asr.doc("transcribe_chunk")}
- `captions.update`: {captions.doc("update")} {captions.doc("_commit_certain")}

{say(f"Live captions look again after {captions.constant('UPDATE_SECONDS'):g} s of new sound, hold back what ended less than {captions.constant('GUARD_SECONDS'):g} s ago, and take a pause of {captions.constant('PAUSE_SECONDS'):g} s for the end of an utterance. When the window is full it is cut after a sentence, and {captions.constant('KEPT_SECONDS'):g} s of it stay.")}

## {say("The cascade")}

{say("Speech becomes text in another language, and that becomes speech: two models that know nothing of each other.")}

1. `stst.translate`: {stst.doc("translate")} {say(f"At most {stst.constant('MAX_NEW_TOKENS')} tokens for each window.")}
2. `stst.cut_sentences`: {stst.doc("cut_sentences")}
3. `tts.synthesise`: {tts.doc("synthesise")} {say(f"At most {tts.constant('MAX_PIECE')} characters at once; SpeechT5 dies past 600.")}

{say("Into another language than English, Whisper writes down what was said, and a translation model stands between the two.")}

## {say("Why it is quick")}

{say(f"Whisper always hears 30 s, most of it silence. Here it hears the sound and {decoding.constant('PADDING_SECONDS'):g} s more; where the text then looks wrong it hears all 30, and after that decodes hotter, as Whisper itself does.")}

{say("The picture shows how old the newest text is while somebody speaks, on two cores:")}
""".strip()
