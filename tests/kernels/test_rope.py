"""RoPE in one pass, against torch."""

import pytest
import torch

from llmlora.kernels.rope import rotate, rotate_by_reference

DTYPES = {torch.float32: 1e-6, torch.bfloat16: 1e-2}
HEADS, TOKENS = 3, 400


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("size", "turned"), [(64, 64), (80, 32), (48, 48)])
@pytest.mark.parametrize("layout", ["heads first", "tokens first", "a gradient of sums"])
def test_a_rotation_and_its_gradient_are_those_of_torch(size: int, turned: int, layout: str, dtype: torch.dtype):
    x = torch.randn(HEADS, TOKENS, size)
    if layout == "tokens first":
        x = torch.randn(TOKENS, HEADS, size).transpose(0, 1)
    x, angles = x.to(dtype).requires_grad_(), torch.rand(TOKENS, turned // 2) * 6
    cos, sin = torch.cat((angles, angles), 1).cos(), torch.cat((angles, angles), 1).sin()
    upstream = torch.randn(HEADS, TOKENS, size).to(dtype)
    upstream = upstream[:1, :1, :1].expand(HEADS, TOKENS, size) if layout == "a gradient of sums" else upstream

    found, wanted = rotate(x, cos, sin), rotate_by_reference(x, cos, sin)

    tolerance = DTYPES[dtype]
    torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance)
    gradients = (torch.autograd.grad(one, x, upstream)[0] for one in (found, wanted))
    torch.testing.assert_close(*gradients, rtol=tolerance, atol=tolerance)
