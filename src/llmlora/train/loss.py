"""The loss: cross-entropy of the supervised positions alone.

A tied head of 262,144 tokens is most of a small model's work, and an instruction row has many tokens nobody learns
from; only supervised positions are projected onto the vocabulary, a chunk at a time, and each chunk's gradient is
taken at once. So logits of one chunk are the most that ever exists, whatever the batch.
"""

from typing import Any

import torch
from torch import Tensor

from llmlora.estimate import HEAD_BYTES
from llmlora.kernels.cross_entropy import cross_entropy_
from llmlora.model.head import Head


def supervised_loss(hidden: Tensor, head: Head, labels: Tensor) -> Tensor:
    """Sum over positions of the cross-entropy, in nats.

    hidden [positions, hidden_size], labels int64 [positions] → float32 scalar.
    """
    loss: Tensor = _SupervisedLoss.apply(hidden, head, labels)  # type: ignore[no-untyped-call]
    return loss


class _SupervisedLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Head, labels: Tensor) -> Tensor:
        chunk = max(1, HEAD_BYTES // (head.outfeatures * hidden.element_size()))  # they become their own gradient
        gradient = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        total = torch.zeros((), dtype=torch.float32)
        for start in range(0, len(labels), chunk):
            part = slice(start, start + chunk)
            rows = hidden[part].detach().requires_grad_(gradient is not None)
            with torch.set_grad_enabled(gradient is not None):
                values = head(rows)
            total += cross_entropy_(values.detach(), labels[part], head.multiplier, head.cap)
            if gradient is not None:
                (gradient[part],) = torch.autograd.grad(values, rows, values.detach())
            del values  # before the next chunk's are made
        ctx.gradient = gradient
        return total

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None, None]:
        return ctx.gradient * upstream[0], None, None
