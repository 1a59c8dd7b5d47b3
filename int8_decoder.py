"""A Whisper decoder as one graph: its layers and what it hears in int8, its vocabulary in 4 bits and exactly for the likeliest tokens.

Knows: how a checkpoint's weights become operators. Does not know: which tokens may follow, windows, who decodes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from int8_graph import Bound, Builder, Graph

if TYPE_CHECKING:
    from onnx import ModelProto
    from transformers.models.whisper.modeling_whisper import WhisperDecoder

# The vocabulary is read in 4 bits, with a scale for so many weights, and exactly for so many of the likeliest tokens: float32's likeliest
# is found in 99.4 % of places, where it was in 98.9 % with all of it in int8 (scratch run).
VOCABULARY_BLOCK, N_EXACT = 64, 32


def fused_qkv(attention: Any) -> tuple[Tensor, Tensor]:
    """Queries, keys and values in one weight; queries scaled by 1/sqrt(head size) and keys with the bias they lack."""
    q_weight, q_bias = scaled_q(attention)
    weight = torch.cat([q_weight, attention.k_proj.weight, attention.v_proj.weight])
    return weight, torch.cat([q_bias, torch.zeros_like(q_bias), attention.v_proj.bias])


def scaled_q(attention: Any) -> tuple[Tensor, Tensor]:
    return attention.q_proj.weight * attention.scaling, attention.q_proj.bias * attention.scaling


def in_int8(x: Tensor) -> tuple[Tensor, Tensor]:
    """(n_windows, n_heads, n_heard, head) -> levels, and the scale of each channel, float32, (n_windows, n_heads, 1, head).

    The levels are whole numbers, of the dtype of x.
    """
    # In its own dtype, so that the scale is what it was divided by. Not 127, which bfloat16 may pass.
    levels_per_one = 126 / _largest(x).clamp_min_(1e-8)
    return (x * levels_per_one).round_(), 1 / levels_per_one.float()


def _largest(x: Tensor) -> Tensor:
    """Without its sign, of each channel. As integers they are in the same order, and compared in half the time (scratch run)."""
    integers = torch.int16 if x.itemsize == 2 else torch.int32
    return (x.view(integers) & torch.iinfo(integers).max).amax(2, keepdim=True).view(x.dtype)


class Int8Decoder:
    """The decoder of one checkpoint, with a scale for every `block` weights of its layers: a power of 2, at least 16."""

    def __init__(self, decoder: WhisperDecoder, vocabulary: Tensor, block: int) -> None:
        # Read where they lie: most often both are the same, and a copy would take 100 MB.
        self._embeddings = decoder.embed_tokens.weight.detach().float()
        self._vocabulary = self._embeddings if vocabulary is decoder.embed_tokens.weight else vocabulary.detach().float()
        self.graph = Graph(functools.partial(_decoder, decoder, self._vocabulary, block))

    def __call__(
        self,
        scales: Tensor,
        keys: Sequence[Tensor],
        values: Sequence[Tensor],
        heard_keys: Sequence[Tensor],
        heard_values: Sequence[Tensor],
    ) -> Callable[[Tensor, int, Sequence[int]], tuple[Tensor, Tensor]]:
        """One decode: a function that goes on with more tokens, and writes their keys and values behind those of the tokens before.

        Args:
            scales: of what is heard, float32, (2, n_layers, n_windows, n_heads, 1, head): the keys', then the values'.
            keys, values: of the tokens, float32, per layer (n_rows, n_heads, n_positions, head).
            heard_keys, heard_values: of the audio, int8, per layer (n_windows, n_heads, n_heard, head), for as many rows each.
        """
        named = {"keys": keys, "values": values, "heard_keys": heard_keys, "heard_values": heard_values}
        inputs = {f"{name}{index}": tensor for name, tensors in named.items() for index, tensor in enumerate(tensors)}
        n_layers, n_rows, n_windows, (n_vocabulary, d) = len(keys), len(keys[0]), len(heard_keys[0]), self._vocabulary.shape
        written = {f"{name}_after": tensor for name, tensor in inputs.items()}
        inputs |= {
            f"{name}_scale{index}": scale.reshape(n_windows, 1, d)
            for name, each in zip(("keys", "values"), scales, strict=True)
            for index, scale in enumerate(each)
        }
        last, total = torch.empty(n_rows, dtype=torch.int32), torch.empty((), dtype=torch.int32)
        n_heard = heard_keys[0].shape[2]
        most = n_heard - 1  # tokens at once: of more than it has keys, the attention to the audio makes nothing
        last_heard, total_heard = torch.full((n_windows,), n_heard - 1, dtype=torch.int32), torch.tensor(n_heard, dtype=torch.int32)
        inputs |= {"embeddings": self._embeddings, "vocabulary": self._vocabulary, "none": torch.empty(n_windows, 0, d)}
        inputs |= {"last": last, "total": total, "last_heard": last_heard, "total_heard": total_heard}

        def buffers(n: int, wanted: Sequence[int]) -> tuple[Bound, Tensor, Tensor, Tensor, Tensor]:
            """The graph, and where it finds n tokens and their positions and leaves logits and queries."""
            given = {"tokens": torch.empty(n_rows, n, dtype=torch.int64), "positions": torch.empty(n, dtype=torch.int64)}
            logits, asked = torch.empty(n_rows, len(wanted), n_vocabulary), torch.empty(n_rows, n, n_layers * d)
            graph = Bound(self.graph, inputs | given | {"wanted": torch.tensor(wanted)}, written | {"logits": logits, "asked": asked})
            return graph, given["tokens"], given["positions"], logits, asked.unflatten(2, (n_layers, -1))

        of_one = functools.cache(buffers)  # step for step the same: what Python does between two is a tenth of their time (scratch run)

        def go_on(tokens: Tensor, n_before: int, wanted: Sequence[int]) -> tuple[Tensor, Tensor]:
            n = tokens.shape[1]
            graph, given, positions, logits, asked = of_one(1, tuple(wanted)) if n == 1 else buffers(n, wanted)
            given.copy_(tokens)
            torch.arange(n_before, n_before + n, out=positions)
            last.fill_(n_before + n - 1)
            total.fill_(n_before + n)
            graph()
            return logits, asked

        def step(tokens: Tensor, n_before: int, wanted: Sequence[int]) -> tuple[Tensor, Tensor]:
            """Logits and queries.

            Args:
                tokens: int64, (n_rows, n); several of several rows only where each row has a window of its own, or none before.
                n_before: tokens before them.
                wanted: those of the n after which to give logits.

            Returns:
                logits less a number that is the same for all tokens, float32 (n_rows, len(wanted), n_vocabulary): exact for the
                likeliest, as the layers have it, rough for the others; and what all n asked of the audio, (n_rows, n, n_layers, d).
                Those of a single token are overwritten by the next single token's.
            """
            n, done = tokens.shape[1], []
            if n > 1 and n_windows > 1:  # the attention to the audio takes several tokens of one window only
                for row in range(n_rows):
                    one = slice(row, row + 1)
                    of_row = ([tensor[one] for tensor in tensors] for tensors in named.values())
                    done.append(self(scales[:, :, one], *of_row)(tokens[one], n_before, wanted))
                return torch.cat([logits for logits, _ in done]), torch.cat([asked for _, asked in done])
            if n <= most:
                return go_on(tokens, n_before, wanted)
            for start in range(0, n, most):
                some = tokens[:, start : start + most]
                within = [place % n - start for place in wanted if 0 <= place % n - start < some.shape[1]]
                logits, asked = go_on(some, n_before + start, within or [0])
                done.append((logits[:, : len(within)], asked))
            return torch.cat([logits for logits, _ in done], 1), torch.cat([asked for _, asked in done], 1)

        return step


def _decoder(decoder: WhisperDecoder, vocabulary: Tensor, block: int, folder: Path) -> ModelProto:
    builder, n_heads = Builder(folder, block), decoder.config.decoder_attention_heads
    floats, levels, written, asked = [], [], [], []

    positions = builder.add("Gather", [builder.constant(decoder.embed_positions.weight.float()), "positions"])
    x = builder.add("Add", [builder.add("Gather", ["embeddings", "tokens"]), positions])
    # For the audio several rows are as many queries of one window, whose keys are read once for all.
    rows = builder.add("Shape", [x])
    n_windows = builder.add("Shape", ["heard_keys0"], start=0, end=1)
    windows = builder.add("Concat", [n_windows, builder.constant(np.array([-1, decoder.config.d_model]))], axis=0)
    one = builder.constant(
        np.ones(1, np.float32)
    )  # the attention has one scale for all windows: theirs are for its query and what it gives
    first = decoder.layers[0].self_attn_layer_norm
    first_norm = [builder.constant(first.weight.float()), builder.constant(first.bias.float())]
    state = builder.add("LayerNormalization", [x, *first_norm], epsilon=first.eps)
    following = [layer.self_attn_layer_norm for layer in decoder.layers[1:]] + [decoder.layer_norm]
    for index, (layer, next_norm) in enumerate(zip(decoder.layers, following, strict=True)):
        own, heard = ([f"{kind}{name}{index}" for name in ("keys", "values")] for kind in ("", "heard_"))
        scales = [f"{name}_scale{index}" for name in ("keys", "values")]
        floats += own + scales
        levels += heard
        written += [f"{name}_after" for name in own + heard]
        # 1. The tokens before.
        qkv = builder.linear(state, *fused_qkv(layer.self_attn))
        attention = builder.add(
            "GroupQueryAttention",
            [qkv, "", "", *own, "last", "total"],
            [f"attention{index}", *written[-4:-2]],
            num_heads=n_heads,
            kv_num_heads=n_heads,
            scale=1.0,
        )
        added = builder.linear(attention, layer.self_attn.out_proj.weight, layer.self_attn.out_proj.bias)
        sums = [f"{part}{index}" for part in ("after_tokens", "after_audio", "after_mlp")]
        state = builder.normed_sum(x, added, layer.encoder_attn_layer_norm, [f"asking{index}", "", "", sums[0]])
        # 2. The audio.
        asked.append(builder.linear(state, *scaled_q(layer.encoder_attn)))
        q = builder.add("Mul", [builder.add("Reshape", [asked[-1], windows]), scales[0]])
        attention = builder.add(
            "GroupQueryAttention",
            [q, "none", "none", *heard, "last_heard", "total_heard", *[""] * 5, one, one],
            [f"of_audio{index}", *written[-2:]],
            num_heads=n_heads,
            kv_num_heads=n_heads,
            scale=1.0,
            causal=0,
            kv_cache_bit_width=8,
            k_quant_type="PER_TENSOR",
            v_quant_type="PER_TENSOR",
        )
        attention = builder.add("Mul", [attention, scales[1]])
        attention = builder.add("Reshape", [attention, rows])
        added = builder.linear(attention, layer.encoder_attn.out_proj.weight, layer.encoder_attn.out_proj.bias)
        state = builder.normed_sum(sums[0], added, layer.final_layer_norm, [f"heard{index}", "", "", sums[1]])
        # 3. The MLP.
        hidden = builder.add("Gelu", [builder.linear(state, layer.fc1.weight, layer.fc1.bias)])
        added = builder.linear(hidden, layer.fc2.weight, layer.fc2.bias)
        state = builder.normed_sum(sums[1], added, next_norm, [f"state{index}", "", "", sums[2]])
        x = sums[2]
    builder.add("Concat", asked, ["asked"], axis=-1)
    _logits(builder, builder.add("Gather", [state, "wanted"], axis=1), vocabulary)
    inputs: dict[str, type] = dict.fromkeys(("embeddings", "vocabulary", "none", *floats), np.float32) | dict.fromkeys(levels, np.int8)
    inputs |= dict.fromkeys(("last", "total", "last_heard", "total_heard"), np.int32) | dict.fromkeys(
        ("tokens", "positions", "wanted"), np.int64
    )
    return builder.build(inputs, ["logits", "asked", *written])


def _logits(builder: Builder, state: str, vocabulary: Tensor) -> None:
    """First all in 4 bits, half of what would be read in 8, and then those of the likeliest tokens exactly.

    All tokens share most of their embedding, which says nothing about which comes next: without it, 4 bits are nearer to the rest.
    The likeliest are those of all tokens: which of them may follow, decoding.py decides afterwards.
    """
    common, last_axis = vocabulary.mean(0), builder.constant(np.array([-1]))
    rough = builder.quantised_linear(state, vocabulary, None, bits=4, block=VOCABULARY_BLOCK, origin=common)
    n_exact = builder.constant(np.array([min(N_EXACT, len(vocabulary))]))
    builder.add("TopK", [rough, n_exact], ["likeliest", "their_tokens"], axis=-1, sorted=0)
    their_rows = builder.add("Gather", ["vocabulary", "their_tokens"])
    exact = builder.add("MatMul", [their_rows, builder.add("Unsqueeze", [state, last_axis])])
    exact = builder.add("Squeeze", [exact, last_axis])
    exact = builder.add("Sub", [exact, builder.float_linear(state, common[None], None)])
    builder.add("ScatterElements", [rough, "their_tokens", exact], ["logits"], axis=-1)
