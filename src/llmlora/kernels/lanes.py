"""Sixteen bytes at once: the vectors that the block formats are unpacked in.

Loops over single weights depend on LLVM's finding the vectors, which it does for some formats and not for others, at a
third of the speed or less. Here they are written down: `Lanes` is a value of compiled code, `<16 x i8>` in LLVM's
language, which makes of it what a processor has: one register of SSE or NEON and, once the bytes are floats, one of
AVX512, two of AVX2 or four of NEON. There is nothing here for one processor alone.

    load(row, at), load_bits(row, at)    16 bytes, or 16 bits as bytes 0 and 1
    q & 15, q >> 4, low | high << 4      lane by lane, unsigned
    q - 8                                ... which leaves a signed byte
    pick(q, table)                       lane by lane the value of a table of 16
    put(out, to, q, d)                   the signed bytes times d, as float32 or bfloat16 into `out`
    put_plus(out, to, q, d, m)           d · q + m, product and sum rounded each

bfloat16 is rounded in integers, to nearest even. A not-a-number stays one if the lower half of its bits are zeros, as
those of the table of float16 and those that a processor makes are; so no lane asks. (AVX512's own instruction would be
faster by a third, and takes subnormal numbers for zero.)
"""

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import lower_builtin, models, register_model, type_callable

from llmlora.kernels.vectors import INTEGERS, VECTOR, every, instruction, pointer, rounded, spread
from llmlora.kernels.vectors import LANES as COUNT

BYTE = ir.IntType(8)
BITS, BYTES = ir.VectorType(ir.IntType(1), COUNT), ir.VectorType(BYTE, COUNT)


class Lanes(types.Type):
    """What compiled code knows 16 bytes by."""

    def __init__(self) -> None:
        super().__init__(name="Lanes")


LANES = Lanes()


@register_model(Lanes)
class LanesModel(models.PrimitiveModel):
    """How they are represented: as a vector of LLVM."""

    def __init__(self, manager: Any, numba_type: Any) -> None:
        super().__init__(manager, numba_type, BYTES)


def _operator(which: Callable[[Any, Any], Any], name: str) -> None:
    """Let `which` work on lanes, with lanes or one integer on its right, by LLVM's instruction `name`."""

    @type_callable(which)
    def typed(_: Any) -> Callable[[Any, Any], Lanes | None]:
        def result(left: Any, right: Any) -> Lanes | None:
            return LANES if left is LANES and isinstance(right, Lanes | types.Integer) else None

        return result

    @lower_builtin(which, Lanes, Lanes)
    def of_lanes(_: Any, builder: Any, __: Any, values: Any) -> Any:
        return getattr(builder, name)(*values)

    @lower_builtin(which, Lanes, types.Integer)
    def of_integer(_: Any, builder: Any, __: Any, values: Any) -> Any:
        return getattr(builder, name)(values[0], spread(builder, builder.trunc(values[1], BYTE)))


for _which, _name in (
    (operator.and_, "and_"),
    (operator.or_, "or_"),
    (operator.rshift, "lshr"),
    (operator.lshift, "shl"),
    (operator.sub, "sub"),
):
    _operator(_which, _name)


@instruction
def load(_typing: Any, row: Any, _at: Any) -> Any:
    """row uint8 [n], at ≤ n - 16 → its 16 bytes from there."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.load(pointer(context, builder, signature.args[0], values, BYTES), align=1)

    return LANES(row, types.intp), generate


@instruction
def load_bits(_typing: Any, row: Any, _at: Any) -> Any:
    """row uint8 [n], at ≤ n - 2 → the 16 bits of two bytes, lowest first, each as a byte."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        bits = builder.load(pointer(context, builder, signature.args[0], values, ir.IntType(COUNT)), align=1)
        return builder.zext(builder.bitcast(bits, BITS), BYTES)

    return LANES(row, types.intp), generate


@instruction
def pick(_typing: Any, codes: Any, table: Any) -> Any:
    """codes below 16, table of 16 integers → signed bytes. Each bit of a code halves what is left of the table."""

    def generate(_: Any, builder: Any, __: Any, values: Any) -> Any:
        codes, table = values
        left = [spread(builder, builder.trunc(builder.extract_value(table, i), BYTE)) for i in range(COUNT)]
        while len(left) > 1:
            bit = builder.and_(codes, every(COUNT // len(left), BYTES))
            is_set = builder.icmp_unsigned("!=", bit, every(0, BYTES))
            left = [builder.select(is_set, *pair) for pair in zip(left[1::2], left[::2], strict=True)]
        return left[0]

    return LANES(codes, table), generate


@instruction
def put(_typing: Any, out: Any, _to: Any, codes: Any, _scale: Any) -> Any:
    """out[to … to + 16] = scale · codes; out float32 or bfloat16 (as uint16) [≥ to + 16], codes signed."""
    return types.void(out, types.intp, codes, types.float32), _write


@instruction
def put_plus(_typing: Any, out: Any, _to: Any, codes: Any, _scale: Any, _offset: Any) -> Any:
    """out[to … to + 16] = scale · codes + offset; as `put`."""
    return types.void(out, types.intp, codes, types.float32, types.float32), _write


def _write(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    codes, (scale, *offset) = values[2], values[3:]
    numbers = builder.fmul(builder.sitofp(builder.sext(codes, INTEGERS), VECTOR), spread(builder, scale))
    if offset:
        numbers = builder.fadd(numbers, spread(builder, offset[0]))
    if signature.args[0].dtype == types.uint16:
        numbers = rounded(builder, numbers)
    place = pointer(context, builder, signature.args[0], values[:2], numbers.type)
    builder.store(numbers, place, align=signature.args[0].dtype.bitwidth // 8)
    return context.get_dummy_value()
