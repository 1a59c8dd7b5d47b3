"""Where a sentence ends, in any script.

Knows: punctuation. Does not know: what is done with a sentence.
"""

from __future__ import annotations

import re

SENTENCE_END = r"(?:[!?…।。！？؟]|(?<![A-Z])\.)[\"')\]」”»]*\s"  # initials have full stops, too
TITLES = ("Mr.", "Mrs.", "Ms.", "Dr.", "Prof.", "St.")


def ends_sentence(word: str) -> bool:
    """Whether a sentence ends with this word; with a title or an initial none does."""
    return bool(re.search(SENTENCE_END, f"{word} ")) and word.strip() not in TITLES
