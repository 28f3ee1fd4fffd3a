"""How far each pair of a head's numbers is turned per position, as llama.cpp computes it (`rope_yarn` in ggml).

Pair i of n turns by base^(-i/n) a position. Scaling slows that down:

    linear   every pair by `factor`
    factors  pair i by its own divisor, which the file holds (Llama 3.1's `rope_freqs`, Phi-3's long and short factors)
    YaRN     slow pairs by `factor`, fast ones not at all, those between by a mixture; scores are multiplied as well

All of it comes down to one frequency a pair and one magnitude of cos and sin, which is why one module
(`model.rotary`) serves all architectures. No torch here.
"""

from dataclasses import dataclass
from math import ceil, floor, log, pi
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Scaling:
    """The stretching of RoPE."""

    factor: float = 1.0
    magnitude: float = 1.0  # of cos and sin
    yarn: bool = False
    original_context: int = 0
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    log_multiplier: float = 0.0


@dataclass(frozen=True)
class Rotation:
    """RoPE of one type of layer."""

    base: float
    rotated: int  # numbers of a head that are turned
    scaling: Scaling

    def frequencies(self, divisors: Floats | None = None) -> Floats:
        """Radians a position, [rotated / 2]."""
        pairs = np.arange(self.rotated // 2)
        plain: Floats = self.base ** (-2.0 * pairs / self.rotated)
        if divisors is not None:
            plain = plain / divisors
        slow: Floats = plain / self.scaling.factor
        if not self.scaling.yarn:
            return slow
        kept = 1 - np.clip((pairs - self._pair(self.scaling.beta_fast, floor)) / self._width(), 0, 1)
        mixed: Floats = slow * (1 - kept) + plain * kept
        return mixed

    def magnitude(self) -> float:
        """Of cos and sin."""
        scaling = self.scaling
        if not scaling.yarn:
            return scaling.magnitude
        grown = _grown(scaling.factor, 1.0)
        if scaling.log_multiplier:
            grown /= _grown(scaling.factor, scaling.log_multiplier)
        # llama.cpp divides by 1 + 0.1 ln(factor) here and multiplies by it in the kernel
        return grown * scaling.magnitude

    def _width(self) -> float:
        return max(0.001, self._pair(self.scaling.beta_slow, ceil) - self._pair(self.scaling.beta_fast, floor))

    def _pair(self, turns: float, rounded: Any) -> float:
        """The pair that turns so many times within the original context (`ggml_rope_yarn_corr_dim`)."""
        pair = self.rotated * log(self.scaling.original_context / (turns * 2 * pi)) / (2 * log(self.base))
        return float(max(0, rounded(pair)) if rounded is floor else min(self.rotated - 1, rounded(pair)))


def _grown(factor: float, multiplier: float) -> float:
    return 1.0 if factor <= 1 else 0.1 * multiplier * log(factor) + 1
