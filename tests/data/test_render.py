"""Templates become text cut into masked and trained pieces; bad templates cost a message, not a hanging process."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from importlib.resources import files

import pytest

from llmlora.data import render
from llmlora.data.conversation import Conversation, Turn
from llmlora.data.render import Piece, Renderer
from llmlora.data.template import ChatTemplate, choose_template
from llmlora.errors import TemplateFailed
from llmlora.gguf.reader import GgufFile
from tests.tiny import tiny_gguf


def turns(*pairs: tuple[str, str]) -> tuple[Turn, ...]:
    return tuple(Turn(role, content) for role, content in pairs)


SYSTEM, TWO = ("system", "S"), (("user", "q1"), ("assistant", "a1"), ("user", "q2"), ("assistant", "a2"))
TALK = Conversation(1, turns(*TWO))
SAYING = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}</>\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"


def template(source: str) -> ChatTemplate:
    return ChatTemplate(source, "model", "model", "<s>", "</s>")


def family(name: str) -> ChatTemplate:
    return template(files("llmlora.data").joinpath(f"templates/{name}.jinja").read_text("utf-8"))


def rendered(source: ChatTemplate, conversation: Conversation = TALK) -> list[Piece]:
    with Renderer(source) as renderer:
        return renderer.pieces(conversation)


def problem_of(source: str, conversation: Conversation = TALK) -> str:
    with pytest.raises(TemplateFailed) as caught:
        rendered(template(source), conversation)
    return str(caught.value.problem)


@pytest.mark.parametrize(
    ("name", "start", "trained"),
    [
        ("chatml", "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nq1<|im_end|>\n", "a1<|im_end|>"),
        ("gemma", "<s><start_of_turn>user\nS\n\nq1<end_of_turn>\n", "a1<end_of_turn>"),
        ("llama3", "<s><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|>", "a1<|eot_id|>"),
        ("llama2", "<s>[INST] <<SYS>>\nS\n<</SYS>>\n\nq1 [/INST]", " a1 </s>"),
        ("phi3", "<|system|>\nS<|end|>\n<|user|>\nq1<|end|>\n<|assistant|>\n", "a1<|end|>"),
        (
            "granite",
            "<|start_of_role|>system<|end_of_role|>S<|end_of_text|>\n<|start_of_role|>user<|end_of_role|>q1",
            "a1<|end_of_text|>",
        ),
        (
            "command-r",
            "<s><|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>S<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|USER_TOKEN|>q1",
            "a1<|END_OF_TURN_TOKEN|>",
        ),
    ],
)
def test_each_family_trains_every_answer_with_its_end_of_turn(name, start, trained):
    pieces = rendered(family(name), Conversation(1, turns(SYSTEM, *TWO)))

    assert pieces[0].text.startswith(start)
    assert [piece.text for piece in pieces if piece.trained] == [trained, trained.replace("a1", "a2")]
    assert not any("q" in piece.text for piece in pieces if piece.trained)


def test_the_prompt_is_what_comes_before_an_answer_in_training():
    with Renderer(template(SAYING)) as renderer:
        pieces = renderer.pieces(TALK)
        prompt = renderer.prompt(TALK.turns[:3])

    assert prompt == "".join(piece.text for piece in pieces[:3])
    assert [piece.text for piece in pieces] == [
        "<user>q1</>\n<assistant>",
        "a1</>",
        "\n<user>q2</>\n<assistant>",
        "a2</>",
        "\n",
    ]


def test_an_answer_that_is_not_to_be_learned_is_masked():
    first, unlearned, *rest = TALK.turns
    pieces = rendered(template(SAYING), Conversation(1, (first, replace(unlearned, trained=False), *rest)))

    assert [piece.text for piece in pieces if piece.trained] == ["a2</>"]
    assert "".join(piece.text for piece in pieces) == "".join(piece.text for piece in rendered(template(SAYING)))


def test_text_rows_need_no_template():
    assert rendered(template("{{ raise_exception('no') }}"), Conversation(1, turns(("text", "a b")))) == [
        Piece("a b", trained=True)
    ]


def test_a_system_turn_a_template_refuses_joins_the_first_question():
    refusing = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + SAYING

    pieces = rendered(template(refusing), Conversation(1, turns(SYSTEM, *TWO)))

    assert pieces[0].text == "<user>S\n\nq1</>\n<assistant>"


def test_a_template_may_mark_generations_break_loops_and_ask_for_tools():
    source = (
        "{% for m in messages %}{% if m.role == 'x' %}{% break %}{% endif %}<{{ m.role }}>"
        "{% if m.role == 'user' %}{{ m.content }}{% continue %}{% endif %}"
        "{% generation %}{{ m.content }}{{ eos_token }}{% endgeneration %}{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}{% if tools is not none %}tools{% endif %}"
    )

    assert [piece.text for piece in rendered(template(source)) if piece.trained] == ["a1</s>", "a2</s>"]


def test_json_in_templates_keeps_japanese():
    pieces = rendered(template("{{ messages[0].content | tojson }}"), Conversation(1, turns(("user", "日本"))))

    assert pieces[0].text == '"日本"'


def test_a_template_that_rewrites_earlier_turns_is_refused():
    rewriting = "{% for m in messages %}<{{ m.role }}>{% if loop.last %}{{ m.content }}{% endif %}{% endfor %}"

    assert "earlier turns differently" in problem_of(rewriting)

    # though it would do without its system turn, that is not left out
    counting = "{% if messages[0].role == 'system' %}{{ messages | length }}{% endif %}" + SAYING
    assert "earlier turns differently" in problem_of(counting, Conversation(1, turns(SYSTEM, *TWO)))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{{ raise_exception('only three turns') }}", "only three turns"),
        ("{% if", "TemplateSyntaxError"),
        ("{{ messages[0].a.b }}", "UndefinedError"),
        ("{{ strftime_now('%Y') }}", "strftime_now"),
        ("{{ 'x' * (messages | length * 10 ** 9) }}", "memory"),
        ("{{ 'x' * 10 ** 9 }}", "memory"),
        ("{{ '%0999999999d' | format(messages | length) }}", "memory"),
        ("{{ 'x' * 5000000 }}", "4 MiB"),
        ("{{ '\\ud800' }}", "surrogates"),
        ("{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", "nested too deeply"),
        ("{{ ''.__class__.__mro__ }}", "SecurityError"),
        ("{{ cycler.__init__.__globals__ }}", "SecurityError"),
        ("{{ messages.append(1) }}", "SecurityError"),
    ],
)
def test_a_bad_template_fails_with_its_reason(source, words):
    assert words in problem_of(source)


def test_a_template_that_loops_is_stopped_and_its_process_ends(monkeypatch):
    monkeypatch.setattr(render, "ANSWER_SECONDS", 0.3)

    with Renderer(template(LOOP)) as renderer:
        assert renderer.alive
        with pytest.raises(TemplateFailed, match="loops"):
            renderer.pieces(TALK)
        assert not renderer.alive
        with pytest.raises(TemplateFailed, match="not running"):
            renderer.pieces(TALK)


def test_a_renderer_whose_process_is_gone_says_so():
    with Renderer(template(SAYING)) as renderer:
        os.kill(renderer._child.pid, signal.SIGKILL)

        with pytest.raises(TemplateFailed, match="process ended"):
            renderer.pieces(TALK)


def test_a_row_that_fails_leaves_the_renderer_running():
    source = "{% if messages[0].content == 'bad' %}{{ raise_exception('bad') }}{% endif %}" + SAYING

    with Renderer(template(source)) as renderer:
        with pytest.raises(TemplateFailed, match="bad"):
            renderer.pieces(Conversation(1, turns(("user", "bad"), ("assistant", "x"))))
        assert renderer.pieces(TALK)


@pytest.mark.slow
def test_a_looping_child_ends_by_itself_when_its_parent_is_gone():
    requests = [{"template": LOOP, "bos": "", "eos": ""}, {"turns": [], "prompt": False}]
    child = subprocess.Popen(
        [sys.executable, "-m", "llmlora.data.render_child"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    child.stdin.write("".join(json.dumps(request) + "\n" for request in requests).encode())
    child.stdin.close()

    assert child.wait(timeout=30) < 0


@pytest.mark.parametrize(
    ("architecture", "own", "origin", "name"),
    [
        ("llama", "{{ 1 }}", "model", "model"),
        ("llama", None, "family", "chatml"),
        ("gemma3", None, "family", "gemma"),
        ("phi3", None, "family", "phi3"),
    ],
)
def test_the_models_own_template_comes_first_then_its_family(tmp_path, architecture, own, origin, name):
    with GgufFile(tiny_gguf(tmp_path / "m", architecture, template=own)) as file:
        chosen = choose_template(file)

    assert (chosen.origin, chosen.name, chosen.bos, chosen.eos) == (origin, name, "<|endoftext|>", "<|im_end|>")


def test_llama_files_without_markers_speak_llama_2(tmp_path, monkeypatch):
    monkeypatch.setattr("llmlora.data.template.MARKERS", (("<absent>", "chatml"),))

    with GgufFile(tiny_gguf(tmp_path / "m", template=None)) as file:
        assert choose_template(file).name == "llama2"
