"""A Whisper checkpoint's weights in the form that computes fastest on this machine: mel, encoder, decoder.

Knows: which precision and which kernels are fast here, and that weights are shared while caches are not.
Does not know: windows, temperatures, timestamps, text; that is in decoding.py.

- Where this machine is faster that way, the encoder computes in bfloat16, and most of its weights and those of the decoder's layers are
  int8. What that costs, a translation shows: its encoder has the checkpoint's own weights, and its decoder's layers more scales.
- A decoder step is one graph where it is int8 (int8_graph.py), else small operators on preallocated tensors: no cache classes, no hooks.

Source of the architecture: openai/whisper `audio.py` and `model.py`; of the weights: `WhisperForConditionalGeneration`.
"""

from __future__ import annotations

import functools
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from torch import Tensor

import int8_graph
from audio import SAMPLING_RATE
from cores import STEP_THREADS, threads
from int8_decoder import Int8Decoder, fused_qkv, in_int8, scaled_q
from int8_graph import int8_is_faster
from kernels import Linear, fastest_dtype, float_linear, int8_rows_are_faster, int8_rows_linear

if TYPE_CHECKING:
    from transformers import WhisperForConditionalGeneration, WhisperTokenizer

    from checkpoints import Whisper

N_FFT = 400  # samples: 25 ms
HOP = 160  # samples: 10 ms, one mel frame
N_SAMPLES_PER_POSITION = 2 * HOP  # the second convolution halves the mel frames: 50 encoder positions a second
# Windows have one of some fifteen lengths: oneDNN takes a tenth of a second to get ready for one that it has not met, and
# keeps megabytes for each. Rows by the 32 are also what its products like best.
POSITIONS_STEP = 32  # of windows of up to ten steps; longer ones have steps of twice, four times and so on
WINDOW_SECONDS = 30.0  # Whisper hears 30 s at a time
# Layers of the encoder that are never int8: what the first one loses comes to the decoder as five times what any other loses.
N_FLOAT_LAYERS = 1
# Weights to a scale in the decoder's layers. The next token differs from float32's by a KL divergence of 0.0006 and 0.0004 (scratch run,
# with the vocabulary in int8, too). With 128, 0.0013, a step takes a tenth less, and a sentence of the long recordings was left out.
BLOCK, PRECISE_BLOCK = 32, 16
# With AMX, oneDNN takes up to a fifth longer for the products of some 350 to 1000 rows than for the same in parts (scratch run).
PART_ROWS, WHOLE_ROWS = 288, 1024
ATTENTION_ROWS = 128  # queries at once in the encoder: their scores stay in the second-level cache

Norm = Callable[[Tensor], Tensor]


# --- the model ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _EncoderLayer:
    dtype: torch.dtype  # of the sums that it adds to
    attention_norm: Norm
    qkv: Linear  # fused; queries are scaled already
    attention_out: Linear
    mlp_norm: Norm
    fc1: Linear  # and its activation
    fc2: Linear


@dataclass(frozen=True, eq=False)
class _DecoderLayer:
    attention_norm: Norm
    qkv: Linear
    attention_out: Linear
    cross_norm: Norm
    cross_q: Linear
    cross_out: Linear
    mlp_norm: Norm
    fc1: Linear
    fc2: Linear


@dataclass(frozen=True, eq=False)
class FloatDecoder:
    """A decoder by torch's operators."""

    embeddings: Tensor  # (n_vocabulary, d)
    positions: Tensor  # (448, d)
    layers: tuple[_DecoderLayer, ...]
    norm: Norm
    vocabulary: Linear


@dataclass(frozen=True, eq=False)
class Tokens:
    """The special tokens of one checkpoint."""

    start: int  # <|startoftranscript|>
    end: int  # <|endoftext|>; every text token is below it
    previous: int  # <|startofprev|>
    no_speech: int
    no_timestamps: int
    first_timestamp: int  # <|0.00|>
    max_initial_timestamp: int  # the last timestamp that a window may begin with
    languages: dict[str, int]  # by code; empty for an English-only checkpoint
    tasks: dict[str, int]  # as above
    suppressed: tuple[int, ...]
    suppressed_first: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class FastWhisper:
    """A Whisper checkpoint prepared for `decode`. Read-only: any number of threads may share it."""

    device: torch.device
    encoder_dtype: torch.dtype  # of activations; sums of int8 layers are float32
    encoder_is_int8: bool  # whether the weights of all layers but the first are
    decoder_dtype: torch.dtype  # of activations and caches; what an `Int8Decoder` attends to in the audio is int8
    n_heads: int  # of either side: every Whisper has as many here as there
    n_positions: int  # tokens that a decoder can hold: 448
    mel_filters: Tensor  # float32, (n_mels, 201)
    mel_window: Tensor  # float32, (400,)
    convolutions: tuple[Linear, ...]  # and their activations, of the 3 frames that each position is made of
    encoder_positions: Tensor  # (1500, d)
    encoder_layers: tuple[_EncoderLayer, ...]
    encoder_norm: Norm
    cross_kv: Linear  # the keys of every decoder layer at once, then the values
    n_decoder_layers: int
    decoder: Int8Decoder | FloatDecoder
    suppressed: Tensor  # int64: tokens that never follow
    suppressed_untimed: Tensor  # the same, and all timestamps
    suppressed_first: Tensor  # nor come first in a window
    alignment_heads: tuple[tuple[int, int], ...]  # (layer, head)
    tokens: Tokens
    tokenizer: WhisperTokenizer


def prepare(model: WhisperForConditionalGeneration, tokenizer: WhisperTokenizer, mel_filters: np.ndarray) -> FastWhisper:
    """The fast form of a checkpoint.

    Args:
        model: any size of Whisper, on the device where it is to run; its own dtype on CUDA is kept.
        mel_filters: (201, n_mels), as `WhisperFeatureExtractor.mel_filters` has them.
    """
    config, device = model.config, model.device
    on_cpu = device.type == "cpu"
    encoder_dtype = fastest_dtype() if on_cpu else model.dtype
    decoder_dtype = torch.float32 if on_cpu else model.dtype
    encoder_is_int8, decoder_is_int8 = on_cpu and int8_rows_are_faster(), on_cpu and int8_is_faster()
    decoder = model.model.decoder

    with torch.inference_mode():
        cross = [layer.encoder_attn for layer in decoder.layers]
        biases = [*(torch.zeros_like(a.v_proj.bias) for a in cross), *(a.v_proj.bias for a in cross)]  # keys have none
        cross_kv = torch.cat([*(a.k_proj.weight for a in cross), *(a.v_proj.weight for a in cross)]), torch.cat(biases)
        tokens = _special_tokens(model.generation_config)
        side = model.model.encoder
        return FastWhisper(
            device=device,
            encoder_dtype=encoder_dtype,
            encoder_is_int8=encoder_is_int8,
            decoder_dtype=decoder_dtype,
            n_heads=config.encoder_attention_heads,
            n_positions=config.max_target_positions,
            mel_filters=torch.from_numpy(np.ascontiguousarray(mel_filters.T, dtype=np.float32)).to(device),
            mel_window=torch.hann_window(N_FFT, device=device),
            convolutions=tuple(float_linear(*_frames(conv), encoder_dtype, "gelu") for conv in (side.conv1, side.conv2)),
            encoder_positions=side.embed_positions.weight.to(encoder_dtype),
            encoder_layers=_encoder_layers(model, encoder_dtype, encoder_is_int8),
            encoder_norm=_norm(side.layer_norm, encoder_dtype),
            cross_kv=float_linear(*cross_kv, encoder_dtype),
            n_decoder_layers=len(decoder.layers),
            decoder=Int8Decoder(decoder, model.proj_out.weight, BLOCK) if decoder_is_int8 else _float_decoder(model, decoder_dtype),
            suppressed=torch.tensor(tokens.suppressed, dtype=torch.int64, device=device),
            suppressed_untimed=torch.tensor([*tokens.suppressed, *range(tokens.no_timestamps, len(model.proj_out.weight))], device=device),
            suppressed_first=torch.tensor(tokens.suppressed_first, dtype=torch.int64, device=device),
            alignment_heads=_alignment_heads(model),
            tokens=tokens,
            tokenizer=tokenizer,
        )


def _precise(fast_whisper: FastWhisper, model: WhisperForConditionalGeneration) -> FastWhisper:
    """The same, nearer to the checkpoint's weights."""
    with torch.inference_mode():
        if fast_whisper.encoder_is_int8:
            layers = _encoder_layers(model, fast_whisper.encoder_dtype, is_int8=False)
            fast_whisper = replace(fast_whisper, encoder_is_int8=False, encoder_layers=layers)
    if isinstance(fast_whisper.decoder, Int8Decoder):
        fast_whisper = replace(fast_whisper, decoder=Int8Decoder(model.model.decoder, model.proj_out.weight, PRECISE_BLOCK))
    return fast_whisper


def _encoder_layers(model: WhisperForConditionalGeneration, dtype: torch.dtype, is_int8: bool) -> tuple[_EncoderLayer, ...]:
    def layer(module: Any, is_int8: bool) -> _EncoderLayer:
        of_sums = torch.float32 if is_int8 else dtype

        def linear(weight: Tensor, bias: Tensor, activation: str = "none") -> Linear:
            return int8_rows_linear(weight, bias, activation) if is_int8 else float_linear(weight, bias, dtype, activation)

        return _EncoderLayer(
            of_sums,
            _norm(module.self_attn_layer_norm, of_sums),
            linear(*fused_qkv(module.self_attn)),
            linear(module.self_attn.out_proj.weight, module.self_attn.out_proj.bias),
            _norm(module.final_layer_norm, of_sums),
            linear(module.fc1.weight, module.fc1.bias, "gelu"),
            linear(module.fc2.weight, module.fc2.bias),
        )

    return tuple(layer(module, is_int8 and index >= N_FLOAT_LAYERS) for index, module in enumerate(model.model.encoder.layers))


def _frames(convolution: Any) -> tuple[Tensor, Tensor]:
    """A convolution as a product with the frames under it: at 30 s a third of its time (scratch run), laid out as the layers want it."""
    return convolution.weight.transpose(1, 2).flatten(1), convolution.bias


def _float_decoder(model: WhisperForConditionalGeneration, dtype: torch.dtype) -> FloatDecoder:
    decoder, linear = model.model.decoder, functools.partial(float_linear, dtype=dtype)
    layers = tuple(
        _DecoderLayer(
            _norm(layer.self_attn_layer_norm, dtype),
            linear(*fused_qkv(layer.self_attn)),
            linear(layer.self_attn.out_proj.weight, layer.self_attn.out_proj.bias),
            _norm(layer.encoder_attn_layer_norm, dtype),
            linear(*scaled_q(layer.encoder_attn)),
            linear(layer.encoder_attn.out_proj.weight, layer.encoder_attn.out_proj.bias),
            _norm(layer.final_layer_norm, dtype),
            linear(layer.fc1.weight, layer.fc1.bias),
            linear(layer.fc2.weight, layer.fc2.bias),
        )
        for layer in decoder.layers
    )
    return FloatDecoder(
        embeddings=decoder.embed_tokens.weight.detach(),
        positions=decoder.embed_positions.weight.to(dtype),
        layers=layers,
        norm=_norm(decoder.layer_norm, dtype),
        vocabulary=linear(model.proj_out.weight, None),
    )


def _norm(module: torch.nn.LayerNorm, dtype: torch.dtype) -> Norm:
    shape, weight, bias = module.normalized_shape, module.weight.to(dtype), module.bias.to(dtype)
    return lambda x: F.layer_norm(x, shape, weight, bias)


def _special_tokens(generation_config: Any) -> Tokens:
    """From the checkpoint's generation config; <|nospeech|> precedes <|notimestamps|> in every Whisper."""
    no_timestamps = int(generation_config.no_timestamps_token_id)
    languages = getattr(generation_config, "lang_to_id", None) or {}
    end = generation_config.eos_token_id
    return Tokens(
        start=int(generation_config.decoder_start_token_id),
        end=int(end[0] if isinstance(end, list) else end),
        previous=int(getattr(generation_config, "prev_sot_token_id", None) or no_timestamps - 2),
        no_speech=no_timestamps - 1,
        no_timestamps=no_timestamps,
        first_timestamp=no_timestamps + 1,
        max_initial_timestamp=no_timestamps + 1 + int(getattr(generation_config, "max_initial_timestamp_index", None) or 50),
        languages={token.strip("<|>"): int(index) for token, index in languages.items()},
        tasks={task: int(index) for task, index in (getattr(generation_config, "task_to_id", None) or {}).items()},
        suppressed=tuple(
            sorted(
                {
                    *(generation_config.suppress_tokens or ()),
                    # what only ever belongs to a prompt: <|startoftranscript|>, languages, tasks ... <|nospeech|>
                    *range(int(generation_config.decoder_start_token_id), no_timestamps),
                }
            )
        ),
        suppressed_first=tuple(generation_config.begin_suppress_tokens or ()),
    )


def _alignment_heads(model: WhisperForConditionalGeneration) -> tuple[tuple[int, int], ...]:
    """The heads that attend where a word is said; where nobody measured them, all of the upper half of the layers.

    A distilled checkpoint may still name those of the one that it was made from, whose layers it has not.
    """
    n_layers, n_heads = model.config.decoder_layers, model.config.decoder_attention_heads
    named = getattr(model.generation_config, "alignment_heads", None) or ()
    heads = tuple((int(layer), int(head)) for layer, head in named if layer < n_layers and head < n_heads)
    return heads or tuple((layer, head) for layer in range(n_layers // 2, n_layers) for head in range(n_heads))


# By whether they are precise.
_prepared: weakref.WeakKeyDictionary[WhisperForConditionalGeneration, dict[bool, FastWhisper]] = weakref.WeakKeyDictionary()
_preparing = threading.Lock()


def fast(whisper: Whisper, precise: bool = False) -> FastWhisper:
    """The fast form of a loaded checkpoint: made on the first call, shared by all later ones.

    Args:
        precise: no layer of the encoder is in int8, and the decoder's layers have more scales.
    """
    with _preparing:
        model = whisper.model
        forms = _prepared.setdefault(model, {})
        if not forms:
            forms[False] = prepare(model, whisper.tokenizer, whisper.feature_extractor.mel_filters)
        if precise not in forms:
            forms[precise] = _precise(forms[False], model)
        return forms[precise]


def get_ready(fast_whisper: FastWhisper) -> None:
    """Makes what the first step would wait for."""
    if isinstance(fast_whisper.decoder, Int8Decoder):
        fast_whisper.decoder.graph.session(STEP_THREADS)


def is_ready(whisper: Whisper) -> bool:
    """Whether its fastest form has got ready, which streams decode with. Waits for nobody."""
    form = _prepared.get(whisper.model, {}).get(False)
    return form is not None and (not isinstance(form.decoder, Int8Decoder) or form.decoder.graph.is_ready)


@contextmanager
def step_threads(fast_whisper: FastWhisper, n_threads: int) -> Iterator[None]:
    """This thread's decoder steps on up to STEP_THREADS of `n_threads` cores."""
    with threads(1):
        set_step_threads(fast_whisper, n_threads)
        yield


def set_step_threads(fast_whisper: FastWhisper, n_threads: int) -> None:
    """ONNX Runtime has threads of its own. Where it takes the steps, torch's would only take the cores from them."""
    n_threads = min(n_threads, STEP_THREADS)
    n_torch, n_onnx = (1, n_threads) if isinstance(fast_whisper.decoder, Int8Decoder) else (n_threads, 1)
    torch.set_num_threads(n_torch)
    int8_graph.set_num_threads(n_onnx)


# --- waveform -> encoder ------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Heard:
    """What the decoder attends to, for each of its layers, in its own dtype, which is int8 for an `Int8Decoder`."""

    keys: tuple[Tensor, ...]  # (n_windows, n_heads, n_positions, head)
    values: tuple[Tensor, ...]  # as above
    scales: Tensor | None  # of int8, (2, n_layers, n_windows, n_heads, 1, head): the keys', then the values'; None where these are floats
    seconds: tuple[float, ...]  # of audio in each window, without the silence that follows it

    def window(self, index: int) -> Heard:
        one = slice(index, index + 1)
        scales = None if self.scales is None else self.scales[:, :, one]
        return Heard(tuple(keys[one] for keys in self.keys), tuple(values[one] for values in self.values), scales, self.seconds[one])

    def key(self, layer: int, head: int) -> Tensor:
        """Of the first window, (n_positions, head), as the queries are that ask it."""
        keys = self.keys[layer][0, head]
        return keys if self.scales is None else keys * self.scales[0, layer, 0, head]

    def in_floats(self) -> tuple[Tensor, ...]:
        """The keys of every layer, then the values: what `benchmarks.whisper encoder` compares."""
        parts = (*self.keys, *self.values)
        return parts if self.scales is None else tuple(map(torch.mul, parts, self.scales.flatten(0, 1)))


def log_mel(fast_whisper: FastWhisper, waveforms: Sequence[np.ndarray], n_samples: int) -> Tensor:
    """float32, (n_windows, n_mels, n_samples // 160): what `WhisperFeatureExtractor` gives, without its 30 s."""
    padded = np.zeros((len(waveforms), n_samples), np.float32)
    for row, waveform in zip(padded, waveforms, strict=True):
        row[: len(waveform)] = waveform[:n_samples]
    audio = torch.from_numpy(padded).to(fast_whisper.device)
    spectrum = torch.stft(audio, N_FFT, HOP, window=fast_whisper.mel_window, return_complex=True)[..., :-1]
    power = spectrum.real.square().addcmul_(spectrum.imag, spectrum.imag)
    mel = (fast_whisper.mel_filters @ power).clamp_min_(1e-10).log10_()
    return torch.maximum(mel, mel.amax((1, 2), keepdim=True) - 8).add_(4).div_(4)


@torch.inference_mode()
def encode(
    fast_whisper: FastWhisper, waveforms: Sequence[np.ndarray], padding_seconds: float | None, check: Callable[[], None] = lambda: None
) -> Heard:
    """Waveforms of at most 30 s each, all padded to the longest and at least `padding_seconds` of silence.

    `check` is called before each layer, and ends it all by raising.
    """
    # As little silence as may be.
    n_samples = int(WINDOW_SECONDS * SAMPLING_RATE)
    if padding_seconds is not None:
        shortest, step = max(map(len, waveforms)) + int(padding_seconds * SAMPLING_RATE), POSITIONS_STEP * N_SAMPLES_PER_POSITION
        while shortest > 10 * step:
            step *= 2
        n_samples = min(n_samples, -(-shortest // step) * step)
    # On a CPU one after another: what one window needs stays in the cache, and four together take half as long again.
    at_once = 1 if fast_whisper.device.type == "cpu" else len(waveforms)
    n_heads, n_parts = fast_whisper.n_heads, 2 * fast_whisper.n_decoder_layers
    head = fast_whisper.encoder_positions.shape[1] // n_heads
    shape = (n_parts, len(waveforms), n_heads, n_samples // N_SAMPLES_PER_POSITION, head)
    is_int8 = isinstance(fast_whisper.decoder, Int8Decoder)
    # Written where they stay: put together afterwards, several windows would be there twice.
    kept = torch.empty(shape, dtype=torch.int8 if is_int8 else fast_whisper.decoder_dtype, device=fast_whisper.device)
    scales = torch.empty(n_parts, len(waveforms), n_heads, 1, head) if is_int8 else None
    for start in range(0, len(waveforms), at_once):
        group = slice(start, start + at_once)
        heard = _encode(fast_whisper, log_mel(fast_whisper, waveforms[group], n_samples), check)
        for index, part in enumerate(_heads(heard, n_parts, n_heads)):
            if scales is None:
                kept[index, group] = part
            else:
                kept[index, group], scales[index, group] = in_int8(part)
    keys, values = kept.chunk(2)
    scales = None if scales is None else scales.unflatten(0, (2, -1))
    return Heard(tuple(keys), tuple(values), scales, tuple(len(waveform) / SAMPLING_RATE for waveform in waveforms))


def _encode(fast_whisper: FastWhisper, mel: Tensor, check: Callable[[], None]) -> Tensor:
    """(n_windows, n_mels, n_frames) -> the keys of every decoder layer, then the values: (n_windows, n_positions, 2 * n_layers * d)."""
    # 1. The convolutions.
    x = mel.to(fast_whisper.encoder_dtype).transpose(1, 2)
    for stride, linear in enumerate(fast_whisper.convolutions, start=1):
        x = linear(F.pad(x, (0, 0, 1, 1)).unfold(1, 3, stride).transpose(2, 3).flatten(2))
    x.add_(fast_whisper.encoder_positions[: x.shape[1]])
    # 2. The layers.
    n_rows = PART_ROWS if _has_amx(x) and x.shape[1] <= WHOLE_ROWS else x.shape[1]
    for layer in fast_whisper.encoder_layers:
        check()
        x = x.to(layer.dtype)
        q, k, v = _heads(layer.qkv(layer.attention_norm(x)).to(fast_whisper.encoder_dtype), 3, fast_whisper.n_heads)
        attended = _merged(_encoder_attention(q, k, v))
        for sums, rows in zip(x.split(n_rows, dim=1), attended.split(n_rows, dim=1), strict=True):
            sums.add_(layer.attention_out(rows))
            sums.add_(layer.fc2(layer.fc1(layer.mlp_norm(sums))))
    # 3. What every decoder layer will ask for, once.
    return fast_whisper.cross_kv(fast_whisper.encoder_norm(x.to(fast_whisper.encoder_dtype)))


def _heads(x: Tensor, n_parts: int, n_heads: int) -> list[Tensor]:
    """(n_windows, n, n_parts * d) -> n_parts times (n_windows, n_heads, n, d // n_heads)."""
    n_windows, n, size = x.shape
    return list(x.view(n_windows, n, n_parts, n_heads, size // n_parts // n_heads).permute(2, 0, 3, 1, 4).unbind(0))


def _merged(x: Tensor) -> Tensor:
    """The inverse for one part: (n_windows, n_heads, n, head) -> (n_windows, n, d)."""
    return x.transpose(1, 2).flatten(2)


def _has_amx(x: Tensor) -> bool:
    """Whether the processor multiplies it in AMX's tiles."""
    return x.dtype == torch.bfloat16 and x.device.type == "cpu" and bool(torch.cpu.get_capabilities().get("amx_bf16"))


def _encoder_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    # In bfloat16 on a CPU without AMX, torch's own softmax(q k^T) v computes as slowly as in float32; plain products do not.
    if q.dtype == torch.bfloat16 and q.device.type == "cpu" and not _has_amx(q):
        k, v = k.transpose(2, 3).contiguous(), v.contiguous()
        return torch.cat([(rows @ k).softmax(-1) @ v for rows in q.split(ATTENTION_ROWS, dim=2)], dim=2)
    return F.scaled_dot_product_attention(q, k, v, scale=1.0)


# --- decoder ------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Decoder:
    """One decode's own state beside the shared weights: what it attends to and the tokens so far."""

    fast_whisper: FastWhisper
    heard: Heard
    keys: list[Tensor]  # per layer, (n_windows, n_heads, n_positions, head), filled up to n_tokens
    values: list[Tensor]
    queries: Tensor  # (n_windows, n_positions, n_layers, d): what each token asked the encoder's keys: where in the audio it is
    n_tokens: int = 0  # may be set back, to go on after fewer
    _step: Callable[[Tensor, int, Sequence[int]], tuple[Tensor, Tensor]] | None = None  # of an `Int8Decoder`, with these caches

    @classmethod
    def new(cls, fast_whisper: FastWhisper, heard: Heard, n_positions: int) -> Decoder:
        n_windows, n_heads, _, head = heard.values[0].shape
        n_layers, n_positions = len(heard.keys), min(n_positions, fast_whisper.n_positions)
        empty = functools.partial(torch.empty, dtype=fast_whisper.decoder_dtype, device=fast_whisper.device)
        keys, values = empty(2, n_layers, n_windows, n_heads, n_positions, head)
        return cls(fast_whisper, heard, list(keys), list(values), empty(n_windows, n_positions, n_layers, n_heads * head))

    def branch(self, parents: Sequence[int]) -> None:
        """Goes on with these rows, each as often as it is named: what a beam search keeps of its last step."""

        def branched(cache: Tensor, dim: int) -> Tensor:
            """`dim` is that of the positions."""
            kept = cache.narrow(dim, 0, self.n_tokens)[list(parents)]
            cache = cache if len(cache) == len(kept) else cache.new_empty(len(kept), *cache.shape[1:])
            cache.narrow(dim, 0, self.n_tokens).copy_(kept)
            return cache

        if len(parents) != len(self.queries):
            self._step = None  # the caches will lie elsewhere
        if list(parents) != list(range(len(self.queries))):
            self.keys, self.values = [branched(keys, 2) for keys in self.keys], [branched(values, 2) for values in self.values]
            self.queries = branched(self.queries, 1)

    def asked(self, row: int) -> tuple[Tensor, ...]:
        """One row's queries, by layer: (n_heads, n_tokens, head)."""
        queries = self.queries[row, : self.n_tokens].unflatten(-1, (self.fast_whisper.n_heads, -1))
        return tuple(queries.permute(1, 2, 0, 3))

    def __call__(self, tokens: Tensor, wanted: Sequence[int] = (-1,)) -> Tensor:
        """Logits after those of more tokens that stand at `wanted`; after the last if nothing else is wanted.

        Args:
            tokens: int64, (n_windows, n), which follow those before.

        Returns:
            float32, (n_windows, len(wanted), n_vocabulary). From an `Int8Decoder` less a number for each place, and rough where unlikely;
            those after a single token are overwritten by the next single token's.
        """
        whisper, start, n = self.fast_whisper, self.n_tokens, tokens.shape[1]
        end = self.n_tokens = start + n
        decoder = whisper.decoder
        if isinstance(decoder, Int8Decoder):
            heard = self.heard
            assert heard.scales is not None, "heard by another form"
            self._step = self._step or decoder(heard.scales, self.keys, self.values, heard.keys, heard.values)
            logits, self.queries[:, start:end] = self._step(tokens, start, wanted)
            return logits
        x = decoder.embeddings[tokens].to(whisper.decoder_dtype) + decoder.positions[start:end]
        mask = None
        if n > 1:
            mask = torch.ones(n, end, dtype=torch.bool, device=x.device).tril(start)
        for index, layer in enumerate(decoder.layers):
            q, k, v = _heads(layer.qkv(layer.attention_norm(x)), 3, whisper.n_heads)
            keys, values = self.keys[index], self.values[index]
            keys[:, :, start:end], values[:, :, start:end] = k, v
            attention = F.scaled_dot_product_attention(q, keys[:, :, :end], values[:, :, :end], attn_mask=mask, scale=1.0)
            x = x + layer.attention_out(_merged(attention))
            asked = layer.cross_q(layer.cross_norm(x))
            self.queries[:, start:end, index] = asked
            (q,) = _heads(asked, 1, whisper.n_heads)
            keys, values = self.heard.keys[index], self.heard.values[index]
            beams = len(q) > len(keys)  # of one window: as many queries to the same keys, which are read once
            # Plain products: torch's own attention takes up to twice as long for a prompt's queries, and no less for one.
            attention = ((q.transpose(0, 2) if beams else q) @ keys.transpose(2, 3)).softmax(-1) @ values
            x = x + layer.cross_out(_merged(attention.transpose(0, 2) if beams else attention))
            x = x + layer.fc2(F.gelu(layer.fc1(layer.mlp_norm(x))))
        return decoder.vocabulary(decoder.norm(x[:, list(wanted)])).float()
