"""What is written is read aloud as a person would, whatever it is."""

from __future__ import annotations

import re
import sys
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spoken import in_alphabet, spoken_english

READINGS = {
    "1,250,000": "one million two hundred fifty thousand",
    "0": "zero",
    "-5": "minus five",
    "3.14": "three point one four",
    "007": "zero zero seven",
    "1,2,3": "one,two,three",
    # ordinals, fractions
    "1st": "first",
    "the 21st and the 101st": "the twenty-first and the one hundred first",
    "1/2": "one half",
    "3/4 of 2½ cups": "three quarters of two and a half cups",
    # years, dates
    "in 2026.": "in twenty twenty-six.",
    "1066, 1500, 1905, 2005": "ten sixty-six, fifteen hundred, nineteen oh five, two thousand five",
    "the 1990s and the '80s": "the nineteen nineties and the eighties",
    "2024-11-24": "November twenty-fourth, twenty twenty-four",
    "11/24/2024, 24/11/2024": "November twenty-fourth, twenty twenty-four, November twenty-fourth, twenty twenty-four",
    "on 24 November 2026": "on the twenty-fourth of November twenty twenty-six",
    "Nov. 3": "November third",
    "May 5th, 2020": "May fifth, twenty twenty",
    "He may 5 times": "He may five times",
    # times
    "10:30": "ten thirty",
    "10:05": "ten oh five",
    "12:00": "twelve o'clock",
    "00:00": "midnight",
    "10:30:15": "ten thirty and fifteen seconds",
    "at 7 p.m. Then": "at seven PM. Then",
    "at 7 p.m. today": "at seven PM today",
    "10:00 am": "ten AM",
    # money
    "$3.20": "three dollars and twenty cents",
    "$1 and $0.01": "one dollar and one cent",
    "£4.5 million": "four point five million pounds",
    "€1,000, 5 €, -$5": "one thousand euros, five euros, minus five dollars",
    "$20/month": "twenty dollars per month",
    # measures
    "5 kg": "five kilograms",
    "1 kg": "one kilogram",
    "a 5-kg bag": "a five-kilogram bag",
    "20 °C": "twenty degrees Celsius",
    "50 %": "fifty percent",
    "120 km/h": "one hundred twenty kilometers per hour",
    "100 m²": "one hundred square meters",
    "5 µm": "five micrometers",
    "1/2 lb": "one half pound",
    "5'10\"": "five foot ten",
    # ranges, telephones
    "10-12 km": "ten to twelve kilometers",
    "1914–1918": "nineteen fourteen to nineteen eighteen",
    "5 - 3 = 2": "five minus three equals two",
    "555-1234": "five five five, one two three four",
    "+44 20 7946 0958": "plus four four, two zero, seven nine four six, zero nine five eight",
    "5551234567": "five five five one two three four five six seven",
    # abbreviations
    "Dr. Smith": "Doctor Smith",
    "Mr. and Mrs. Jones": "Mister and Missus Jones",
    "St. Louis": "Saint Louis",
    "12 Main St.": "twelve Main Street.",
    "e.g. pears, i.e. fruit, etc.": "for example pears, that is fruit, et cetera.",
    "No. 5": "number five",
    "See fig. 2. I ate a fig.": "See figure two. I ate a fig.",
    "Henry VIII in World War II": "Henry the eighth in World War two",
    "World War I was": "World War one was",
    "Henry I saw": "Henry I saw",
    # symbols
    "A/B": "A slash B",
    "Q&A": "Q and A",
    "2 + 2 = 4": "two plus two equals four",
    "#1 #fun": "number one hashtag fun",
    "bob@example.com.": "bob at example dot com.",
    "https://www.example.com/a-b.": "W W W dot example dot com slash a dash b.",
    "x² ≤ 4": "x squared less-than or equal to four",
    # pauses
    "Wait — no -- yes": "Wait, no, yes",
    "Well… yes": "Well... yes",
    "“It’s” ‘me’": "\"It's\" 'me'",
    "• one\n• two\n\n\n\nthree": "one\ntwo\n\nthree",
    # letters beside digits, other scripts, emoji
    "COVID-19, MP3, 3D": "COVID nineteen, MP three, three D",
    "naïve": "naïve",
    "Привет, мир": "Privet, mir",
    "你好": "Ni Hao",
    "καλημέρα": "kalimera",
    "٣ ﬁsh": "three fish",
    "Great! 🎉🎉": "Great! party popper",
}
PLAIN = 'The quick, brown fox; it\'s (nearly) twenty-six: "Doctor Who?" Yes! NATO and the BBC agree... U.S. Army.'
READABLE = r"(?:[a-zA-Z\u00aa-\u017f\n .,;:!?'\"()-])*"
WRITTEN = st.text(
    st.sampled_from("0123456789019 ,.:;/-–—+%$£€°²½'\"()&@#=_*\n") | st.sampled_from("aekgmspthISVXN") | st.characters(), max_size=40
)
FRAGMENTS = st.lists(st.sampled_from([*READINGS, " ", ".", "-", "/", ":", " p.m.", "k", "1", "St. "]), max_size=6).map("".join)


@pytest.mark.parametrize("text", READINGS)
def test_it_is_read_as_a_person_would(text: str) -> None:
    assert spoken_english(text) == READINGS[text]


def test_a_plain_sentence_stays_as_it_is() -> None:
    assert spoken_english(PLAIN) == PLAIN


@given(WRITTEN | FRAGMENTS | st.text())
@settings(max_examples=1500, deadline=None)
def test_what_is_spoken_can_be_read_and_reads_the_same_again(text: str) -> None:
    spoken = spoken_english(text)
    assert re.fullmatch(READABLE, spoken), spoken
    assert spoken_english(spoken) == spoken


def test_every_number_sign_and_mark_by_itself_can_be_read() -> None:
    for character in map(chr, range(sys.maxunicode + 1)):
        if unicodedata.category(character)[0] in "MNPS":
            assert re.fullmatch(READABLE, spoken_english(character)), character


@given(st.text(st.characters(categories=["L", "Nd"]), min_size=1))
@settings(max_examples=300, deadline=None)
def test_no_digit_and_no_latin_letter_is_dropped(text: str) -> None:
    plain = "".join(character for character in text if character.isdecimal() or character < "\u0180")
    assert len(re.findall(r"\w", spoken_english(text))) >= len(plain)


@pytest.mark.parametrize(
    "text",
    [
        "1",
        "1,111",
        "1.",
        "1-",
        "1/",
        "a.",
        "a@",
        "1:11",
        "— ",
        " - ",
        "-",
        "+1 ",
        "\n ",
        "' ",
        "(1",
        "🎉",
        "é",
        "I",
        "Dr. ",
        "$1",
        "http://",
        "½",
        "世",
        ".",
        "Jan 1",
    ],
)
def test_time_is_linear_in_the_text(text: str) -> None:
    def seconds(n_characters: int) -> float:
        long = (text * n_characters)[:n_characters]
        start = time.process_time()
        spoken_english(long)
        return time.process_time() - start

    seconds(1_000)
    assert seconds(30_000) < 3  # quadratic would be ten or more


LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ,.'-é")


def test_what_a_voice_lacks_becomes_the_nearest_that_it_has() -> None:
    assert in_alphabet("naïve café, Ærø: it's (late)!", LETTERS) == "naive café, Aero, it's, late,."
    assert in_alphabet("ABC", frozenset("abc")) == "abc"


@given(st.text())
@settings(max_examples=300, deadline=None)
def test_a_voice_is_given_only_its_own_characters(text: str) -> None:
    assert LETTERS.issuperset(in_alphabet(spoken_english(text), LETTERS).replace("\n", ""))
