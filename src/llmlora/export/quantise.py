"""Float matrices into the three types a merged tensor may take, exactly as ggml rounds them."""

from typing import Any

import numpy as np
from torch import Tensor

from llmlora.ggml import TensorType

Bytes = np.ndarray[Any, np.dtype[np.uint8]]


def pack_as(matrix: Tensor, kind: TensorType) -> Bytes:
    """float32 [rows, columns] → uint8 [rows, row_bytes] as F32, F16 or Q8_0."""
    values = np.ascontiguousarray(matrix.numpy())
    if kind.name == "F32":
        return values.view(np.uint8)
    if kind.name == "F16":
        return values.astype(np.float16).view(np.uint8)
    if kind.name == "Q8_0":
        return _q8_0(values)
    raise ValueError(f"merged tensors are not written as {kind.name}")


def _q8_0(values: np.ndarray[Any, np.dtype[np.float32]]) -> Bytes:
    """`quantize_row_q8_0_ref` of ggml-quants.c: 32 weights share d = max|w| / 127, halves round away from zero."""
    blocks = values.reshape(-1, 32)
    scale = np.abs(blocks).max(axis=1, keepdims=True) / np.float32(127)
    with np.errstate(divide="ignore"):
        inverse = np.where(scale == 0, np.float32(0), np.float32(1) / scale)
    scaled = blocks * inverse
    codes = (np.sign(scaled) * np.floor(np.abs(scaled) + np.float32(0.5))).astype(np.int8)
    packed = np.concatenate([scale.astype(np.float16).view(np.uint8), codes.view(np.uint8)], axis=1)
    return packed.reshape(values.shape[0], -1)
