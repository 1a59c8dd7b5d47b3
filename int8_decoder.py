"""A Whisper decoder and its vocabulary with int8 weights, as one graph that ONNX Runtime computes.

Knows: ONNX's operators, and how weights become theirs. Does not know: tokens, windows, who decodes.

In torch a step of the decoder is six hundred small operators, which take most of its time. As a graph it is a hundred, and takes less
than half of that. Each block of a row of weights has a scale, and so has each block of the values that it is multiplied with, which is
nearer to float32 than one for the row. Source of the operators: microsoft/onnxruntime docs/ContribOperators.md.
"""

from __future__ import annotations

import functools
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from torch import Tensor

from kernels import LARGEST_ERROR, float_linear, relative_error, seconds

if TYPE_CHECKING:
    from onnx import ModelProto
    from onnxruntime import InferenceSession
    from transformers.models.whisper.modeling_whisper import WhisperDecoder

INT8 = 4  # MatMulNBits' accuracy_level: products of int8 with int8
OPSET, IR_VERSION = 18, 10  # of ONNX
QUANTISED_ROWS = 2048  # of a weight at once: all of a vocabulary would take hundreds of megabytes
ELEMENTS = {torch.float32: np.float32, torch.int32: np.int32, torch.int64: np.int64}


# --- graphs -------------------------------------------------------------------------------------------------------


class _Local(threading.local):
    n_threads = 1


_local = _Local()


def set_num_threads(n_threads: int) -> None:
    """As `torch.set_num_threads`: for what the calling thread computes here."""
    _local.n_threads = n_threads


class Graph:
    """Made ready for a number of threads when that is first asked for, with a copy of the weights. Any number of threads may share it."""

    def __init__(self, build: Callable[[], ModelProto]) -> None:
        self._build = build
        self._sessions: dict[int, InferenceSession] = {}
        self._making = threading.Lock()

    def session(self, n_threads: int) -> InferenceSession:
        with self._making:
            if n_threads not in self._sessions:
                import onnx
                import onnxruntime

                options = onnxruntime.SessionOptions()
                options.intra_op_num_threads = n_threads
                # Its threads wait for work by spinning. Between two steps they would take a core from the encoder, or from another visitor.
                options.add_session_config_entry("session.force_spinning_stop", "1")
                # From files: of bytes a session would keep a copy, and weights beside the graph are read where they lie.
                with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                    path = Path(folder) / "decoder.onnx"
                    onnx.save(self._build(), path, save_as_external_data=True)
                    self._sessions[n_threads] = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            return self._sessions[n_threads]


class Bound:
    """A graph, and where it finds and leaves what stays in its place from run to run. All tensors are contiguous."""

    def __init__(self, graph: Graph, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        """Outputs may be the memory of inputs."""
        self._graph, self._inputs, self._outputs = graph, inputs, outputs
        self._bindings: dict[int, Any] = {}

    def __call__(self, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        """Runs it with the others in these places."""
        session = self._graph.session(_local.n_threads)
        binding = self._bindings.get(_local.n_threads)
        if binding is None:
            binding = self._bindings[_local.n_threads] = session.io_binding()
            _bind(binding, self._inputs, self._outputs)
        _bind(binding, inputs, outputs)
        session.run_with_iobinding(binding)


def _bind(binding: Any, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
    for bind, tensors in ((binding.bind_input, inputs), (binding.bind_output, outputs)):
        for name, tensor in tensors.items():
            bind(name, "cpu", 0, ELEMENTS[tensor.dtype], tuple(tensor.shape), tensor.data_ptr())


class _Builder:
    """Adds operators one by one.

    Args:
        block: weights to a scale: a power of 2, at least 16.
    """

    def __init__(self, block: int) -> None:
        self._block = block
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def constant(self, values: Tensor | np.ndarray) -> str:
        from onnx import numpy_helper

        name = f"constant{len(self._constants)}"
        array = values.detach().numpy() if isinstance(values, Tensor) else values
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def add(self, operator: str, inputs: Sequence[str], outputs: Sequence[str] = (), **attributes: Any) -> str:
        """The name of the first output; "" is an input or an output that is left out."""
        from onnx import helper

        outputs = outputs or (f"{operator}{len(self._nodes)}",)
        domain = "" if operator in ("Concat", "Gather", "LayerNormalization", "Reshape", "Shape") else "com.microsoft"
        self._nodes.append(helper.make_node(operator, inputs, outputs, domain=domain, **attributes))
        return outputs[0]

    def linear(self, x: str, weight: Tensor, bias: Tensor | None, outputs: Sequence[str] = ()) -> str:
        (n_out, n_in), levels, scales = weight.shape, [], []
        for rows in weight.detach().split(QUANTISED_ROWS):
            blocks = F.pad(rows.float(), (0, -n_in % self._block)).view(len(rows), -1, self._block)
            scales.append(blocks.abs().amax(-1, keepdim=True).clamp_min_(1e-8).div_(127))
            levels.append((blocks / scales[-1]).round_().add_(128).to(torch.uint8))
        constants = [self.constant(torch.cat(each)) for each in (levels, [scale.flatten() for scale in scales])]
        if bias is not None:
            constants += ["", "", self.constant(bias.float())]
        return self.add("MatMulNBits", [x, *constants], outputs, K=n_in, N=n_out, bits=8, block_size=self._block, accuracy_level=INT8)

    def build(self, inputs: Mapping[str, type], outputs: Sequence[str]) -> ModelProto:
        from onnx import helper

        def value(name: str, element: type = np.float32) -> Any:
            return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(element)), None)

        values_in, values_out = [value(*each) for each in inputs.items()], [value(name) for name in outputs]
        graph = helper.make_graph(self._nodes, "decoder", values_in, values_out, self._constants)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)


@functools.cache
def int8_is_faster() -> bool:
    """Whether int8 is near float32 on this machine, and faster: for one row, as a step has, whose weight is larger than a cache."""
    with torch.inference_mode():
        weight, x = torch.randn(16384, 512), torch.randn(2, 512)

        def build() -> ModelProto:
            builder = _Builder(block=128)
            builder.linear("x", weight, None, ["y"])
            return builder.build({"x": np.float32}, ["y"])

        graph, float32 = Bound(Graph(build), {}, {}), float_linear(weight, None, torch.float32)
        set_num_threads(torch.get_num_threads())

        def int8(x: Tensor) -> Tensor:
            y = torch.empty(len(x), len(weight))
            graph({"x": x}, {"y": y})
            return y

        is_near = relative_error(int8(x), float32(x)) < LARGEST_ERROR
        return is_near and seconds(lambda: int8(x[:1])) < seconds(lambda: float32(x[:1]))


# --- layers -------------------------------------------------------------------------------------------------------


def fused_qkv(attention: Any) -> tuple[Tensor, Tensor]:
    """Queries, keys and values in one weight; queries scaled by 1/sqrt(head size) and keys with the bias they lack."""
    q_weight, q_bias = scaled_q(attention)
    weight = torch.cat([q_weight, attention.k_proj.weight, attention.v_proj.weight])
    return weight, torch.cat([q_bias, torch.zeros_like(q_bias), attention.v_proj.bias])


def scaled_q(attention: Any) -> tuple[Tensor, Tensor]:
    return attention.q_proj.weight * attention.scaling, attention.q_proj.bias * attention.scaling


class Int8Decoder:
    """The decoder of one checkpoint and its vocabulary, with a scale for every `block` weights: a power of 2, at least 16."""

    def __init__(self, decoder: WhisperDecoder, vocabulary: Tensor, block: int) -> None:
        self._n_tokens = len(vocabulary)
        self._graph = Graph(functools.partial(_decoder, decoder, vocabulary, block))

    def __call__(
        self, keys: Sequence[Tensor], values: Sequence[Tensor], heard_keys: Sequence[Tensor], heard_values: Sequence[Tensor]
    ) -> Callable[[Tensor, int, Sequence[int]], tuple[Tensor, Tensor]]:
        """One decode: a function that goes on with more tokens, and writes their keys and values behind those of the tokens before.

        Args:
            keys, values: of the tokens, float32, per layer (n_rows, n_heads, n_positions, head).
            heard_keys, heard_values: of the audio, per layer (n_windows, n_heads, n_heard, head), for as many rows each.
        """
        named = {"keys": keys, "values": values, "heard_keys": heard_keys, "heard_values": heard_values}
        inputs = {f"{name}{index}": tensor for name, tensors in named.items() for index, tensor in enumerate(tensors)}
        written = {f"{name}{index}_after": tensor for name in ("keys", "values") for index, tensor in enumerate(named[name])}
        graph, n_layers, n_rows = Bound(self._graph, inputs, written), len(keys), len(keys[0])

        def step(x: Tensor, n_before: int, places: Sequence[int]) -> tuple[Tensor, Tensor]:
            """Logits and queries.

            Args:
                x: float32, (n_rows, n, d), the embeddings of n tokens; several rows have one token each, or none before.
                n_before: tokens before them.
                places: those of the n after which the logits are wanted.

            Returns:
                logits, float32 (n_rows, len(places), n_vocabulary), and what all n asked of the audio, (n_rows, n, n_layers, d).
            """
            n, d = x.shape[1:]
            last, total = torch.full((n_rows,), n_before + n - 1, dtype=torch.int32), torch.tensor(n_before + n, dtype=torch.int32)
            logits, asked = torch.empty(n_rows, len(places), self._n_tokens), torch.empty(n_rows, n, n_layers, d)
            given = {"x": x, "last": last, "total": total, "places": torch.tensor(places)}
            graph(given, {"logits": logits, "asked": asked.flatten(2)})
            return logits, asked

        return step


def _decoder(decoder: WhisperDecoder, vocabulary: Tensor, block: int) -> ModelProto:
    builder, n_heads, caches, written, asked = _Builder(block), decoder.config.decoder_attention_heads, [], [], []

    def normed(x: str, norm: torch.nn.LayerNorm, outputs: Sequence[str] = (), added: str | None = None) -> str:
        """Of x, or of the sum of x and what is added to it, which is the last of `outputs`."""
        constants = [builder.constant(norm.weight.float()), builder.constant(norm.bias.float())]
        if added is None:
            return builder.add("LayerNormalization", [x, *constants], outputs, epsilon=norm.eps)
        return builder.add("SkipLayerNormalization", [x, added, *constants], outputs, epsilon=norm.eps)

    # For the audio several rows are as many queries of one window, whose keys are read once for all.
    rows = builder.add("Shape", ["x"])
    n_windows = builder.add("Shape", ["heard_keys0"], start=0, end=1)
    windows = builder.add("Concat", [n_windows, builder.constant(np.array([-1, decoder.config.d_model]))], axis=0)
    x, state = "x", normed("x", decoder.layers[0].self_attn_layer_norm)
    following = [layer.self_attn_layer_norm for layer in decoder.layers[1:]] + [decoder.layer_norm]
    for index, (layer, next_norm) in enumerate(zip(decoder.layers, following, strict=True)):
        own = [f"{name}{index}" for name in ("keys", "values", "heard_keys", "heard_values")]
        caches += own
        written += [f"{name}_after" for name in own[:2]]
        # 1. The tokens before.
        qkv = builder.linear(state, *fused_qkv(layer.self_attn))
        attention = builder.add(
            "GroupQueryAttention",
            [qkv, "", "", *own[:2], "last", "total"],
            [f"attention{index}", *written[-2:]],
            num_heads=n_heads,
            kv_num_heads=n_heads,
            scale=1.0,
        )
        added = builder.linear(attention, layer.self_attn.out_proj.weight, layer.self_attn.out_proj.bias)
        sums = [f"{part}{index}" for part in ("after_tokens", "after_audio", "after_mlp")]
        state = normed(x, layer.encoder_attn_layer_norm, [f"asking{index}", "", "", sums[0]], added)
        # 2. The audio.
        asked.append(builder.linear(state, *scaled_q(layer.encoder_attn)))
        q = builder.add("Reshape", [asked[-1], windows])
        attention = builder.add("MultiHeadAttention", [q, *own[2:]], num_heads=n_heads, scale=1.0)
        attention = builder.add("Reshape", [attention, rows])
        added = builder.linear(attention, layer.encoder_attn.out_proj.weight, layer.encoder_attn.out_proj.bias)
        state = normed(sums[0], layer.final_layer_norm, [f"heard{index}", "", "", sums[1]], added)
        # 3. The MLP.
        hidden = builder.add("Gelu", [builder.linear(state, layer.fc1.weight, layer.fc1.bias)])
        added = builder.linear(hidden, layer.fc2.weight, layer.fc2.bias)
        state = normed(sums[1], next_norm, [f"state{index}", "", "", sums[2]], added)
        x = sums[2]
    builder.add("Concat", asked, ["asked"], axis=-1)
    builder.linear(builder.add("Gather", [state, "places"], axis=1), vocabulary, None, ["logits"])
    inputs = {"x": np.float32, "last": np.int32, "total": np.int32, "places": np.int64, **dict.fromkeys(caches, np.float32)}
    return builder.build(inputs, ["logits", "asked", *written])
