"""DoRA: each row of W + s B A gets a length of its own, which is learned beside A and B.

    y = m / n ∘ (W x + s B A x) + b,        n = ‖W + s B A‖, one number a row

Liu et al., “DoRA: Weight-Decomposed Low-Rank Adaptation” (2024); as there (section 4.3) and in PEFT, n follows A and B
but is a constant to the gradient, and m begins as ‖W‖. Dropout thins the input of A alone: W x is computed once.

A packed W is never dense here. With w, b and n of one row,

    n² = ‖w‖² + 2 s b · (A w) + s² b (A Aᵀ) bᵀ

‖w‖² is summed from tiles once a run. A w, for all rows, is what the layer makes of the few rows of A, as if
`rank` more tokens went through it. It is made again only when A or B have changed, so not in each pass of a step, nor
for each token of a sample answer; copies of both tell, as a fused optimiser leaves no other trace in a tensor. All this
is in float32 also where activations are in bfloat16, and so is the ratio: it is close to 1, where bfloat16 counts in
steps of 0.8 %.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from llmlora.kernels.dequantise import PackedMatrix
from llmlora.kernels.linear import TILE_WEIGHTS, packed_linear, squared_row_norms


class Magnitude(nn.Module):
    """The lengths m [out] of the rows, in float32, for one layer."""

    def __init__(self, matrix: PackedMatrix | Tensor, device: torch.device) -> None:
        """`matrix` is W [out, in], in blocks or dense in any number format."""
        super().__init__()
        self.matrix = matrix
        self.squares = _squares(matrix) if isinstance(matrix, Tensor) else squared_row_norms(matrix, device)
        self.weight = nn.Parameter(self.squares.sqrt())
        self._known: tuple[Tensor, Tensor, Tensor] | None = None  # A, B and the n that follows from them

    def forward(self, y: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, scaling: float) -> Tensor:
        """y = W x + s B A x + bias [..., out], a [rank, in], b [out, rank] → the same with rescaled rows."""
        ratio = self.weight / self._norms(a, b, scaling)
        scaled = ratio * y if bias is None else ratio * y + (1 - ratio) * bias
        return scaled.to(y.dtype)

    @torch.no_grad()
    def _norms(self, a: Tensor, b: Tensor, scaling: float) -> Tensor:
        known = self._known
        if known is None or not (torch.equal(known[0], a) and torch.equal(known[1], b)):
            made = _products(a, self.matrix) if isinstance(self.matrix, Tensor) else packed_linear(a, self.matrix)
            cross = (b * made.T).sum(dim=1)
            square = ((b @ (a @ a.T)) * b).sum(dim=1)
            squared = self.squares + 2 * scaling * cross + scaling**2 * square
            # a row of zeros has no direction: its ratio is 0 / tiny, and it stays as it is
            norms = squared.clamp_min(torch.finfo(squared.dtype).tiny).sqrt()
            known = self._known = a.clone(), b.clone(), norms
        return known[2]


def _squares(matrix: Tensor) -> Tensor:
    return torch.cat([tile.float().square().sum(dim=1) for tile in _tiles(matrix)])


def _products(a: Tensor, matrix: Tensor) -> Tensor:
    return torch.cat([a @ tile.float().T for tile in _tiles(matrix)], dim=1)


def _tiles(matrix: Tensor) -> Sequence[Tensor]:
    """Rows a few at a time: in bfloat16, no float32 copy of the whole is made."""
    return torch.split(matrix, max(1, TILE_WEIGHTS // matrix.shape[1]))
