"""Text in one language -> text in another: the stage that the cascade has where it does not end in English.

Source: Fan et al. 2020, "Beyond English-Centric Multilingual Machine Translation" (M2M-100); checkpoint facebook/m2m100_418M.
Chosen because one model of 1.9 GB and an MIT licence covers every pair of 100 languages. NLLB covers more, and may not be
used commercially; Opus-MT is quicker, and needs a model of 300 MB for each pair.
Knows: how that model is asked. Does not know: speech, sentences, where the weights are from.
"""

from __future__ import annotations

from collections.abc import Callable

from checkpoints import Settings, language_name, load_text_translator
from errors import CheckpointError

# What Whisper calls otherwise.
CODES = {"jw": "jv", "nn": "no"}
MORE_TOKENS, TOKENS_PER_TOKEN = 16, 3  # a translation longer than that has not found its end


def translate_text(text: str, source: str, target: str, settings: Settings = Settings(), check: Callable[[], None] = lambda: None) -> str:
    """A sentence in another language.

    Args:
        text: a sentence or a little more; the model takes 1024 tokens.
        source, target: Whisper's codes, like "it".
        check: called before each token; ends it all by raising.

    Raises:
        CheckpointError: the weights cannot be had, or the model does not know one of the languages.
    """
    import torch

    translator = load_text_translator(settings)
    tokenizer, model = translator.tokenizer, translator.model
    for language in (source, target):
        if CODES.get(language, language) not in tokenizer.lang_code_to_id:
            raise CheckpointError(
                f"{translator.source.found} does not know {language_name(language)}. Translate into English: Whisper does that by itself."
            )

    def asked(input_ids: torch.Tensor, *_: object) -> torch.Tensor:
        check()
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)

    # The tokenizer's own call keeps the source language in itself, where two visitors would overwrite each other's.
    tokens = tokenizer.convert_tokens_to_ids(tokenizer.tokenize(text))
    input_ids = torch.tensor([[tokenizer.get_lang_id(CODES.get(source, source)), *tokens, tokenizer.eos_token_id]], device=model.device)
    with torch.inference_mode():
        translated = model.generate(
            input_ids,
            attention_mask=torch.ones_like(input_ids),
            forced_bos_token_id=tokenizer.get_lang_id(CODES.get(target, target)),
            max_length=None,
            max_new_tokens=MORE_TOKENS + TOKENS_PER_TOKEN * len(tokens),
            stopping_criteria=[asked],
        )
    # The first two are where the decoder starts and the language, which not every version of the tokenizer skips.
    return str(tokenizer.decode(translated[0, 2:], skip_special_tokens=True)).strip()
