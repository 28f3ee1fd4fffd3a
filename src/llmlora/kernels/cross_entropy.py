"""Cross-entropy of rows of logits and its gradient, in one pass over each row, on CPUs.

loss = ln Σ eˡ − l[label];  dl = softmax(l) − 1[label], written where the logits were. Logits may be scaled and softly
capped first, l = cap · tanh(m z / cap), and then dz is written. All in float32, rounded once.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from llmlora.kernels.compiled import compiled_in_lanes
from llmlora.kernels.lines import NOTHING, ONE, normalise, read, softly_cap, whole_vectors, write
from llmlora.kernels.threads import as_array, spread

NUMBERS_PER_THREAD = 65_536


def cross_entropy_(logits: Tensor, labels: Tensor, multiplier: float = 1.0, cap: float | None = None) -> Tensor:
    """Sum of the losses of rows, float32 scalar, in nats; the logits become their gradient.

    logits [n, vocabulary] contiguous float32 or bfloat16, before they are multiplied and capped; labels int64 [n].
    """
    if logits.device.type != "cpu":
        return cross_entropy_by_reference_(logits, labels, multiplier, cap)
    losses = torch.empty(len(logits), dtype=torch.float64)
    z, wanted, out = as_array(logits), labels.numpy(), losses.numpy()
    how = np.array([multiplier, cap or 0.0], np.float32)
    least = max(1, NUMBERS_PER_THREAD // logits.shape[1])
    spread(lambda a, b: _rows(z[a:b], wanted[a:b], how, out[a:b]), len(logits), least)
    return losses.sum().float()


def cross_entropy_by_reference_(logits: Tensor, labels: Tensor, multiplier: float, cap: float | None) -> Tensor:
    """The same in torch."""
    z = logits.detach().requires_grad_()
    with torch.enable_grad():
        wide = z.float() * multiplier
        wide = wide if cap is None else cap * torch.tanh(wide / cap)
        loss = F.cross_entropy(wide, labels, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, z)
    logits.copy_(gradient)
    return loss.detach()


@compiled_in_lanes
def _rows(logits, labels, how, losses):
    count = logits.shape[1]
    end = whole_vectors(count)
    line, slope = np.empty(end, np.float32), np.empty(end, np.float32)
    multiplier, cap = how
    for i in range(len(logits)):
        read(logits[i], line)
        for j in range(count):
            line[j] *= multiplier
        if cap > 0:
            softly_cap(line, 0, end, cap, slope)
        line[count:] = NOTHING
        wanted = np.float64(line[labels[i]])
        losses[i] = normalise(line, 0, end) - wanted
        line[labels[i]] -= ONE
        for j in range(count):
            line[j] *= multiplier
        if cap > 0:
            for j in range(count):
                line[j] *= slope[j]
        write(line, logits[i])
