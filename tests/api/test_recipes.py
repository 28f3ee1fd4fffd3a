"""What a form is made of: the options of a recipe as they are, in the reader's language, and the presets."""

from contextlib import closing
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from llmlora.api import recipes
from llmlora.api.jobs import RecipeBody
from llmlora.recipe import Recipe
from tests.api.app import app_of, context_at


@pytest.fixture
def client(tmp_path: Path):
    with closing(context_at(tmp_path)) as here:
        yield TestClient(app_of(here, recipes.router), headers={"accept-language": "en"})


def test_every_option_is_told_with_its_bounds(client):
    fields = {field["name"]: field for field in client.get("/api/training/recipe").json()["fields"]}

    assert set(fields) == set(RecipeBody.model_fields) == set(Recipe.model_fields) - {"data", "mapping"}
    rank, rate = fields["rank"], fields["learning_rate"]
    assert (rank["kind"], rank["default"], rank["minimum"], rank["maximum"]) == ("integer", 16, 1, 512)
    assert (rate["kind"], rate["nullable"], rate["minimum"], rate["above_minimum"]) == ("number", True, 0, True)
    assert fields["schedule"]["choices"] == ["cosine", "linear", "constant"]
    assert fields["rslora"]["kind"] == "boolean"
    assert fields["target_modules"]["kind"] == "texts"
    assert [name for name, field in fields.items() if field["required"]] == ["model"]


def test_it_is_told_in_the_readers_language(client):
    english, japanese = (
        client.get("/api/training/recipe", headers={"accept-language": language}).json() for language in ("en", "ja")
    )

    assert english["presets"][0]["title"] == "First steps"
    assert japanese["presets"][0]["title"] == "はじめて"
    assert all(a["help"] != b["help"] for a, b in zip(english["fields"], japanese["fields"], strict=True))


def test_each_preset_is_a_recipe(client):
    presets = client.get("/api/training/recipe").json()["presets"]

    assert [preset["name"] for preset in presets] == ["quick", "standard", "careful"]
    for preset in presets:
        RecipeBody(model="sample:smollm2-135m", **preset["recipe"])
