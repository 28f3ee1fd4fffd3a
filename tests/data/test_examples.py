"""Rows become tokens of which exactly the answers are trained."""

import dataclasses

import numpy as np
import pytest

from llmlora.data.conversation import Conversation, Turn
from llmlora.data.examples import Example, fingerprint, make_example, make_examples
from llmlora.data.render import Renderer
from llmlora.data.template import ChatTemplate, choose_template
from llmlora.errors import TemplateFailed
from llmlora.gguf.reader import GgufFile


def row(number: int, *contents: str) -> Conversation:
    return Conversation(number, tuple(Turn(("user", "assistant")[i % 2], text) for i, text in enumerate(contents)))


@pytest.fixture(scope="module", params=["smollm2", "gemma3"])
def model(request):
    with (
        GgufFile(request.getfixturevalue(f"{request.param}_path")) as file,
        Renderer(choose_template(file)) as renderer,
    ):
        yield request.getfixturevalue(request.param), renderer


def test_the_tokens_are_those_of_the_whole_text_and_the_answers_are_trained(model):
    tokenizer, renderer = model
    talk = row(4, "日本の首都は？", "東京  です。\n", "Why?", "Because 🇯🇵")
    text = "".join(piece.text for piece in renderer.pieces(talk))

    example = make_example(talk, tokenizer, renderer, 500)

    assert example.row == 4
    assert not example.truncated
    assert example.ids.tolist() == tokenizer.encode(text)
    pieces = np.array(tokenizer.pieces(example.ids.tolist()), object)
    end = {"<end_of_turn>", "<|im_end|>"}.intersection(pieces).pop()
    first, second, nothing = "".join(pieces[example.trained]).split(end)
    assert (first.rstrip(), second, nothing) == ("東京  です。", "Because 🇯🇵", "")
    assert pieces[~example.trained].tolist().count("\n") > 2


def test_a_prompt_is_the_beginning_of_what_is_trained(model):
    tokenizer, renderer = model
    talk = row(1, "日本の首都は？", "東京です。")

    prompt = tokenizer.encode(renderer.prompt(talk.turns[:1]))
    example = make_example(talk, tokenizer, renderer, 500)

    assert example.ids[: len(prompt)].tolist() == prompt
    assert example.trained.argmax() == len(prompt)


def test_a_text_row_is_trained_whole_and_ends(model):
    tokenizer, renderer = model

    example = make_example(Conversation(1, (Turn("text", "むかし むかし"),)), tokenizer, renderer, 500)

    assert example.ids.tolist() == [*tokenizer.encode("むかし むかし"), tokenizer.eos_id]
    assert example.trained.tolist() == [False, *[True] * (len(example.ids) - 1)]


def test_a_long_row_is_cut_and_says_so(model):
    tokenizer, renderer = model

    example = make_example(row(1, "a", "b " * 200), tokenizer, renderer, 60)

    assert len(example.ids) == len(example.trained) == 60
    assert example.truncated
    assert example.cut == len(make_example(row(1, "a", "b " * 200), tokenizer, renderer, 500).ids) - 60
    assert example.usable
    assert not make_example(row(1, "a " * 200, "b"), tokenizer, renderer, 60).usable


def test_the_fingerprint_changes_with_any_token_or_mask(model):
    examples = make_examples([row(1, "a", "b"), row(2, "c", "d")], *model, 100)
    first = examples[0]
    other_mask = dataclasses.replace(first, trained=~first.trained)
    other_ids = dataclasses.replace(first, ids=first.ids + 1)

    prints = [fingerprint(x) for x in (examples, examples[::-1], [other_mask], [other_ids], [first])]

    assert len(set(prints)) == 5
    assert fingerprint(make_examples([row(1, "a", "b"), row(2, "c", "d")], *model, 100)) == prints[0]


def test_the_fingerprint_knows_where_a_row_ends():
    def example(*ids: int) -> Example:
        return Example(1, np.array(ids, np.int32), np.zeros(len(ids), np.bool_), 0)

    # without lengths, these would be the same bytes
    assert fingerprint([example(1), example(5)]) != fingerprint([example(1, 5 << 8)])


def test_a_row_the_template_refuses_is_named(model):
    tokenizer, _ = model

    with (
        Renderer(ChatTemplate("{{ raise_exception('no') }}", "model", "model", "", "")) as renderer,
        pytest.raises(TemplateFailed, match="row 9: the model's chat template says: no"),
    ):
        make_examples([row(9, "a", "b")], tokenizer, renderer, 10)
