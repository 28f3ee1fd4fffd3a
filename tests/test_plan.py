"""The plan: arithmetic that chooses, says why, and refuses what cannot fit."""

from dataclasses import replace
from typing import Any

import pytest

from llmlora.errors import NotEnoughMemory
from llmlora.estimate import MB, Machine, Shape, Tokens, Way, memory_needed, work_of
from llmlora.plan import PASS_TOKENS, Plan, make_plan
from llmlora.recipe import make_recipe

RECIPE = make_recipe({"model": "m", "data": "d", "batch_size": 4, "gradient_accumulation": 2, "epochs": 3})
SHAPE = Shape(30, 576, 1536, 576, 192, 49152, 106_000_000, 2_400_000, 7, 6_000, 98_000_000)
TOKENS = Tokens(rows=100, total=20_000, supervised=8_000, longest=512, squares=6_000_000)
MACHINE = Machine(threads=2, free_memory=64_000 * MB, float32_flops=100e9, bfloat16_flops=400e9)
LEAST = memory_needed(RECIPE, SHAPE, TOKENS, Way("bfloat16", 2, 1, recompute=True, unpacked=False)).total // MB
WAY = Way("bfloat16", 2, 1024, recompute=False, unpacked=False)


def plan(machine: Machine = MACHINE, shape: Shape = SHAPE, tokens: Tokens = TOKENS, **values: Any) -> Plan:
    return make_plan(RECIPE.model_copy(update=values), shape, tokens, 0, machine)


def said(made: Plan, key: str) -> str:
    """The sentence of a choice, in English."""
    (one,) = [reason for reason in made.reasons if reason.key.startswith(f"plan.{key}.")]
    return one.said("en")


def test_the_faster_number_format_is_chosen_and_an_emulated_one_never():
    slow = replace(MACHINE, bfloat16_flops=25e9)

    assert plan().dtype == "bfloat16"
    assert "400 GFLOP/s here, 4.0 times as fast as in float32" in said(plan(), "dtype")
    assert plan(slow).dtype == "float32"
    assert "only emulates" in said(plan(slow), "dtype")


def test_steps_cover_the_epochs_and_given_steps_win():
    assert plan().total_steps == 38  # ceil(100 rows · 3 epochs / 8 rows a step)
    assert plan(steps=7).total_steps == 7


def test_less_memory_takes_away_convenience_then_activations_then_long_passes_and_is_refused_at_last():
    seen = [plan(replace(MACHINE, free_memory=megabytes * MB)) for megabytes in range(4_000, LEAST, -20)]
    with pytest.raises(NotEnoughMemory) as caught:
        plan(replace(MACHINE, free_memory=LEAST * MB))

    assert (seen[0].unpacked, seen[0].recompute) == (True, False)
    assert (seen[-1].unpacked, seen[-1].recompute) == (False, True)
    assert seen[-1].pass_tokens < seen[0].pass_tokens
    assert seen[-1].seconds > seen[0].seconds
    assert [one.recompute for one in seen] == sorted(one.recompute for one in seen)
    assert caught.value.needed_mb > caught.value.available_mb
    assert all(knob in caught.value.hint() for knob in ("--max-length (now 1024)", "--rank (now 16)", "on 210 layers"))


def test_the_base_is_dequantised_once_where_half_the_memory_is_enough():
    roomy = plan()
    half = plan(replace(MACHINE, free_memory=2 * roomy.memory))
    less = plan(replace(MACHINE, free_memory=2 * roomy.memory - 2))
    dense = plan(shape=replace(SHAPE, dense_parameters=1))

    assert (roomy.unpacked, half.unpacked, less.unpacked, dense.unpacked) == (True, True, False, False)
    assert (
        roomy.memory
        - replace(
            roomy, memory=memory_needed(RECIPE, SHAPE, TOKENS, replace(WAY, pass_tokens=roomy.pass_tokens)).total
        ).memory
        == 2 * SHAPE.matrix_weights
    )
    assert "half of the free memory is enough" in said(roomy, "unpacked")
    assert "stays packed" in said(less, "unpacked")
    assert all("unpacked" not in reason.key for reason in dense.reasons)


def test_a_limit_of_allocation_counts_what_is_allocated_and_not_the_mapped_file():
    large = replace(SHAPE, file_bytes=30_000 * MB)
    limited = plan(replace(MACHINE, allocatable=800 * MB), large)

    assert limited.memory > 30_000 * MB
    assert limited.recompute
    assert not plan(MACHINE, large).recompute
    with pytest.raises(NotEnoughMemory) as caught:
        plan(replace(MACHINE, allocatable=500 * MB), large)
    assert caught.value.available_mb == 500


@pytest.mark.parametrize("machine", [MACHINE, replace(MACHINE, free_memory=3_000 * MB)], ids=["roomy", "tight"])
@pytest.mark.parametrize(
    ("name", "value", "became"),
    [
        ("dtype", "float32", "dtype"),
        ("threads", 1, "threads"),
        ("pass_tokens", 300, "pass_tokens"),
        ("recompute", "always", "recompute"),
        ("recompute", "never", "recompute"),
        ("unpack", "always", "unpacked"),
        ("unpack", "never", "unpacked"),
    ],
)
def test_what_the_recipe_says_is_done_and_said(machine: Machine, name: str, value: Any, became: str):
    made = plan(machine, **{name: value})

    assert getattr(made, became) == {"always": True, "never": False}.get(value, value)
    assert "because the recipe says so" in said(made, {"pass_tokens": "passes"}.get(became, became))


def test_every_choice_is_explained_in_both_languages_and_kept_with_the_plan():
    made = plan()
    again = Plan.from_json(made.to_json())

    assert again == made
    assert len(made.reasons) == 5
    for reason in again.reasons:
        assert reason.said("en") != reason.said("ja")


def test_a_plan_of_an_older_version_is_still_read():
    old = {key: value for key, value in plan().to_json().items() if key not in {"pass_tokens", "reasons"}}

    assert Plan.from_json({**old, "micro_batch": 4}).pass_tokens == PASS_TOKENS[0]


def test_memory_follows_what_it_is_made_of():
    def memory(tokens: Tokens = TOKENS, shape: Shape = SHAPE, way: Way = WAY) -> int:
        return memory_needed(RECIPE, shape, tokens, way).total

    assert memory(shape=replace(SHAPE, file_bytes=SHAPE.file_bytes + 5)) - memory() == 5
    assert memory(shape=replace(SHAPE, adapter_parameters=2_400_001)) - memory() == 18
    assert memory(replace(TOKENS, longest=4096)) > memory()  # a longer row than a pass goes alone
    assert memory(way=replace(WAY, recompute=True)) < memory()
    assert memory(way=replace(WAY, pass_tokens=2048)) > memory()
    assert memory(way=replace(WAY, dtype="float32")) > memory()


def test_recompute_is_planned_to_use_each_matrix_three_times_instead_of_twice():
    few = replace(TOKENS, supervised=0)
    kept, again = (work_of(SHAPE, few, replace(WAY, recompute=on), MACHINE, 8) for on in (False, True))

    assert again.products == pytest.approx(1.5 * kept.products)
    assert again.weights == pytest.approx(1.5 * kept.weights)
    assert work_of(SHAPE, few, replace(WAY, unpacked=True), MACHINE, 8).weights == 0


def test_short_passes_dequantise_more_often():
    short, long = (work_of(SHAPE, TOKENS, replace(WAY, pass_tokens=size), MACHINE, 8) for size in (256, 4096))

    assert short.products == long.products
    assert short.weights > 5 * long.weights


def test_without_held_out_rows_nothing_is_evaluated_before_the_end():
    made = make_plan(RECIPE, SHAPE, TOKENS, 0, MACHINE)

    assert made.eval_every == made.total_steps
    held_out = make_plan(RECIPE, SHAPE, TOKENS, 5, MACHINE)
    assert held_out.eval_every == 3
    assert held_out.seconds > made.seconds
