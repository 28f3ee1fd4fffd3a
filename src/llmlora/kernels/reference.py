"""The block formats, written down in plain torch: slow, obvious, on any device. The specification of `dequantise`.

Each function takes uint8 blocks [n, block_bytes] and returns float32 [n, block_size]. Scales are float16; every product
and sum is rounded to float32 in the order of `dequantize_row_*` in ggml-quants.c, which gguf-py's `quants.py` follows
too: the three agree bit for bit. Layouts (`block_*` in ggml-common.h), `d` and `m` being float16:

    Q4_0  d, 16 bytes q                            w = d (q - 8)           low nibbles are weights 0–15, high 16–31
    Q4_1  d, m, 16 bytes q                         w = d q + m
    Q5_0  d, 32 bits h, 16 bytes q                 w = d (q + 16 h - 16)
    Q5_1  d, m, 32 bits h, 16 bytes q              w = d (q + 16 h) + m
    Q8_0  d, 32 signed bytes q                     w = d q
    Q2_K  16 bytes (s, t), 64 bytes q, d, m        w = (d s) q - (m t)     16 groups of 16, s and t a nibble each
    Q3_K  32 bytes h, 64 bytes q, 12 bytes s, d    w = (d s) (q + 4 h - 4) 16 groups of 16, s of 6 bits, minus 32
    Q4_K  d, m, 12 bytes of scales, 128 bytes q    w = (d s) q - (m t)     8 groups of 32, (s, t) of 6 bits each
    Q5_K  d, m, 12 bytes, 32 bytes h, 128 bytes q  as Q4_K with a fifth bit
    Q6_K  128 bytes low, 64 bytes high, 16 s, d    w = (d s) (q - 32)      16 groups of 16, s a signed byte
    IQ4_NL  d, 16 bytes q                          w = d IQ4[q]            16 uneven steps, denser around zero
    IQ4_XS  d, 2 + 4 bytes s, 128 bytes q          w = (d s) IQ4[q]        8 groups of 32, s of 6 bits, minus 32
    MXFP4   e, 16 bytes q                          w = 2^(e - 128) FP4[q]  twice the values of OCP's E2M1

An `e` of 255, which OCP calls not a number, is 2^127 to ggml, and to us.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from llmlora.ggml import TensorType

# `kvalues_iq4nl` and `kvalues_mxfp4` of ggml-common.h
IQ4 = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)
FP4 = (0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12)


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


def _fifth_bits(packed: Tensor) -> Tensor:
    """4 bytes → [n, 32], each bit as 16."""
    bits = torch.arange(8, device=packed.device)
    return (packed[:, :, None] >> bits & 1).reshape(-1, 32) << 4


def _q5_0(blocks: Tensor) -> Tensor:
    return _half(blocks[:, :2]) * ((_nibbles(blocks[:, 6:]) | _fifth_bits(blocks[:, 2:6])).float() - 16)


def _q5_1(blocks: Tensor) -> Tensor:
    q = _nibbles(blocks[:, 8:]) | _fifth_bits(blocks[:, 4:8])
    return _half(blocks[:, :2]) * q.float() + _half(blocks[:, 2:4])


def _q8_0(blocks: Tensor) -> Tensor:
    return _half(blocks[:, :2]) * blocks[:, 2:].view(torch.int8).float()


def _shifted(packed: Tensor, shifts: range) -> Tensor:
    """uint8 [n, bytes] → [n, groups of 32 bytes, shifts, 32]: each group shifted right by each number of bits."""
    steps = torch.tensor(list(shifts), device=packed.device)[None, None, :, None]
    return packed.reshape(len(packed), -1, 1, 32) >> steps


def _q2_k(blocks: Tensor) -> Tensor:
    q = (_shifted(blocks[:, 16:80], range(0, 8, 2)) & 3).reshape(-1, 16, 16).float()
    scale = _half(blocks[:, 80:82]) * (blocks[:, :16] & 15).float()
    minimum = _half(blocks[:, 82:]) * (blocks[:, :16] >> 4).float()
    return (scale[:, :, None] * q - minimum[:, :, None]).reshape(-1, 256)


def _q3_k(blocks: Tensor) -> Tensor:
    low = _shifted(blocks[:, 32:96], range(0, 8, 2)) & 3  # [n, 2, 4, 32]
    high = (_shifted(blocks[:, :32], range(8)) & 1).reshape(-1, 2, 4, 32)
    q = (low | high << 2).reshape(-1, 16, 16).float() - 4
    four = torch.tensor([0, 2, 4, 6], device=blocks.device)[None, :, None]
    upper = (blocks[:, None, 104:108] >> four & 3).reshape(-1, 16)
    scale = _half(blocks[:, 108:]) * ((_nibbles(blocks[:, 96:104]) | upper << 4).float() - 32)
    return (scale[:, :, None] * q).reshape(-1, 256)


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
    low = torch.cat([low & 15, low >> 4], dim=2)  # [n, 2, 4, 32]
    high = _shifted(blocks[:, 128:192], range(0, 8, 2)) & 3
    q = (low | high << 4).reshape(-1, 16, 16).float() - 32
    scale = _half(blocks[:, 208:]) * blocks[:, 192:208].view(torch.int8).float()
    return (scale[:, :, None] * q).reshape(-1, 256)


def _looked_up(values: tuple[int, ...], codes: Tensor) -> Tensor:
    return torch.tensor(values, dtype=torch.float32, device=codes.device)[codes.long()]


def _iq4_nl(blocks: Tensor) -> Tensor:
    return _half(blocks[:, :2]) * _looked_up(IQ4, _nibbles(blocks[:, 2:]))


def _iq4_xs(blocks: Tensor) -> Tensor:
    nibbles, pairs = (torch.arange(0, 8, step, device=blocks.device) for step in (4, 2))
    low = (blocks[:, 4:8, None] >> nibbles & 15).reshape(-1, 8)
    high = (blocks[:, 2:4, None] >> pairs & 3).reshape(-1, 8)
    scale = _half(blocks[:, :2]) * ((low | high << 4).float() - 32)
    q = _looked_up(IQ4, _nibbles(blocks[:, 8:].reshape(-1, 8, 16)))
    return (scale[:, :, None] * q).reshape(-1, 256)


def _mxfp4(blocks: Tensor) -> Tensor:
    exponent = blocks[:, :1].int()
    # 2^-128 and 2^-127 are subnormal: they have no exponent, but a bit of their own
    bits = torch.where(exponent < 2, 0x00200000 << exponent, exponent - 1 << 23)
    return bits.view(torch.float32) * _looked_up(FP4, _nibbles(blocks[:, 1:]))


FORMATS: dict[str, Callable[[Tensor], Tensor]] = {
    "F32": _f32,
    "F16": _half,
    "BF16": _bf16,
    "Q4_0": _q4_0,
    "Q4_1": _q4_1,
    "Q5_0": _q5_0,
    "Q5_1": _q5_1,
    "Q8_0": _q8_0,
    "Q2_K": _q2_k,
    "Q3_K": _q3_k,
    "Q4_K": _q4_k,
    "Q5_K": _q5_k,
    "Q6_K": _q6_k,
    "IQ4_NL": _iq4_nl,
    "IQ4_XS": _iq4_xs,
    "MXFP4": _mxfp4,
}
