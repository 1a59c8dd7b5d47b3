"""A decoder's step as one graph that ONNX Runtime computes, with weights in 8 or 4 bits or in float32.

Knows: ONNX's operators, how weights become theirs, and on how many cores a graph runs. Does not know: models.

In torch a step is hundreds of small operators, and half of its time is theirs. In int8 each block of a row of weights has a scale, and
so has each block of the values that it is multiplied with, which is nearer to float32 than one for the row. Source of the
operators: microsoft/onnxruntime docs/ContribOperators.md.
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

INT8 = 4  # MatMulNBits' accuracy_level: products of int8 with int8
SMALLEST_BLOCK = 16  # that MatMulNBits takes
LARGEST_4_BIT_ERROR = 0.25  # relative, of one product: twice what they cost, and far below what a wrong kernel gives
OPSET, IR_VERSION = 18, 10  # of ONNX
OF_ONNX_RUNTIME = ("Gelu", "GroupQueryAttention", "MatMulNBits", "MultiHeadAttention", "SkipLayerNormalization")
WEIGHTS = "weights"  # the file beside a graph
ALIGNMENT = 4096  # bytes: where each weight begins in it, so that it can be mapped
QUANTISED_ROWS = 2048  # of a weight at once: all of a vocabulary would take hundreds of megabytes
ELEMENTS = {torch.float32: np.float32, torch.int8: np.int8, torch.int32: np.int32, torch.int64: np.int64}


class _Local(threading.local):
    n_threads = 1


_local = _Local()


def set_num_threads(n_threads: int) -> None:
    """As `torch.set_num_threads`: for what the calling thread computes here."""
    _local.n_threads = n_threads


class Graph:
    """Made ready for a number of threads when that is first asked for, with a copy of its constants. Any number of threads may share it."""

    def __init__(self, build: Callable[[Path], ModelProto]) -> None:
        """`build` writes the weights into a folder, and gives the graph that names them."""
        self._build = build
        self._sessions: dict[int, InferenceSession] = {}
        self._asked: set[int] = set()
        self._making = threading.Lock()

    @property
    def is_ready(self) -> bool:
        """Whether it was made ready for any number of threads."""
        return bool(self._sessions)

    def session(self, n_threads: int) -> InferenceSession:
        """For so many threads; until that is ready, for as many as there is one."""
        if n_threads not in self._sessions:
            if not self._sessions:
                self._make(n_threads)
            elif n_threads not in self._asked:  # a second visitor comes when there is least time to wait
                self._asked.add(n_threads)
                threading.Thread(target=self._make, args=(n_threads,)).start()
        return self._sessions.get(n_threads) or next(iter(self._sessions.values()))

    def _make(self, n_threads: int) -> None:
        with self._making:
            if n_threads not in self._sessions:
                import onnxruntime

                options = onnxruntime.SessionOptions()
                options.intra_op_num_threads = n_threads
                # Its threads wait for work by spinning. Between two steps they would take a core from the encoder, or from another visitor.
                options.add_session_config_entry("session.force_spinning_stop", "1")
                # From files: of bytes a session would keep a copy, and weights beside the graph are read where they lie.
                with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, torch.inference_mode():
                    path = Path(folder) / "step.onnx"
                    path.write_bytes(self._build(path.parent).SerializeToString())
                    self._sessions[n_threads] = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


class Bound:
    """A graph, and where it finds its inputs and leaves its outputs. All tensors are contiguous."""

    def __init__(self, graph: Graph, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        """Outputs may be the memory of inputs."""
        self._graph, self._inputs, self._outputs = graph, inputs, outputs
        self._bindings: dict[InferenceSession, Any] = {}

    def __call__(self) -> None:
        session = self._graph.session(_local.n_threads)
        binding = self._bindings.get(session)
        if binding is None:
            binding = self._bindings[session] = session.io_binding()
            for bind, tensors in ((binding.bind_input, self._inputs), (binding.bind_output, self._outputs)):
                for name, tensor in tensors.items():
                    bind(name, "cpu", 0, ELEMENTS[tensor.dtype], tuple(tensor.shape), tensor.data_ptr())
        session.run_with_iobinding(binding)


class Builder:
    """Adds operators one by one.

    Args:
        folder: where the weights are written.
        block: weights to a scale: a power of 2, at least 16. None leaves all in float32.
    """

    def __init__(self, folder: Path, block: int | None) -> None:
        self._weights = folder / WEIGHTS
        self._block = block
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def constant(self, values: Tensor | np.ndarray) -> str:
        """Written at once: together they would be in memory several times."""
        from onnx import StringStringEntryProto, TensorProto, helper

        array = values.detach().contiguous().numpy() if isinstance(values, Tensor) else values
        with self._weights.open("ab") as file:
            offset = file.tell() + -file.tell() % ALIGNMENT
            file.write(bytes(offset - file.tell()))
            file.write(array.data)
        place = {"location": WEIGHTS, "offset": str(offset), "length": str(array.nbytes)}
        constant = TensorProto(
            name=f"constant{len(self._constants)}",
            dims=array.shape,
            data_type=helper.np_dtype_to_tensor_dtype(array.dtype),
            data_location=TensorProto.EXTERNAL,
            external_data=[StringStringEntryProto(key=key, value=value) for key, value in place.items()],
        )
        self._constants.append(constant)
        return str(constant.name)

    def add(self, operator: str, inputs: Sequence[str], outputs: Sequence[str] = (), **attributes: Any) -> str:
        """The name of the first output; "" is an input or an output that is left out."""
        from onnx import helper

        outputs = outputs or (f"{operator}{len(self._nodes)}",)
        domain = "com.microsoft" if operator in OF_ONNX_RUNTIME else ""
        self._nodes.append(helper.make_node(operator, inputs, outputs, domain=domain, **attributes))
        return outputs[0]

    def linear(self, x: str, weight: Tensor, bias: Tensor | None, outputs: Sequence[str] = ()) -> str:
        if self._block is None:
            return self.float_linear(x, weight, bias, outputs)
        return self.quantised_linear(x, weight, bias, outputs, bits=8, block=self._block)

    def quantised_linear(
        self,
        x: str,
        weight: Tensor,
        bias: Tensor | None,
        outputs: Sequence[str] = (),
        *,
        bits: int,
        block: int,
        origin: Tensor | None = None,
    ) -> str:
        """In 4 or 8 bits. `origin` is taken from each row before: the product is less by the same for all outputs."""
        (n_out, n_in), largest = weight.shape, 2 ** (bits - 1) - 1
        n_blocks = -(-n_in // block)
        # All of each at once: between parts that stay, glibc would not use again what the temporary tensors leave.
        levels, scales = torch.empty(n_out, n_blocks, block * bits // 8, dtype=torch.uint8), torch.empty(n_out, n_blocks, 1)
        for start in range(0, n_out, QUANTISED_ROWS):
            some = slice(start, start + QUANTISED_ROWS)
            rows = weight[some].float() if origin is None else weight[some].float() - origin
            blocks = F.pad(rows, (0, -n_in % block)).view(len(rows), n_blocks, block)
            scales[some] = blocks.abs().amax(-1, keepdim=True).clamp_min_(1e-8).div_(largest)
            of_rows = (blocks / scales[some]).round_().add_(largest + 1).to(torch.uint8)
            # Of 4 bits there are two in a byte, the first in its lower half.
            levels[some] = of_rows if bits == 8 else of_rows[..., ::2] + 16 * of_rows[..., 1::2]
        constants = [self.constant(levels), self.constant(scales.flatten())]
        if bias is not None:
            constants += ["", "", self.constant(bias.float())]
        return self.add("MatMulNBits", [x, *constants], outputs, K=n_in, N=n_out, bits=bits, block_size=block, accuracy_level=INT8)

    def float_linear(self, x: str, weight: Tensor, bias: Tensor | None, outputs: Sequence[str] = ()) -> str:
        """In float32 in any case."""
        product = self.add("MatMul", [x, self.constant(weight.float().T)], outputs if bias is None else ())
        return product if bias is None else self.add("Add", [product, self.constant(bias.float())], outputs)

    def normed_sum(self, x: str, added: str, norm: torch.nn.LayerNorm, outputs: Sequence[str] = ()) -> str:
        """The norm of the sum; the sum itself is the fourth of `outputs`."""
        constants = [self.constant(norm.weight.float()), self.constant(norm.bias.float())]
        return self.add("SkipLayerNormalization", [x, added, *constants], outputs, epsilon=norm.eps)

    def build(self, inputs: Mapping[str, type], outputs: Sequence[str]) -> ModelProto:
        from onnx import helper

        elements = {name: helper.np_dtype_to_tensor_dtype(np.dtype(element)) for name, element in inputs.items()}
        values_in = [helper.make_tensor_value_info(name, element, None) for name, element in elements.items()]
        values_out = [helper.make_empty_tensor_value_info(name) for name in outputs]
        graph = helper.make_graph(self._nodes, "step", values_in, values_out, self._constants)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)


_measuring = threading.Lock()


def int8_is_faster() -> bool:
    """Whether 8 and 4 bits are near float32 here, and faster: for one row, as a step has, whose weight is larger than a cache."""
    with _measuring:
        return _int8_is_faster()


@functools.cache
def _int8_is_faster() -> bool:
    weight, x = torch.randn(16384, 512), torch.randn(2, 512)

    def product(bits: int, block: int) -> Callable[[Tensor], Tensor]:
        def build(folder: Path) -> ModelProto:
            builder = Builder(folder, block)
            builder.quantised_linear("x", weight, None, ["y"], bits=bits, block=block)
            return builder.build({"x": np.float32}, ["y"])

        graph = Graph(build)

        def linear(x: Tensor) -> Tensor:
            y = torch.empty(len(x), len(weight))
            Bound(graph, {"x": x}, {"y": y})()
            return y

        return linear

    float32 = float_linear(weight, None, torch.float32)

    def is_near_and_faster(linear: Callable[[Tensor], Tensor], largest_error: float) -> bool:
        is_near = relative_error(linear(x), float32(x)) < largest_error
        return is_near and seconds(lambda: linear(x[:1])) < seconds(lambda: float32(x[:1]))

    n_threads, n_torch = _local.n_threads, torch.get_num_threads()
    set_num_threads(1)  # a busy second core would decide
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            in_8_bits = is_near_and_faster(product(8, SMALLEST_BLOCK), LARGEST_ERROR)
            return in_8_bits and is_near_and_faster(product(4, 4 * SMALLEST_BLOCK), LARGEST_4_BIT_ERROR)
    finally:
        set_num_threads(n_threads)
        torch.set_num_threads(n_torch)
