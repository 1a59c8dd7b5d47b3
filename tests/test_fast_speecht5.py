"""The fast path says what transformers says. Full-size default configurations, random weights; nothing is downloaded."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import SpeechT5Config, SpeechT5ForTextToSpeech, SpeechT5HifiGan, SpeechT5HifiGanConfig
from transformers.models.speecht5.modeling_speecht5 import SpeechT5SpeechDecoderPrenet

from fast_speecht5 import generate_speech, prepare

N_TOKENS = (41, 23, 60)
NEVER = {"threshold": 9.0, "maxlenratio": 3.0}  # random weights do not know when to stop: the length ratio ends them


@pytest.fixture(scope="module")
def models() -> tuple[SpeechT5ForTextToSpeech, SpeechT5HifiGan]:
    torch.manual_seed(0)
    model, vocoder = SpeechT5ForTextToSpeech(SpeechT5Config()), SpeechT5HifiGan(SpeechT5HifiGanConfig())
    with torch.no_grad():
        # Fresh weights are so small that speech would be near silence, whatever goes in. Make what is fed back matter.
        for module in vocoder.modules():
            if isinstance(module, (torch.nn.Conv1d, torch.nn.ConvTranspose1d)):
                torch.nn.init.kaiming_normal_(module.weight, a=0.1, mode="fan_in")
                module.weight.mul_(0.7)
        model.speech_decoder_postnet.feat_out.weight.mul_(5)
    return model.eval(), vocoder.eval()


@pytest.fixture(scope="module")
def sentences() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(4, 80, (length,), generator=generator) for length in N_TOKENS]


@pytest.fixture(scope="module")
def x_vector() -> Tensor:
    return torch.randn(1, 512, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def draws_last_frame_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """transformers draws a dropout mask for every past frame and uses the last one's: let it draw only that one."""

    def consistent_dropout(self, inputs_embeds: Tensor, p: float) -> Tensor:
        mask = torch.bernoulli(inputs_embeds[0, -1], p=p)
        return inputs_embeds * mask / (1 - p)

    monkeypatch.setattr(SpeechT5SpeechDecoderPrenet, "_consistent_dropout", consistent_dropout)


def theirs(models, sentence: Tensor, x_vector: Tensor, **limits: float) -> np.ndarray:
    torch.manual_seed(3)
    model, vocoder = models
    with torch.inference_mode():
        return model.generate_speech(sentence[None], x_vector, vocoder=vocoder, **limits).numpy()


def ours(prepared, sentences: list[Tensor], x_vector: Tensor, **limits: float) -> list[np.ndarray]:
    torch.manual_seed(3)
    return generate_speech(prepared, sentences, x_vector, **limits)


def snr(expected: np.ndarray, heard: np.ndarray) -> float:
    """Decibels."""
    return float(10 * np.log10(np.square(expected).sum() / max(np.square(heard - expected).sum(), 1e-30)))


@pytest.mark.usefixtures("draws_last_frame_only")
def test_float32_is_what_transformers_says(models, sentences, x_vector):
    prepared = prepare(*models, exact=True)
    expected = theirs(models, sentences[0], x_vector, **NEVER)
    (heard,) = ours(prepared, sentences[:1], x_vector, **NEVER)
    assert heard.dtype == np.float32
    assert heard.shape == expected.shape
    assert np.abs(expected).max() > 0.01  # not silence
    assert snr(expected, heard) > 70


@pytest.mark.usefixtures("draws_last_frame_only")
@pytest.mark.parametrize("threshold", [0.97, 1.0, 1.03])
def test_it_stops_where_transformers_stops(models, sentences, x_vector, threshold):
    prepared = prepare(*models, exact=True)
    limits = {"threshold": threshold, "minlenratio": 0.5, "maxlenratio": 2.0}
    expected = theirs(models, sentences[1], x_vector, **limits)
    assert ours(prepared, sentences[1:2], x_vector, **limits)[0].shape == expected.shape


@pytest.mark.slow
def test_company_does_not_change_what_is_heard(models, sentences, x_vector):
    prepared = prepare(*models, exact=True)
    together = ours(prepared, sentences, x_vector, **NEVER)
    for sentence, heard in zip(sentences, together, strict=True):
        (alone,) = ours(prepared, [sentence], x_vector, **NEVER)
        assert heard.shape == alone.shape
        assert snr(alone, heard) > 70


def test_reduced_precision_is_far_below_what_dropout_changes(models, sentences, x_vector):
    """SpeechT5 never says a sentence twice alike: its prenet drops other values each time. int8 changes a thirtieth of that."""
    prepared = prepare(*models, exact=True)
    exact = ours(prepared, sentences[:1], x_vector, **NEVER)[0]
    fast = ours(prepare(*models), sentences[:1], x_vector, **NEVER)[0]
    torch.manual_seed(4)
    again = generate_speech(prepared, sentences[:1], x_vector, **NEVER)[0]
    assert snr(exact, fast) > 10 + snr(exact, again)


def test_the_models_given_stay_as_they_were(models, sentences, x_vector):
    before = theirs(models, sentences[1], x_vector, **NEVER)
    prepare(*models)
    assert np.array_equal(theirs(models, sentences[1], x_vector, **NEVER), before)


def test_models_in_another_precision_are_refused(models):
    with pytest.raises(ValueError, match=r"dtype=torch\.float32"):
        prepare(SpeechT5ForTextToSpeech(SpeechT5Config()).half(), models[1])
