"""Vectors of 16 float32 numbers as a type of compiled loops.

LLVM makes vectors of loops by itself, many numbers at a time; what is left over at the end goes one by one, which in
rows of a hundred numbers is half of them. Where rows are short, the vectors are written out. One becomes a register of
AVX-512, two of AVX2 or four of Arm's.

    v = load(numbers, at)        16 numbers of a flat array, float32 or bfloat16 (as uint16), as float32
    store(v, numbers, at)        and back, rounded to nearest even where they are bfloat16
    load_one, store_one          the same with a single number
    same(x)                      16 times x
    v + w, v - w, v * w, v / w, larger(v, w)
    signed_as(v, w)              v with the signs of w
    total(v), largest(v)         of the 16
    two_to(v)                    2ᵛ of whole numbers from -126 to 127

Indices are taken as they are: none counts from the end.
"""

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.datamodel import models
from numba.core.extending import register_model
from numba.extending import intrinsic, lower_builtin, type_callable

LANES = 16
F32, I16, I32 = ir.FloatType(), ir.IntType(16), ir.IntType(32)
VECTOR, INTEGERS = ir.VectorType(F32, LANES), ir.VectorType(I32, LANES)
ZERO, UNDEFINED = ir.Constant(VECTOR, [0.0] * LANES), ir.Constant(VECTOR, ir.Undefined)


def instruction(made: Callable[..., Any]) -> Any:
    """A function of compiled loops that is written in LLVM's terms."""
    return intrinsic(made)


class Vector(types.Type):
    """16 float32 numbers."""

    def __init__(self) -> None:
        super().__init__(name="Vector")


vector = Vector()


@register_model(Vector)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, of: Any) -> None:
        super().__init__(manager, of, VECTOR)


for _operator, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):

    @type_callable(_operator)
    def _type(_):
        return lambda one, other: vector if one is vector and other is vector else None

    def _lower(_, builder, __, values, how=_instruction):
        return getattr(builder, how)(*values, flags=("contract",))

    lower_builtin(_operator, vector, vector)(_lower)


def _loader(form: Any, made: Any) -> Any:
    """An intrinsic that takes what is `made` of numbers, in a register of the `form` VECTOR or F32."""

    @instruction
    def taken(_, numbers, at):
        def generate(context, builder, signature, values):
            place, halves = _place(context, builder, signature.args[0], values, form)
            loaded = builder.load(place, align=1)
            return wide(builder, loaded, form) if halves else loaded

        return made(numbers, types.intp), generate

    return taken


def _storer(form: Any, made: Any) -> Any:
    @instruction
    def put(_, value, numbers, at):
        def generate(context, builder, signature, values):
            place, halves = _place(context, builder, signature.args[1], values[1:], form)
            builder.store(narrow(builder, values[0]) if halves else values[0], place, align=1)
            return context.get_dummy_value()

        return types.void(made, numbers, types.intp), generate

    return put


load, store = _loader(VECTOR, vector), _storer(VECTOR, vector)
load_one, store_one = _loader(F32, types.float32), _storer(F32, types.float32)


@instruction
def same(_, number):
    """16 times a number."""
    return vector(types.float32), lambda _, builder, __, values: spread(builder, values[0])


@instruction
def larger(_, one, other):
    """The larger of each two; of a number and none, the one that is none if it is the first."""

    def generate(_, builder, __, values):
        return builder.select(builder.fcmp_ordered("<", *values), values[1], values[0])

    return vector(vector, vector), generate


@instruction
def signed_as(_, sizes, signs):
    """`sizes` with the signs of `signs`."""

    def generate(_, builder, __, values):
        sizes, signs = (builder.bitcast(one, INTEGERS) for one in values)
        joined = builder.or_(builder.and_(sizes, every(0x7FFFFFFF)), builder.and_(signs, every(0x80000000)))
        return builder.bitcast(joined, VECTOR)

    return vector(vector, vector), generate


@instruction
def two_to(_, whole):
    """2ᵛ, by writing v into the exponents."""

    def generate(_, builder, __, values):
        exponent = builder.add(builder.fptosi(values[0], INTEGERS), every(127))
        return builder.bitcast(builder.shl(exponent, every(23)), VECTOR)

    return vector(vector), generate


@instruction
def total(_, sixteen):
    """The sum of the 16, halves added to halves."""

    def generate(_, builder, __, values):
        return _fold(builder, values[0], builder.fadd)

    return types.float32(vector), generate


@instruction
def largest(_, sixteen):
    """The largest of the 16."""

    def generate(_, builder, __, values):
        return _fold(
            builder, values[0], lambda one, other: builder.select(builder.fcmp_ordered("<", one, other), other, one)
        )

    return types.float32(vector), generate


def spread(builder: Any, number: Any) -> Any:
    """IR: 16 times a number of any type."""
    undefined = ir.Constant(ir.VectorType(number.type, LANES), ir.Undefined)
    return builder.shuffle_vector(builder.insert_element(undefined, number, I32(0)), undefined, every(0))


def wide(builder: Any, halves: Any, form: Any) -> Any:
    """IR: bfloat16 as float32."""
    bits = _bits(form)
    return builder.bitcast(builder.shl(builder.zext(halves, bits), every(16, bits)), form)


def narrow(builder: Any, numbers: Any) -> Any:
    """IR: the bfloat16 next to a float32, the even one of two."""
    none = builder.fcmp_unordered("uno", numbers, numbers)
    halves = _halves(numbers.type)
    return builder.select(none, every(0x7FC0, halves), rounded(builder, numbers))


def rounded(builder: Any, numbers: Any) -> Any:
    """IR: as `narrow`, of numbers that are some."""
    kind = _bits(numbers.type)
    bits = builder.bitcast(numbers, kind)
    odd = builder.and_(builder.lshr(bits, every(16, kind)), every(1, kind))
    raised = builder.add(builder.add(bits, every(0x7FFF, kind)), odd)
    return builder.trunc(builder.lshr(raised, every(16, kind)), _halves(numbers.type))


def _bits(form: Any) -> Any:
    return INTEGERS if form == VECTOR else I32


def _halves(form: Any) -> Any:
    return ir.VectorType(I16, LANES) if form == VECTOR else I16


def every(number: int, kind: Any = INTEGERS) -> Any:
    """IR: a constant, in all lanes where `kind` is a vector."""
    return ir.Constant(kind, [number] * LANES if isinstance(kind, ir.VectorType) else number)


def _fold(builder: Any, numbers: Any, join: Any) -> Any:
    for half in (8, 4, 2, 1):
        order = ir.Constant(INTEGERS, [(lane + half) % LANES for lane in range(LANES)])
        numbers = join(numbers, builder.shuffle_vector(numbers, UNDEFINED, order))
    return builder.extract_element(numbers, I32(0))


def _place(context: Any, builder: Any, array: Any, numbers_at: Any, form: Any) -> tuple[Any, bool]:
    """IR: where a register's numbers begin, and whether they are bfloat16 there."""
    halves = array.dtype == types.uint16
    return pointer(context, builder, array, numbers_at, _halves(form) if halves else form), halves


def pointer(context: Any, builder: Any, array: Any, numbers_at: Any, to: Any) -> Any:
    """IR: where a place of an array is, (numbers, place), as a pointer to the type `to`."""
    numbers, at = numbers_at
    data = context.make_array(array)(context, builder, numbers).data
    return builder.bitcast(builder.gep(data, [at]), to.as_pointer())
