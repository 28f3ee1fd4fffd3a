"""The block formats, written down in plain torch: slow, obvious, on any device. The specification of `dequantise`.

Each function takes uint8 blocks [n, block_bytes] and returns float32 [n, block_size]. Scales are float16; every product
and sum is rounded to float32 in the order of `dequantize_row_*` in ggml-quants.c, which gguf-py's `quants.py` follows
too: the three agree bit for bit. Layouts (`block_*` in ggml-common.h), `d` and `m` being float16:

    Q4_0  d, 16 bytes q                            w = d (q - 8)           low nibbles are weights 0–15, high 16–31
    Q4_1  d, m, 16 bytes q                         w = d q + m
    Q5_0  d, 32 bits h, 16 bytes q                 w = d (q + 16 h - 16)
    Q8_0  d, 32 signed bytes q                     w = d q
    Q4_K  d, m, 12 bytes of scales, 128 bytes q    w = (d s) q - (m t)     8 groups of 32, (s, t) of 6 bits each
    Q5_K  d, m, 12 bytes, 32 bytes h, 128 bytes q  as Q4_K with a fifth bit
    Q6_K  128 bytes low, 64 bytes high, 16 s, d    w = (d s) (q - 32)      16 groups of 16, s a signed byte
"""

from collections.abc import Callable

import torch
from torch import Tensor

from llmlora.ggml import TensorType


def dequantise(blocks: Tensor, kind: TensorType) -> Tensor:
    """uint8 [..., bytes of whole blocks] → float32 [..., weights]."""
    flat = blocks.reshape(-1, kind.block_bytes)
    return FORMATS[kind.name](flat).reshape(*blocks.shape[:-1], -1)


def _half(two_bytes: Tensor) -> Tensor:
    return two_bytes.contiguous().view(torch.float16).float()


def _nibbles(q: Tensor) -> Tensor:
    return torch.cat([q & 15, q >> 4], dim=-1)


def _f32(blocks: Tensor) -> Tensor:
    return blocks.contiguous().view(torch.float32)


def _bf16(blocks: Tensor) -> Tensor:
    return blocks.contiguous().view(torch.bfloat16).float()


def _q4_0(blocks: Tensor) -> Tensor:
    return _half(blocks[:, :2]) * (_nibbles(blocks[:, 2:]).float() - 8)


def _q4_1(blocks: Tensor) -> Tensor:
    return _half(blocks[:, :2]) * _nibbles(blocks[:, 4:]).float() + _half(blocks[:, 2:4])


def _q5_0(blocks: Tensor) -> Tensor:
    bits = torch.arange(8, device=blocks.device)
    high = (blocks[:, 2:6, None] >> bits & 1).reshape(-1, 32)
    return _half(blocks[:, :2]) * ((_nibbles(blocks[:, 6:]) | high << 4).float() - 16)


def _q8_0(blocks: Tensor) -> Tensor:
    return _half(blocks[:, :2]) * blocks[:, 2:].view(torch.int8).float()


def _k_scales(packed: Tensor) -> tuple[Tensor, Tensor]:
    """12 bytes → scales and minima, each [n, 8]: the first four in the low 6 bits, the rest pieced together."""
    d, m, high = packed[:, 0:4], packed[:, 4:8], packed[:, 8:12]
    scales = torch.cat([d & 63, (high & 15) | (d >> 2 & 48)], dim=-1)
    minima = torch.cat([m & 63, (high >> 4) | (m >> 2 & 48)], dim=-1)
    return scales.float(), minima.float()


def _k_affine(blocks: Tensor, q: Tensor) -> Tensor:
    """q [n, 8, 32] → (d·scale)·q - (m·minimum)."""
    scales, minima = _k_scales(blocks[:, 4:16])
    scale = (_half(blocks[:, :2]) * scales)[:, :, None]
    minimum = (_half(blocks[:, 2:4]) * minima)[:, :, None]
    return (scale * q.float() - minimum).reshape(-1, 256)


def _k_nibbles(q: Tensor) -> Tensor:
    """128 bytes → [n, 8, 32]: 32 bytes hold one group in their low and the next in their high nibbles."""
    q = q.reshape(-1, 4, 1, 32)
    return torch.cat([q & 15, q >> 4], dim=2).reshape(-1, 8, 32)


def _q4_k(blocks: Tensor) -> Tensor:
    return _k_affine(blocks, _k_nibbles(blocks[:, 16:]))


def _q5_k(blocks: Tensor) -> Tensor:
    groups = torch.arange(8, device=blocks.device)[None, :, None]
    high = blocks[:, None, 16:48] >> groups & 1
    return _k_affine(blocks, _k_nibbles(blocks[:, 48:]) | high << 4)


def _q6_k(blocks: Tensor) -> Tensor:
    low = blocks[:, :128].reshape(-1, 2, 2, 32)
    high = blocks[:, 128:192].reshape(-1, 2, 1, 32)
    low = torch.cat([low & 15, low >> 4], dim=2)  # [n, 2, 4, 32]
    shifts = torch.tensor([0, 2, 4, 6], device=blocks.device)[None, None, :, None]
    q = (low | (high >> shifts & 3) << 4).reshape(-1, 16, 16).float() - 32
    scale = _half(blocks[:, 208:]) * blocks[:, 192:208].view(torch.int8).float()
    return (scale[:, :, None] * q).reshape(-1, 256)


FORMATS: dict[str, Callable[[Tensor], Tensor]] = {
    "F32": _f32,
    "F16": _half,
    "BF16": _bf16,
    "Q4_0": _q4_0,
    "Q4_1": _q4_1,
    "Q5_0": _q5_0,
    "Q8_0": _q8_0,
    "Q4_K": _q4_k,
    "Q5_K": _q5_k,
    "Q6_K": _q6_k,
}
