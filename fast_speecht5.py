"""SpeechT5 text-to-speech on a CPU: the same speech as transformers' `generate_speech`, several times sooner.

Knows SpeechT5ForTextToSpeech, SpeechT5HifiGan and their arithmetic. Knows nothing of text, tokenizers, voices or files.

Where the time goes, and what is done about it, in order of size:

1. One decoder step reads 50 million weights for two frames of 16 ms. They are packed once, in float16 or bfloat16 where that is
   faster: half the memory traffic, and none of the slow gemv.
2. transformers runs the prenet over all past frames at every step and copies its key-value caches to grow them. Here one frame goes
   through, into caches allocated once.
3. The vocoder is about a third of what is left. Its narrow convolutions are several times faster channels-last. It stays float32.

Source of the arithmetic: transformers `modeling_speecht5.py`, `_generate_speech`.
"""

from __future__ import annotations

import copy
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from torch import Tensor, nn
from transformers import SpeechT5ForTextToSpeech, SpeechT5HifiGan

from kernels import Linear, fastest_dtype, float16_is_faster, float16_linear, float_linear

if TYPE_CHECKING:
    from checkpoints import SpeechT5


@dataclass(frozen=True, eq=False)
class _DecoderLayer:
    self_qkv: Linear
    self_out: Linear
    cross_q: Linear
    cross_kv: Linear
    cross_out: Linear
    widen: Linear  # with its GELU
    narrow: Linear
    norms: tuple[nn.LayerNorm, nn.LayerNorm, nn.LayerNorm]  # after self-attention, cross-attention, feed-forward


@dataclass(frozen=True, eq=False)
class PreparedSpeechT5:
    """SpeechT5 with the weights of its frame loop packed. `model` is as it came and stays usable."""

    model: SpeechT5ForTextToSpeech
    prenet: tuple[Linear, ...]  # mel -> hidden, one per layer; float32, like everything that touches a mel directly
    prenet_final: Linear
    prenet_voice: Linear  # joins the voice in
    encoder: Any
    layers: tuple[_DecoderLayer, ...]
    mel_and_stop: Linear
    fast_vocoder: SpeechT5HifiGan


@torch.inference_mode()
def prepare(model: SpeechT5ForTextToSpeech, vocoder: SpeechT5HifiGan, dtype: torch.dtype | None = None) -> PreparedSpeechT5:
    """Pack the weights, once after loading.

    `dtype` is that of the encoder's and the decoder's weights: None takes the fastest of each, torch.float32 repeats transformers.

    Raises ValueError if a model is not in float32.
    """
    for name, module in (("SpeechT5", model), ("The vocoder", vocoder)):
        if module.dtype != torch.float32:
            raise ValueError(f"{name} holds {module.dtype}. Load it with dtype=torch.float32.")
        module.eval()
    # For the text's many rows, and for a step's few.
    of_text, of_step = dtype or fastest_dtype(), dtype or (torch.float16 if float16_is_faster() else fastest_dtype())

    def decoder_layer(layer: Any) -> _DecoderLayer:
        own, cross, feed_forward = layer.self_attn, layer.encoder_attn, layer.feed_forward
        return _DecoderLayer(
            self_qkv=_packed(_joined(own.q_proj, own.k_proj, own.v_proj), of_step),
            self_out=_packed(own.out_proj, of_step),
            cross_q=_packed(cross.q_proj, of_step),
            cross_kv=_packed(_joined(cross.k_proj, cross.v_proj), of_text),
            cross_out=_packed(cross.out_proj, of_step),
            widen=_packed(feed_forward.intermediate_dense, of_step, "gelu"),
            narrow=_packed(feed_forward.output_dense, of_step),
            norms=(layer.self_attn_layer_norm, layer.encoder_attn_layer_norm, layer.final_layer_norm),
        )

    decoder, postnet = model.speecht5.decoder, model.speech_decoder_postnet
    return PreparedSpeechT5(
        model=model,
        prenet=tuple(_packed(each, torch.float32, "relu") for each in decoder.prenet.layers),
        prenet_final=_packed(decoder.prenet.final_layer, torch.float32),
        prenet_voice=_packed(decoder.prenet.speaker_embeds_layer, torch.float32, "relu"),
        encoder=_swapped(model.speecht5.encoder, nn.Linear, lambda linear: _PackedLinear(linear, of_text)),
        layers=tuple(decoder_layer(each) for each in decoder.wrapped_decoder.layers),
        mel_and_stop=_packed(_joined(postnet.feat_out, postnet.prob_out), torch.float32),
        fast_vocoder=_swapped(vocoder, (nn.Conv1d, nn.ConvTranspose1d), _ChannelsLastConv),
    )


_prepared: weakref.WeakKeyDictionary[SpeechT5, PreparedSpeechT5] = weakref.WeakKeyDictionary()
_preparing = threading.Lock()


def fast(speecht5: SpeechT5) -> PreparedSpeechT5:
    """The fast form of a loaded checkpoint: made on the first call, shared by all later ones."""
    with _preparing:
        if speecht5 not in _prepared:
            _prepared[speecht5] = prepare(speecht5.model, speecht5.vocoder)
        return _prepared[speecht5]


@torch.inference_mode()
def generate_speech(
    prepared: PreparedSpeechT5,
    sentences: Sequence[Tensor],
    x_vector: Tensor,
    check: Callable[[], None] = lambda: None,
    **limits: float,
) -> list[np.ndarray]:
    """Speak one or several sentences at once.

    Args:
        sentences: token ids, int64, shape (n_tokens,) each, without padding.
        x_vector: the voice, float32, shape (1, 512).
        check: called at every frame, and before each vocoding; ends it all by raising.
        limits: threshold, minlenratio and maxlenratio, as in transformers' `generate_speech`.

    Returns one waveform per sentence: float32, shape (n_samples,), 16 kHz mono.
    """
    frames: list[list[Tensor]] = [[] for _ in sentences]
    for spectra, running in _decode(prepared, sentences, x_vector, **limits):
        check()
        for index in running:
            frames[index].append(spectra[index])
    waveforms = []
    for mel in frames:
        check()
        log_mel = prepared.model.speech_decoder_postnet.postnet(torch.cat(mel)[None])
        waveforms.append(prepared.fast_vocoder(log_mel)[0].numpy())
    return waveforms


def _decode(
    prepared: PreparedSpeechT5,
    sentences: Sequence[Tensor],
    x_vector: Tensor,
    threshold: float = 0.5,
    minlenratio: float = 0.0,
    maxlenratio: float = 20.0,
) -> Iterator[tuple[Tensor, list[int]]]:
    """The frame loop. Yields (mel frames (n_sentences, 2, 80), sentences that they belong to).

    The ratios count by each sentence's own length, where transformers takes the longest of the batch: company does
    not change what a sentence says. A sentence that ended is decoded on, unheard, until all have; at a few sentences
    a row costs far less than moving the caches would.
    """
    config, prenet = prepared.model.config, prepared.model.speecht5.decoder.prenet
    n_sentences, n_heads, n_bins = len(sentences), config.decoder_attention_heads, config.num_mel_bins
    lengths = [sentence.numel() for sentence in sentences]
    shortest = [int(length * minlenratio / config.reduction_factor) for length in lengths]
    longest = [max(1, int(length * maxlenratio / config.reduction_factor)) for length in lengths]
    n_steps = min(max(longest), config.max_speech_positions)

    # 1. Encode, and project the keys and values that every step will look at.
    input_ids = nn.utils.rnn.pad_sequence([s.view(-1) for s in sentences], True, config.pad_token_id)
    is_text = torch.arange(input_ids.size(1)) < torch.tensor(lengths)[:, None]
    encoded = prepared.encoder(input_ids, attention_mask=is_text.int()).last_hidden_state
    cross_mask = None if is_text.all() else is_text[:, None, None]

    def heads(projected: Tensor) -> Tensor:
        return projected.view(n_sentences, -1, n_heads, config.hidden_size // n_heads).transpose(1, 2)

    cross = [[heads(each).contiguous() for each in layer.cross_kv(encoded).chunk(2, dim=-1)] for layer in prepared.layers]

    # 2. Memory only becomes real where it is written, so room for the longest speech costs nothing.
    room = (len(prepared.layers), 2, n_sentences, n_heads, n_steps, config.hidden_size // n_heads)
    cache = torch.empty(room)
    voice = F.normalize(x_vector).expand(n_sentences, -1)
    positions = prenet.encode_positions.alpha * prenet.encode_positions.pe[0, :n_steps]
    dropout = config.speech_decoder_prenet_dropout

    mel = torch.zeros(n_sentences, n_bins)
    running = list(range(n_sentences))
    for step in range(n_steps):
        # 3. Prenet. Its dropout stays on in inference, by design, and is one mask for all sentences. transformers
        #    draws one for every past frame too, and uses the last.
        hidden = mel
        for linear in prepared.prenet:
            hidden = linear(hidden)
            hidden = hidden * torch.empty(hidden.size(-1)).bernoulli_(dropout) / (1 - dropout)
        hidden = prepared.prenet_final(hidden) + positions[step]
        hidden = prepared.prenet_voice(torch.cat([hidden, voice], dim=-1))

        # 4. Decoder layers, one frame wide. Only the weights may be 16 bits: attention to one query in bfloat16 is
        #    seven times slower than in float32, and it is the sums that would lose by it.
        for layer, (keys, values), (cross_keys, cross_values) in zip(prepared.layers, cache, cross, strict=True):
            query, key, value = layer.self_qkv(hidden).view(n_sentences, 3, n_heads, -1).unbind(1)
            keys[:, :, step], values[:, :, step] = key, value
            seen = F.scaled_dot_product_attention(query[:, :, None], keys[:, :, : step + 1], values[:, :, : step + 1])
            hidden = layer.norms[0](hidden + layer.self_out(seen.view(n_sentences, -1)))
            query = heads(layer.cross_q(hidden))
            seen = F.scaled_dot_product_attention(query, cross_keys, cross_values, attn_mask=cross_mask)
            hidden = layer.norms[1](hidden + layer.cross_out(seen.view(n_sentences, -1)))
            hidden = layer.norms[2](hidden + layer.narrow(layer.widen(hidden)))

        # 5. Two mel frames, and whether each sentence is over.
        spectra, stop = prepared.mel_and_stop(hidden).split([n_bins * config.reduction_factor, config.reduction_factor], -1)
        spectra = spectra.view(n_sentences, config.reduction_factor, n_bins)
        says_stop = (stop.sigmoid().sum(-1) >= threshold).tolist()
        yield spectra, running
        running = [index for index in running if step + 1 < longest[index] and not (says_stop[index] and step + 1 >= shortest[index])]
        if not running:
            return
        mel = spectra[:, -1]


def _joined(*linears: nn.Linear) -> nn.Linear:
    """Several projections of the same input as one."""
    joined = nn.Linear(linears[0].in_features, sum(each.out_features for each in linears))
    joined.weight = nn.Parameter(torch.cat([each.weight for each in linears]), requires_grad=False)
    joined.bias = nn.Parameter(torch.cat([each.bias for each in linears]), requires_grad=False)
    return joined


def _packed(linear: nn.Linear, dtype: torch.dtype, activation: str = "none") -> Linear:
    """float32 in and out, whatever the weight is in."""
    if dtype == torch.float16:
        return float16_linear(linear.weight, linear.bias, activation)
    packed = float_linear(linear.weight, linear.bias, dtype, activation)
    return packed if dtype == torch.float32 else lambda rows: packed(rows.to(dtype)).float()


class _PackedLinear(nn.Module):
    def __init__(self, linear: nn.Linear, dtype: torch.dtype) -> None:
        super().__init__()
        self.apply_to = _packed(linear, dtype)

    def forward(self, rows: Tensor) -> Tensor:
        return self.apply_to(rows)


class _ChannelsLastConv(nn.Module):
    """A 1-D convolution as a 2-D one of height 1.

    oneDNN has fast channels-last kernels for the second only, and a mel of shape (n_frames, n_bins) arrives that way.
    """

    def __init__(self, conv: Any) -> None:
        super().__init__()
        self.weight = conv.weight.detach().unsqueeze(2).contiguous(memory_format=torch.channels_last)
        self.bias = conv.bias.detach()
        (stride,), (padding,), (dilation,) = conv.stride, conv.padding, conv.dilation
        self.options: dict[str, Any] = {"stride": (1, stride), "padding": (0, padding), "dilation": (1, dilation)}
        self.convolve: Any = F.conv_transpose2d if isinstance(conv, nn.ConvTranspose1d) else F.conv2d

    def forward(self, hidden_states: Tensor) -> Tensor:
        return self.convolve(hidden_states.unsqueeze(2), self.weight, self.bias, **self.options).squeeze(2)


def _swapped(module: Any, kinds: type | tuple[type, ...], swap: Callable[[Any], nn.Module]) -> Any:
    """A copy that runs transformers' own forward over other layers."""
    layers = {name: each for name, each in module.named_modules() if isinstance(each, kinds)}
    module = copy.deepcopy(module, {id(each): each for each in layers.values()})  # these are about to go: share them
    for name, each in layers.items():
        module.set_submodule(name, swap(each))
    return module
