"""Every kernel that this processor has computes the same product, in whatever company."""

from __future__ import annotations

import pytest
import torch

import kernels


@pytest.fixture(scope="module")
def weight() -> torch.Tensor:
    return torch.randn(96, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def bias() -> torch.Tensor:
    return torch.randn(96, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def rows() -> torch.Tensor:
    return torch.randn(2, 5, 64, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("activation", ["none", "gelu"])
def test_a_packed_product_is_torchs_own(weight, bias, rows, activation):
    expected = kernels.ACTIVATIONS[activation](torch.nn.functional.linear(rows, weight, bias))
    assert torch.allclose(kernels.float_linear(weight, bias, torch.float32, activation)(rows), expected, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_precision_that_the_processor_lacks_still_computes(weight, bias, rows, dtype):
    expected = torch.nn.functional.linear(rows, weight, bias)
    computed = kernels.float_linear(weight, bias, dtype)(rows.to(dtype)).float()
    assert float((computed - expected).norm() / expected.norm()) < 0.02


@pytest.mark.parametrize("activation", ["none", "gelu"])
def test_int8_of_many_rows_is_near_and_rows_do_not_depend_on_each_other(weight, bias, rows, activation):
    if not kernels.int8_rows_are_faster():
        return
    linear = kernels.int8_rows_linear(weight, bias, activation)
    expected = kernels.ACTIVATIONS[activation](torch.nn.functional.linear(rows, weight, bias))
    together = linear(rows)
    assert float((together - expected).norm() / expected.norm()) < kernels.LARGEST_ERROR
    loud = rows.clone()
    loud[1] *= 1000
    assert torch.equal(linear(loud)[0], together[0])


def test_what_is_nearly_nothing_does_not_add_up(bias):
    """Behind a GELU most of a row is just below zero, beside a few large values."""
    if not kernels.int8_rows_are_faster():
        return
    weight, x = torch.full((96, 64), 0.1), torch.full((5, 64), -1e-4)
    x[:, :2] = torch.tensor([-0.17, 3.0])
    linear = kernels.int8_rows_linear(weight, bias)
    assert float((linear(x) - torch.nn.functional.linear(x, weight, bias)).abs().max()) < 0.01
