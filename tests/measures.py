"""How far a text is from what was said."""

from __future__ import annotations

import re

import jiwer


def words(text: str) -> str:
    return " ".join(re.sub(r"[^\w' ]", " ", text.lower()).split())


def word_error_rate(reference: str, hypothesis: str) -> float:
    """Substitutions, deletions and insertions per word of the reference; letter case and punctuation do not count."""
    return float(jiwer.wer(words(reference), words(hypothesis) or "*"))
