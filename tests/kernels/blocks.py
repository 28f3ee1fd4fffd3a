"""Blocks to dequantise: ordinary ones, and the strangest a file can hold."""

import numpy as np

import gguf
from llmlora.ggml import BY_NAME
from llmlora.kernels.dequantise import PackedMatrix

# where the float16 scales of a block stand
HALVES = {
    "Q4_0": (0,),
    "Q4_1": (0, 2),
    "Q5_0": (0,),
    "Q5_1": (0, 2),
    "Q8_0": (0,),
    "Q2_K": (80, 82),
    "Q3_K": (108,),
    "Q4_K": (0, 2),
    "Q5_K": (0, 2),
    "Q6_K": (208,),
    "IQ4_NL": (0,),
    "IQ4_XS": (0,),
}
# 0, -0, the smallest, its negative, the largest subnormal, one, the largest, ±∞, quiet NaNs
STRANGE = (0, 0x8000, 0x0001, 0x8001, 0x03FF, 0x3C00, 0x7BFF, 0x7C00, 0xFC00, 0x7E00, 0xFFFF)


def ordinary(name: str, rows: int, columns: int, seed: int = 0) -> PackedMatrix:
    """A matrix whose weights are about as large as those of a model."""
    random = np.random.default_rng(seed)
    kind = BY_NAME[name]
    if name in HALVES:
        blocks = random.integers(0, 256, (rows, columns // kind.block_size, kind.block_bytes), dtype=np.uint8)
        for at in HALVES[name]:
            scales = random.uniform(1e-4, 1e-3, blocks.shape[:2]).astype(np.float16)
            blocks[:, :, at : at + 2] = scales[:, :, None].view(np.uint8)
        return PackedMatrix(blocks.reshape(rows, -1), kind)
    values = random.normal(0, 0.05, (rows, columns)).astype(np.float32)
    return PackedMatrix(gguf.quants.quantize(values, gguf.GGMLQuantizationType[name]).view(np.uint8), kind)


def strange(name: str, blocks: int = 2048) -> np.ndarray:
    """uint8 [n, block_bytes]: random bytes, all zeros, all ones, and every strange scale beside extreme codes."""
    random = np.random.default_rng(1)
    size = BY_NAME[name].block_bytes
    if name == "MXFP4":  # its scale is a byte: all of them, beside all codes in either nibble
        scales = np.arange(256, dtype=np.uint8).reshape(-1, 1, 1).repeat(2, axis=1)
        codes = np.arange(32, dtype=np.uint8).reshape(1, 2, 16) % 16 * 17
        swapped = np.concatenate([codes[:, :1], codes[:, 1:] ^ 0xF0], axis=1).repeat(256, axis=0)
        return np.concatenate([scales, swapped], axis=2).reshape(-1, size)
    if name not in HALVES:
        every = np.arange(65_536, dtype=np.uint16)
        wide = every.astype(np.uint32) << 16
        return (np.concatenate([wide, wide | every[::-1]]) if name == "F32" else every).view(np.uint8).reshape(-1, size)
    parts = [random.integers(0, 256, (blocks, size), dtype=np.uint8)]
    for fill in (0x00, 0xFF, 0x7F, 0x80, 0x0F, 0xF0):
        for first in STRANGE:
            for second in STRANGE:
                block = np.full(size, fill, dtype=np.uint8)
                for at, scale in zip(HALVES[name], (first, second), strict=False):
                    block[at : at + 2] = np.array([scale], dtype=np.uint16).view(np.uint8)
                parts.append(block[None])
    return np.concatenate([*parts, np.zeros((1, size), np.uint8), np.full((1, size), 255, np.uint8)])
