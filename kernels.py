"""A weight and a bias -> the function that computes y = x W^T + b fastest on this machine.

Knows: which precisions and which of torch's kernels are fast on which processor. Does not know: models.

None of these kernels is public. Each is what torch's own compiler or quantisation lowers to, each is tried before it is
relied on, and without any of them there is `torch.nn.functional.linear`.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from torch import Tensor

Linear = Callable[[Tensor], Tensor]

# All on what a product has just written.
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"none": lambda x: x, "gelu": torch.ops.aten.gelu_}
LARGEST_ERROR = 0.05  # relative, of one product: four times what int8 costs, far below what a wrong kernel gives


def fastest_dtype() -> torch.dtype:
    """bfloat16 where this CPU multiplies it; float32 elsewhere, where emulating bfloat16 would be slower."""
    # oneDNN's own answer is yes on any AVX-512, and then it emulates.
    can = torch.cpu.get_capabilities()
    return torch.bfloat16 if can.get("avx512_bf16") or can.get("amx_bf16") else torch.float32


def float_linear(weight: Tensor, bias: Tensor | None, dtype: torch.dtype, activation: str = "none") -> Linear:
    """In and out as `dtype`, with the activation in the same pass.

    On a CPU the weight is laid out once as oneDNN reads it: with one row two to five times as fast as torch's own
    product, with hundreds a tenth to a third faster.
    """
    weight, bias = weight.to(dtype), None if bias is None else bias.to(dtype)
    mkldnn: Any = torch.ops.mkldnn
    on_cpu = weight.device.type == "cpu" and torch.backends.mkldnn.is_available()
    if on_cpu and (dtype == torch.float32 or (dtype == torch.bfloat16 and mkldnn._is_mkldnn_bf16_supported())):
        weight, linear_pointwise = mkldnn._reorder_linear_weight(weight.contiguous()), mkldnn._linear_pointwise
        return lambda x: linear_pointwise(x, weight, bias, activation, [], "none")
    activate = ACTIVATIONS[activation]
    return lambda x: activate(F.linear(x, weight, bias))


@functools.cache
def int8_rows_are_faster() -> bool:
    """Whether `int8_rows_linear` is there on this machine, and faster than `fastest_dtype`: where it has int8 dot products (VNNI).

    By what the processor has, not measured: beside a busy neighbour a gain of a third would be found only now and then. AMX
    multiplies bfloat16 in less than int8's casts take.
    """
    can = torch.cpu.get_capabilities()
    if not can.get("avx512_vnni") or can.get("amx_bf16"):
        return False
    with torch.inference_mode():
        weight, bias, x = torch.randn(64, 512), torch.randn(64), torch.randn(128, 512)
        try:
            return relative_error(int8_rows_linear(weight, bias)(x), F.linear(x, weight, bias)) < LARGEST_ERROR
        except (AttributeError, RuntimeError):  # a future torch does without it
            return False


def int8_rows_linear(weight: Tensor, bias: Tensor, activation: str = "none") -> Linear:
    """float32 out, W in int8 with one scale per output, x with one per row: for hundreds of rows in half to two thirds of float32's time.

    Rows do not share a scale: what is computed beside a window never changes it. A level stands for zero exactly. Behind a GELU
    most values are near it: rounded all to one side, they would add up.
    """
    n_out, n_in = weight.shape
    scale = weight.abs().amax(1).clamp_min(1e-8).float() / 127
    quantised = (weight / scale[:, None]).round().to(torch.int8)
    packed, sums = torch.ops.onednn.qlinear_prepack(quantised, None), quantised.sum(1) * scale
    zeros, bias, activate = torch.zeros(n_out, dtype=torch.int64), bias.float(), ACTIVATIONS[activation]

    def linear(x: Tensor) -> Tensor:
        rows = x.reshape(-1, n_in).float()
        least = rows.amin(1, keepdim=True).clamp_max_(0)
        # Never 0 after a norm, an attention or an MLP. Not 255, which the rounded zero may pass by a half.
        step = rows.amax(1, keepdim=True).sub_(least).div_(254)
        zero = least.div_(step).neg_().round_()
        # Cut off: with the half it is rounded. By way of int16, torch's own cast takes a quarter of the time.
        levels = rows.div(step).add_(zero + 0.5).to(torch.int16).to(torch.uint8)
        y = torch.ops.onednn.qlinear_pointwise(levels, 1.0, 0, packed, scale, zeros, None, 1.0, 0, torch.float32, "none", [], "")
        y.addcmul_(zero, sums, value=-1)
        return activate(torch.addcmul(bias, y, step, out=y)).view(*x.shape[:-1], n_out)

    return linear


def relative_error(computed: Tensor, exact: Tensor) -> float:
    """Of their Euclidean norms."""
    return float((computed - exact).norm() / exact.norm())


def seconds(function: Callable[[], Any]) -> float:
    """The fastest of a few runs."""
    times = []
    for _ in range(7):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times[2:])
