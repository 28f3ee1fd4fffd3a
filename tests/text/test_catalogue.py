"""The two catalogues say the same things."""

import dataclasses
import json
import string
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from llmlora import errors
from llmlora.errors import DataUnreadable, InvalidRows, NotFound
from llmlora.failure import LlmloraError, revive
from llmlora.recipe import Recipe
from llmlora.text.catalogue import LANGUAGES, Words, catalogue, say


def leaves(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{path}{key}.")
        else:
            yield path + key, value


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def all_errors(root: type[LlmloraError] = LlmloraError) -> list[type[LlmloraError]]:
    below = [kind for child in root.__subclasses__() for kind in [child, *all_errors(child)]]
    return [kind for kind in below if kind is not errors.UserError]


def facts_of(kind: type[LlmloraError]) -> dict[str, str]:
    """Facts that are easy to find again; where only some are allowed, the first of these."""
    allowed = {name: typing.get_args(of) for name, of in typing.get_type_hints(kind).items() if "Literal" in str(of)}
    return {one.name: allowed.get(one.name, [f"<{one.name}>"])[0] for one in dataclasses.fields(kind)}


def test_both_languages_have_the_same_keys_with_the_same_fields():
    english, japanese = dict(leaves(catalogue("en"))), dict(leaves(catalogue("ja")))

    assert english.keys() == japanese.keys()
    assert {key: fields(text) for key, text in english.items()} == {k: fields(t) for k, t in japanese.items()}


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_error_has_a_message_and_a_hint_from_its_facts(kind, language):
    facts = facts_of(kind)
    error = kind(**facts)

    assert error.message(language) and error.hint(language)
    assert all(fact in error.message(language) + error.hint(language) for fact in facts.values() if "<" in fact)


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.__name__)
def test_every_error_can_be_kept_and_said_later(kind):
    error = kind(**facts_of(kind))

    again = revive(json.loads(json.dumps(error.to_json())))

    assert (type(again), again.message("ja"), again.hint("ja")) == (kind, error.message("ja"), error.hint("ja"))


def test_sentences_among_the_facts_of_an_error_are_kept_and_said_in_its_language():
    comma = Words("problems.list_comma", {"detail": "{"})
    unreadable = DataUnreadable(Path("rows"), Words("unreadable.json_item", {"item": 2, "problem": comma}))
    rows = InvalidRows(Path("rows"), 2, [Words("row.said", {"row": 3, "words": comma}), Words("unreadable.empty")])

    for error in (unreadable, rows):
        again = revive(json.loads(json.dumps(error.to_json())))
        assert [again.message(language) for language in LANGUAGES] == [error.message(one) for one in LANGUAGES]
    assert "2 番目の要素で" in unreadable.message("ja")
    assert "3 行目: { の前にカンマか ] がありません, 空のファイルです" in rows.message("ja")


def test_what_is_missing_is_called_by_its_name_in_each_language():
    for what in catalogue("en")["nouns"]:
        for language in LANGUAGES:
            assert f" {catalogue(language)['nouns'][what]}" in f" {NotFound(what, 'x').message(language)}"
    assert "データセット" in NotFound("dataset", "x").message("ja")


def test_every_error_is_drawn_in_the_tree():
    assert all(kind.__name__ in (errors.__doc__ or "") for kind in all_errors())


def test_every_recipe_field_is_described_in_both_languages():
    for language in ("en", "ja"):
        assert set(catalogue(language)["recipe"]) == set(Recipe.model_fields)


def test_lists_are_read_out_with_commas():
    assert "a, b" in say("en", "errors.unknown_target.message", targets=["x"], available=["a", "b"], last_layer=1)
