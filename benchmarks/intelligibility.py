"""How well the voices are understood: sentences full of figures, spoken, and transcribed back by whisper-base.

    python -m benchmarks.intelligibility [embedded|SpeechT5]

Prints the word error rate of each voice that can be had, and its worst sentences. What is compared is words as they sound:
the sentence as `spoken_english` reads it, against the transcript read by the same function, so that "10:30" and "ten thirty",
"$3.20" and "three dollars and twenty cents" are equal; then both through Whisper's English normaliser. Whether a reading is the
right one is not measured here but written down in tests/test_spoken.py. Whisper's own mistakes count as the voice's.
"""

from __future__ import annotations

import argparse
import typing

import jiwer
import numpy as np
from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

import tts
from audio import load_audio
from benchmarks.whisper import whisper
from decoding import decode
from errors import CheckpointError
from spoken import spoken_english

N_WORST = 8
SENTENCES = (
    "The city has 1,250,000 inhabitants.",
    "The answer was 0, and nobody laughed.",
    "Our train leaves at 10:30 and arrives at 12:00.",
    "She called at 10:05, not at 7 p.m. as she had promised.",
    "A cup of coffee costs $3.20 at the station.",
    "He was the 1st to arrive and the 21st to leave.",
    "I bought 5 kg of potatoes and 1 kg of onions.",
    "It was 20 °C in the morning and -5 °C at night.",
    "About 50 % of the students passed the exam.",
    "Dr. Smith will see you now, Mrs. Jones.",
    "In 2026 the bridge will be closed for repairs.",
    "The company paid £4.5 million for the building.",
    "They ran an A/B test on the new page.",
    "It would be naïve to believe every word of it.",
    "Pi is roughly 3.14, as every child knows.",
    "Music from the 1990s is popular again.",
    "The repair will cost about €1,000.",
    "Add 1/2 a cup of sugar and 3/4 of a cup of flour.",
    "The meeting on 2024-11-24 was canceled.",
    "We shall meet again on 24 November 2026.",
    "The election is on Nov. 3, so please remember to vote.",
    "The car was doing 120 km/h when it passed the police.",
    "The garden measures 100 m² and the house is even larger.",
    "My brother is 5'10\" tall.",
    "Please turn to question No. 5 on the next page.",
    "We flew from St. Louis to New York.",
    "Bring something warm, e.g. a coat, a scarf, etc.",
    "Salt & pepper are on the table.",
    "You can write to us at help@example.com.",
    "Our website is www.example.com.",
    "Call me on 555-1234 after dinner.",
    "The shop is open from 10-12 on Saturdays.",
    "The war of 1914–1918 changed Europe.",
    "Henry VIII had six wives.",
    "My grandfather fought in World War II.",
    "The BBC and NASA made a film together.",
    "Well... I am not sure — perhaps we should wait.",
    "If 2 + 2 = 4, then what is 10 - 3?",
    "The quick brown fox jumps over the lazy dog.",
    "Please remember to bring your passport when you come to the station tomorrow morning.",
    "The weather is lovely today, and we are walking to the harbor.",
    "The population grew by 3.5% between 2010 and 2020.",
)


def heard(voice: tts.Voice, sentence: str) -> str:
    sampling_rate, speech = tts.synthesise(sentence, voice)
    return decode(whisper(), load_audio((sampling_rate, speech)), language="en").text.strip()


def measure(voice: tts.Voice) -> None:
    normalise = EnglishTextNormalizer({})
    transcripts = [heard(voice, sentence) for sentence in SENTENCES]
    references = [normalise(spoken_english(sentence)) for sentence in SENTENCES]
    hypotheses = [normalise(spoken_english(transcript)) or "*" for transcript in transcripts]
    rates = [jiwer.wer(reference, hypothesis) for reference, hypothesis in zip(references, hypotheses, strict=True)]
    print(f"{voice}: word error rate {100 * jiwer.wer(references, hypotheses):.2f} % of {len(SENTENCES)} sentences")
    for index in np.argsort(rates)[::-1][:N_WORST]:
        if rates[index] > 0:
            print(f"  {100 * rates[index]:5.1f} %  {references[index]}")
            print(f"           {hypotheses[index]}   (as written: {transcripts[index]})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("voice", nargs="?", choices=typing.get_args(tts.Voice), help="both, unless one is named")
    chosen = parser.parse_args().voice
    for each in [chosen] if chosen else typing.get_args(tts.Voice):
        try:
            measure(each)
        except CheckpointError as error:
            print(f"{each}: {error}")
