"""The plan: arithmetic that chooses, and refuses what cannot fit."""

from dataclasses import replace

import pytest

from llmlora.errors import NotEnoughMemory
from llmlora.plan import MB, Machine, Shape, Tokens, make_plan
from llmlora.recipe import make_recipe

RECIPE = make_recipe({"model": "m", "data": "d", "batch_size": 4, "gradient_accumulation": 2, "epochs": 3})
SHAPE = Shape(30, 576, 1536, 576, 192, 49152, 106_000_000, 2_400_000, 7, 6_000, 98_000_000)
TOKENS = Tokens(rows=100, total=20_000, supervised=8_000, longest=512)
MACHINE = Machine(threads=2, free_memory=16_000 * MB, float32_flops=100e9, bfloat16_flops=400e9)


def test_the_faster_number_format_is_chosen():
    assert make_plan(RECIPE, SHAPE, TOKENS, 0, MACHINE).dtype == "bfloat16"
    assert make_plan(RECIPE, SHAPE, TOKENS, 0, replace(MACHINE, bfloat16_flops=9e9)).dtype == "float32"


def test_steps_cover_the_epochs():
    plan = make_plan(RECIPE, SHAPE, TOKENS, 0, MACHINE)

    assert plan.total_steps == 38  # ceil(100 rows · 3 epochs / 8 rows a step)


def test_given_steps_win_over_epochs():
    assert make_plan(RECIPE.model_copy(update={"steps": 7}), SHAPE, TOKENS, 0, MACHINE).total_steps == 7


def test_capped_attention_needs_memory_for_the_scores_of_the_longest_row():
    plain = make_plan(RECIPE, SHAPE, TOKENS, 0, MACHINE)

    assert (
        make_plan(RECIPE, replace(SHAPE, capped_heads=8), TOKENS, 0, MACHINE).memory - plain.memory == 16 * 8 * 512**2
    )


def test_the_base_is_dequantised_once_where_half_the_memory_is_enough():
    roomy = make_plan(RECIPE, SHAPE, TOKENS, 0, replace(MACHINE, free_memory=2**50))
    half = make_plan(RECIPE, SHAPE, TOKENS, 0, replace(MACHINE, free_memory=2 * roomy.memory))
    less = make_plan(RECIPE, SHAPE, TOKENS, 0, replace(MACHINE, free_memory=2 * roomy.memory - 2))
    dense = make_plan(RECIPE, replace(SHAPE, dense_parameters=1), TOKENS, 0, replace(MACHINE, free_memory=2**50))

    assert (roomy.unpacked, half.unpacked, less.unpacked, dense.unpacked) == (True, True, False, False)
    numbers = SHAPE.body_parameters + SHAPE.vocabulary * SHAPE.hidden
    assert roomy.memory - less.memory == 2 * numbers


def test_less_memory_means_recompute_then_single_rows_then_a_refusal():
    unpacked = make_plan(RECIPE, SHAPE, TOKENS, 0, MACHINE)
    roomy = make_plan(RECIPE, SHAPE, TOKENS, 0, replace(MACHINE, free_memory=2 * unpacked.memory - 2))
    tight = make_plan(RECIPE, SHAPE, TOKENS, 0, replace(MACHINE, free_memory=roomy.memory - 1))
    tightest = make_plan(RECIPE, SHAPE, TOKENS, 0, replace(MACHINE, free_memory=tight.memory - 1))

    assert not roomy.recompute
    assert tight.recompute
    assert tight.micro_batch == 4
    assert tightest.micro_batch == 1
    with pytest.raises(NotEnoughMemory) as caught:
        make_plan(RECIPE, SHAPE, TOKENS, 0, replace(MACHINE, free_memory=tightest.memory - 1))
    assert all(knob in caught.value.hint() for knob in ("--batch-size", "--max-length", "--rank"))


def test_recompute_is_planned_to_take_half_as_long_again_in_the_body():
    unpacked = make_plan(RECIPE, SHAPE, replace(TOKENS, supervised=0), 0, MACHINE)
    machine = replace(MACHINE, free_memory=2 * unpacked.memory - 2)
    free = make_plan(RECIPE, SHAPE, replace(TOKENS, supervised=0), 0, machine)
    tight = make_plan(RECIPE, SHAPE, replace(TOKENS, supervised=0), 0, replace(MACHINE, free_memory=free.memory - 1))

    assert 1.3 < tight.seconds / free.seconds <= 1.5


def test_without_held_out_rows_nothing_is_evaluated_before_the_end():
    plan = make_plan(RECIPE, SHAPE, TOKENS, 0, MACHINE)

    assert plan.eval_every == plan.total_steps
    assert make_plan(RECIPE, SHAPE, TOKENS, 5, MACHINE).eval_every == 3
