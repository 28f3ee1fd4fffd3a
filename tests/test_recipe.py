"""The recipe: bounds, all problems at once, and the round trip through YAML."""

from pathlib import Path

import pytest

from llmlora.errors import InvalidRecipe
from llmlora.recipe import LEARNING_RATE_BOUNDS, PRESETS, learning_rate_for, make_recipe, read_recipe

ENOUGH = {"model": "sample:smollm2-135m", "data": "rows.jsonl"}


def test_a_recipe_survives_the_way_through_yaml(tmp_path: Path):
    recipe = make_recipe({**ENOUGH, "rank": 8, "sample_prompts": ["こんにちは"], "target_modules": ["q_proj"]})
    recipe = recipe.model_copy(update={"data": ("a", "b"), "mapping": {"instruction": "質問", "output": "回答"}})

    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml(), "utf-8")

    assert make_recipe(read_recipe(tmp_path / "recipe.yaml")) == recipe


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rank", 0),
        ("rank", 513),
        ("alpha", 0),
        ("alpha", float("inf")),
        ("dropout", 1.01),
        ("dropout", float("nan")),
        ("learning_rate", 0),
        ("learning_rate", float("nan")),
        ("steps", 0),
        ("batch_size", 0),
        ("max_length", 4),
        ("eval_split", 0.9),
        ("schedule", "sometimes"),
        ("dora", "sometimes"),
        ("target_modules", []),
        ("colour", "red"),
        ("data", []),
        ("data", [""]),
        ("mapping", {"answer": "x"}),
        ("mapping", {"output": ""}),
    ],
)
def test_a_wrong_value_is_named(field, value):
    with pytest.raises(InvalidRecipe) as caught:
        make_recipe({**ENOUGH, field: value})

    assert field in str(caught.value)
    assert caught.value.exit_code == 2


def test_data_is_one_path_or_several():
    assert make_recipe(ENOUGH).data == ("rows.jsonl",)
    assert make_recipe({**ENOUGH, "data": ["a.csv", "b.csv"]}).data == ("a.csv", "b.csv")


def test_a_mapping_names_columns_by_their_part():
    recipe = make_recipe({**ENOUGH, "mapping": {"output": " 回答 "}})

    assert recipe.mapping == {"output": "回答"}
    assert "output: 回答" in recipe.to_yaml()


def test_all_wrong_values_are_named_at_once():
    with pytest.raises(InvalidRecipe) as caught:
        make_recipe({"rank": 0, "dropout": 2})

    assert all(name in str(caught.value) for name in ("model", "data", "rank", "dropout"))


def test_early_stopping_needs_rows_to_judge_by():
    with pytest.raises(InvalidRecipe, match="eval_split"):
        make_recipe({**ENOUGH, "early_stopping": 2, "eval_split": 0})


@pytest.mark.parametrize("text", ["- a\n- b", "{", "\x00", "42"])
def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path, text: str):
    (tmp_path / "r.yaml").write_text(text)

    with pytest.raises(InvalidRecipe):
        read_recipe(tmp_path / "r.yaml")


def test_a_missing_recipe_file_is_refused(tmp_path: Path):
    with pytest.raises(InvalidRecipe):
        read_recipe(tmp_path / "none.yaml")


def test_narrow_models_learn_faster_within_the_documented_bounds():
    rates = [learning_rate_for(hidden) for hidden in (64, 576, 2000, 4096, 100_000_000)]

    assert rates == sorted(rates, reverse=True)
    assert rates[0] == LEARNING_RATE_BOUNDS[1]
    assert rates[2] == 5e-4
    assert rates[-1] == LEARNING_RATE_BOUNDS[0]


def test_alpha_is_twice_the_rank_unless_given():
    assert make_recipe({**ENOUGH, "rank": 12}).scale_alpha == 24
    assert make_recipe({**ENOUGH, "rank": 12, "alpha": 3}).scale_alpha == 3


def test_every_preset_is_a_recipe_that_explains_each_knob():
    presets = sorted(PRESETS.glob("*.yaml"))

    assert len(presets) == 3
    for preset in presets:
        make_recipe({**ENOUGH, **read_recipe(preset)})
        lines = [line for line in preset.read_text("utf-8").splitlines() if line and not line.startswith("#")]
        assert all("#" in line for line in lines), f"{preset} has a knob without a comment"
