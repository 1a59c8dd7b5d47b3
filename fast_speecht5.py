"""SpeechT5 text-to-speech on a CPU: the same speech as transformers' `generate_speech`, several times sooner.

Knows SpeechT5ForTextToSpeech, SpeechT5HifiGan and their arithmetic. Knows nothing of text, tokenizers, voices or files.

Where the time goes, and what is done about it, in order of size:

1. One decoder step reads 50 million weights for two frames of 16 ms. It is one graph, whose weights are in int8 where that is faster:
   a quarter of the memory traffic. What touches a mel directly stays in float32.
2. transformers runs the prenet over all past frames at every step and copies its key-value caches to grow them. Here one frame goes
   through, into caches allocated once.
3. The vocoder is about a third of what is left. Its narrow convolutions are several times faster channels-last. It stays float32.

Source of the arithmetic: transformers `modeling_speecht5.py`, `_generate_speech`.
"""

from __future__ import annotations

import copy
import functools
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from torch import Tensor, nn
from transformers import SpeechT5ForTextToSpeech, SpeechT5HifiGan

from cores import STEP_THREADS, free_threads
from int8_graph import Bound, Builder, Graph, int8_is_faster, set_num_threads
from kernels import Linear, fastest_dtype, float_linear

if TYPE_CHECKING:
    from onnx import ModelProto

    from checkpoints import SpeechT5

BLOCK = 32  # weights to a scale


@dataclass(frozen=True, eq=False)
class PreparedSpeechT5:
    """SpeechT5 with its frame loop as a graph. `model` is as it came and stays usable."""

    model: SpeechT5ForTextToSpeech
    encoder: Any
    cross_kv: tuple[Linear, ...]  # per layer, the text's keys and values, which every step looks at
    step: Graph  # a mel frame -> two more, and whether it is over
    fast_vocoder: SpeechT5HifiGan


@torch.inference_mode()
def prepare(model: SpeechT5ForTextToSpeech, vocoder: SpeechT5HifiGan, exact: bool = False) -> PreparedSpeechT5:
    """The fast form, made once after loading; the graph at its first step.

    Args:
        exact: in float32 throughout, as transformers computes; else as is fastest.

    Raises:
        ValueError: a model is not in float32.
    """
    for name, module in (("SpeechT5", model), ("The vocoder", vocoder)):
        if module.dtype != torch.float32:
            raise ValueError(f"{name} holds {module.dtype}. Load it with dtype=torch.float32.")
        module.eval()
    dtype = torch.float32 if exact else fastest_dtype()
    block = None if exact or not int8_is_faster() else BLOCK
    attentions = [layer.encoder_attn for layer in model.speecht5.decoder.wrapped_decoder.layers]
    return PreparedSpeechT5(
        model=model,
        encoder=_swapped(model.speecht5.encoder, nn.Linear, lambda linear: _PackedLinear(linear, dtype)),
        cross_kv=tuple(_packed(*_joined(attention.k_proj, attention.v_proj), dtype) for attention in attentions),
        step=Graph(functools.partial(_step, model, block)),
        fast_vocoder=_swapped(vocoder, (nn.Conv1d, nn.ConvTranspose1d), _ChannelsLastConv),
    )


def _step(model: SpeechT5ForTextToSpeech, block: int | None, folder: Path) -> ModelProto:
    """Of one frame, after transformers' `SpeechT5SpeechDecoderPrenet`, `SpeechT5DecoderLayer` and `SpeechT5SpeechDecoderPostnet`."""
    decoder, postnet, builder = model.speecht5.decoder, model.speech_decoder_postnet, Builder(folder, block)
    n_heads, caches, written = model.config.decoder_attention_heads, [], []
    # 1. Prenet.
    x = "mel"
    for index, linear in enumerate(decoder.prenet.layers):
        x = builder.add("Mul", [builder.add("Relu", [builder.float_linear(x, linear.weight, linear.bias)]), f"dropout{index}"])
    final, with_voice = decoder.prenet.final_layer, decoder.prenet.speaker_embeds_layer
    x = builder.add("Add", [builder.float_linear(x, final.weight, final.bias), "position"])
    x = builder.add("Relu", [builder.float_linear(builder.add("Concat", [x, "voice"], axis=-1), with_voice.weight, with_voice.bias)])
    # 2. Layers.
    for index, layer in enumerate(decoder.wrapped_decoder.layers):
        own, cross, feed_forward = layer.self_attn, layer.encoder_attn, layer.feed_forward
        named = [f"{name}{index}" for name in ("keys", "values", "text_keys", "text_values")]
        caches += named
        written += [f"{name}_after" for name in named[:2]]
        attention = builder.add(
            "GroupQueryAttention",
            [builder.linear(x, *_joined(own.q_proj, own.k_proj, own.v_proj)), "", "", *named[:2], "last", "total"],
            [f"attention{index}", *written[-2:]],
            num_heads=n_heads,
            kv_num_heads=n_heads,
        )
        x = builder.normed_sum(x, builder.linear(attention, own.out_proj.weight, own.out_proj.bias), layer.self_attn_layer_norm)
        q = builder.linear(x, cross.q_proj.weight, cross.q_proj.bias)
        attention = builder.add("MultiHeadAttention", [q, *named[2:], "", "is_text"], num_heads=n_heads)
        x = builder.normed_sum(x, builder.linear(attention, cross.out_proj.weight, cross.out_proj.bias), layer.encoder_attn_layer_norm)
        hidden = builder.add("Gelu", [builder.linear(x, feed_forward.intermediate_dense.weight, feed_forward.intermediate_dense.bias)])
        narrow = feed_forward.output_dense
        x = builder.normed_sum(x, builder.linear(hidden, narrow.weight, narrow.bias), layer.final_layer_norm)
    # 3. Two mel frames, and whether it is over.
    builder.float_linear(x, *_joined(postnet.feat_out, postnet.prob_out), ["mel_and_stop"])
    floats = ["mel", "position", "voice", *(f"dropout{index}" for index in range(len(decoder.prenet.layers))), *caches]
    inputs = dict.fromkeys(floats, np.float32) | dict.fromkeys(("last", "total", "is_text"), np.int32)
    return builder.build(inputs, ["mel_and_stop", *written])


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

    def heads(projected: Tensor) -> Tensor:
        return projected.view(n_sentences, -1, n_heads, config.hidden_size // n_heads).transpose(1, 2).contiguous()

    # 2. Memory only becomes real where it is written, so room for the longest speech costs nothing.
    cache = torch.empty(len(prepared.cross_kv), 2, n_sentences, n_heads, n_steps, config.hidden_size // n_heads)
    voice = F.normalize(x_vector).expand(n_sentences, -1)[:, None].contiguous()
    inputs, written = {"voice": voice, "is_text": is_text.int()}, dict[str, Tensor]()
    for index, cross_kv in enumerate(prepared.cross_kv):
        for name, own, text in zip(("keys", "values"), cache[index], cross_kv(encoded).chunk(2, -1), strict=True):
            inputs |= {f"{name}{index}": own, f"text_{name}{index}": heads(text)}
            written[f"{name}{index}_after"] = own
    positions = prenet.encode_positions.alpha * prenet.encode_positions.pe[0, :n_steps]
    mel, position = torch.zeros(n_sentences, 1, n_bins), positions[0].clone()
    masks = [torch.empty(linear.out_features) for linear in prenet.layers]
    last, total = torch.empty(n_sentences, dtype=torch.int32), torch.empty((), dtype=torch.int32)
    inputs |= {"mel": mel, "position": position, "last": last, "total": total}
    inputs |= {f"dropout{index}": mask for index, mask in enumerate(masks)}
    written["mel_and_stop"] = mel_and_stop = torch.empty(n_sentences, 1, (n_bins + 1) * config.reduction_factor)
    graph, dropout = Bound(prepared.step, inputs, written), config.speech_decoder_prenet_dropout
    set_num_threads(min(STEP_THREADS, free_threads()))

    running = list(range(n_sentences))
    for step in range(n_steps):
        # 3. The prenet's dropout stays on in inference, by design, and is one mask for all sentences. transformers draws one
        #    for every past frame too, and uses the last.
        for mask in masks:
            mask.bernoulli_(dropout).div_(1 - dropout)
        position.copy_(positions[step])
        last.fill_(step)
        total.fill_(step + 1)
        graph()
        # 4. Two mel frames, and whether each sentence is over.
        spectra, stop = mel_and_stop[:, 0].split([n_bins * config.reduction_factor, config.reduction_factor], -1)
        spectra = spectra.reshape(n_sentences, config.reduction_factor, n_bins).clone()  # the next step's come to the same place
        says_stop = (stop.sigmoid().sum(-1) >= threshold).tolist()
        yield spectra, running
        running = [index for index in running if step + 1 < longest[index] and not (says_stop[index] and step + 1 >= shortest[index])]
        if not running:
            return
        mel.copy_(spectra[:, -1:])


def _joined(*linears: nn.Linear) -> tuple[Tensor, Tensor]:
    """The weight and the bias of several projections of the same input as one."""
    return torch.cat([each.weight for each in linears]), torch.cat([each.bias for each in linears])


def _packed(weight: Tensor, bias: Tensor, dtype: torch.dtype) -> Linear:
    """float32 in and out, whatever the weight is in."""
    packed = float_linear(weight, bias, dtype)
    return packed if dtype == torch.float32 else lambda rows: packed(rows.to(dtype)).float()


class _PackedLinear(nn.Module):
    def __init__(self, linear: nn.Linear, dtype: torch.dtype) -> None:
        super().__init__()
        self.apply_to = _packed(linear.weight, linear.bias, dtype)

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
