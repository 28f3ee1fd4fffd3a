"""Go templates write, byte for byte, what Go and Ollama write; those that do harm cost a message."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmlora.data import render
from llmlora.data.conversation import Conversation, Turn
from llmlora.data.go_template_tokens import GoTemplateError
from llmlora.data.ollama_template import OllamaTemplate
from llmlora.data.render import Piece, Renderer
from llmlora.data.template import ChatTemplate
from llmlora.data.unusable import Unusable
from llmlora.errors import TemplateFailed

ORACLE = Path(__file__).parent / "go_templates"
OLLAMAS = json.loads((ORACLE / "ollama.json").read_text("utf-8"))
GOS = json.loads((ORACLE / "go.json").read_text("utf-8"))
TALK = (
    ("user", "Hello, how are you?"),
    ("assistant", "I'm doing great. How can I help you today?"),
    ("user", "I'd like to show off how chat templating works!"),
)
CASES = {
    "user": TALK[:1],
    "user-assistant-user": TALK,
    "system-user-assistant-user": (("system", "You are a helpful assistant."), *TALK),
}
CHATML = OLLAMAS["chatml"]["template"]
CHATML_EXCHANGES = (
    "{{ if .System }}<|im_start|>system\n{{ .System }}<|im_end|>\n{{ end }}"
    "{{ if .Prompt }}<|im_start|>user\n{{ .Prompt }}<|im_end|>\n{{ end }}"
    "<|im_start|>assistant\n{{ .Response }}<|im_end|>\n"
)
# as that of Llama 3.1: a last answer has no end, so that the model may go on with it
UNFINISHED = (
    "{{- range $i, $_ := .Messages }}{{- $last := eq (len (slice $.Messages $i)) 1 }}"
    "<|start_header_id|>{{ .Role }}<|end_header_id|>\n\n{{ .Content }}"
    '{{- if or (ne .Role "assistant") (not $last) }}<|eot_id|>{{ end }}'
    '{{- if and (ne .Role "assistant") $last }}<|start_header_id|>assistant<|end_header_id|>\n\n{{ end }}{{- end }}'
)
# as that of Qwen 3: where nothing shall be thought, an empty thought is put before an answer, and left out later
THINKING = (
    "{{- range $i, $_ := .Messages }}{{- $last := eq (len (slice $.Messages $i)) 1 }}<|im_start|>{{ .Role }}\n"
    '{{ .Content }}{{ if not (and $last (eq .Role "assistant")) }}<|im_end|>\n{{ end }}'
    '{{- if and $last (ne .Role "assistant") }}<|im_start|>assistant\n'
    "{{ if and $.IsThinkSet (not $.Think) }}<think>\n\n</think>\n\n{{ end }}{{ end }}{{ end }}"
)
JINJA = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def messages(*turns):
    return [{"role": role, "content": content} for role, content in turns]


def written(source, *turns):
    return OllamaTemplate(source).render(messages(*turns))


def conversation(*turns):
    return Conversation(1, tuple(Turn(role, content) for role, content in turns))


def go(source, eos="<|im_end|>", system=""):
    return ChatTemplate(source, "ollama", "ollama", "<s>", eos, language="go", system=system)


def pieces(template, *turns):
    with Renderer(template) as renderer:
        return renderer.pieces(conversation(*turns))


@pytest.mark.parametrize("name", OLLAMAS)
@pytest.mark.parametrize("case", CASES)
def test_ollamas_own_templates_write_what_ollama_expects_of_them(name, case):
    text, expected = written(OLLAMAS[name]["template"], *CASES[case]), OLLAMAS[name]["renderings"][case]

    assert text in (expected, f"{expected} ")


def test_random_templates_write_what_go_writes():
    for source, turns, expected in GOS:
        if expected is None:
            with pytest.raises((GoTemplateError, Unusable)):
                written(source, *turns)
        else:
            assert written(source, *turns) == expected, source


def test_templates_of_one_exchange_are_run_for_each_and_cut_behind_the_last_response():
    assert written(CHATML_EXCHANGES, ("system", "S"), *TALK[:2], ("user", "B")) == written(
        CHATML, ("system", "S"), *TALK[:2], ("user", "B")
    )
    assert written("{{ .Prompt }}", ("user", "a"), ("assistant", "b"), ("user", "c")) == "abc"


def test_neighbours_of_one_role_are_joined():
    assert written("{{ range .Messages }}<{{ .Content }}>{{ end }}{{ .System }}", ("user", "a"), ("user", "b")) == (
        "<a\n\nb>"
    )
    assert written("{{ .Messages | len }}{{ .System }}", ("system", "a"), ("user", "b"), ("system", "c")) == "3a\n\nc"


@pytest.mark.parametrize("source", [CHATML, CHATML_EXCHANGES])
def test_answers_are_trained_with_their_end_of_turn(source):
    told = (("system", "S"), ("user", "q1"), ("assistant", "a1"), ("user", "q2"), ("assistant", "a2"))

    assert pieces(go(source), *told) == [
        Piece(
            "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nq1<|im_end|>\n<|im_start|>assistant\n", trained=False
        ),
        Piece("a1<|im_end|>", trained=True),
        Piece("\n<|im_start|>user\nq2<|im_end|>\n<|im_start|>assistant\n", trained=False),
        Piece("a2<|im_end|>", trained=True),
    ]


@pytest.mark.parametrize(
    ("source", "eos", "first", "last"),
    [
        (UNFINISHED, "<|end_of_text|>", "a1<|eot_id|>", "a2<|eot_id|>"),
        (OLLAMAS["llama2-chat"]["template"], "</s>", " a1</s>", " a2</s>"),
        (OLLAMAS["gemma-instruct"]["template"], "<eos>", "a1<end_of_turn>", "a2<end_of_turn>"),
        # no marker ends an answer: the model's own ends the last, where Ollama stops
        (OLLAMAS["vicuna"]["template"].replace("</s>", ""), "</s>", " a1", " a2</s>"),
    ],
)
def test_the_end_of_an_answer_is_what_a_template_writes_once_a_question_follows(source, eos, first, last):
    told = (("user", "q1"), ("assistant", "a1"), ("user", "q2"), ("assistant", "a2"))

    assert [piece.text for piece in pieces(go(source, eos), *told) if piece.trained] == [first, last]


def test_the_text_before_an_answer_is_what_ollama_asks_for_it():
    with Renderer(go(THINKING)) as renderer:
        rendered = renderer.pieces(conversation(("user", "q"), ("assistant", "a")))
        prompt = renderer.prompt((Turn("user", "q"),))

    assert [piece.text for piece in rendered] == [prompt, "a<|im_end|>"]
    assert prompt == "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"


def test_answers_that_a_template_writes_differently_later_are_refused():
    with pytest.raises(TemplateFailed, match="earlier turns differently"):
        pieces(go(THINKING), ("user", "q"), ("assistant", "a"), ("user", "q"), ("assistant", "a"))


def test_a_question_at_the_end_is_masked():
    rendered = pieces(go(CHATML), ("user", "q"), ("assistant", "a"), ("user", "r"))

    assert [piece.trained for piece in rendered] == [False, True, False]
    assert rendered[-1].text == "\n<|im_start|>user\nr<|im_end|>\n<|im_start|>assistant\n"


def test_a_models_system_text_comes_before_conversations_without_one():
    told = (("user", "q"), ("assistant", "a"))

    assert pieces(go(CHATML, system="S"), *told) == pieces(go(CHATML), ("system", "S"), *told)
    assert pieces(go(CHATML, system="S"), ("system", "T"), *told) == pieces(go(CHATML), ("system", "T"), *told)


@pytest.fixture(scope="module")
def renderers():
    jinja = ChatTemplate(JINJA, "model", "model", "", "<|im_end|>")
    with Renderer(go(CHATML)) as first, Renderer(go(CHATML_EXCHANGES)) as second, Renderer(jinja) as third:
        yield first, second, third


CONTENT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@settings(deadline=None)  # another process answers
@given(st.none() | CONTENT, st.lists(st.tuples(CONTENT, CONTENT), min_size=1, max_size=4), st.data())
def test_the_same_format_in_go_and_jinja_is_the_same_text_for_any_conversation(renderers, system, exchanges, data):
    told = [("system", system)] * (system is not None)
    told += [turn for question, answer in exchanges for turn in (("user", question), ("assistant", answer))]
    asked = told[: data.draw(st.sampled_from(range(len(told) - 1, 0, -2)))]

    first, second, third = (renderer.pieces(conversation(*told)) for renderer in renderers)
    prompts = {renderer.prompt([Turn(*turn) for turn in asked]) for renderer in renderers}

    assert first == second == third[:-1]
    assert third[-1] == Piece("\n", trained=False)  # behind the last marker; not for the model to write
    assert len(prompts) == 1


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{{ if", "unclosed action"),
        ("a\n\n{{ nosuch 1 }}", "line 3: function 'nosuch' not defined"),
        ("{{ .Prompt }}{{ $x }}", "undefined variable"),
        ("{{ range .Messages }}{{ .Nothing }}{{ end }}", "can't evaluate field Nothing"),
        ("{{ range .Messages }}{{ . }}{{ end }}", "printing a map or message is not supported"),
        ("{{ .Messages | json }}", "depends on the version of Ollama"),
        ("{{ slice .System 9 }}{{ .Messages | len }}", "out of range"),
        ("{{ range .Messages }}{{ slice .Content 1 }}{{ end }}", "can't decode byte"),  # half of a character
        ('{{ range .Messages }}{{ printf "%999999999d" 1 }}{{ end }}', "printf %9 is not supported"),
        ("{{ currentDate }}{{ .Messages | len }}", "today's date"),
        ("{{ .Prompt }}{{ json 1 }}", "json is not defined here"),
        ("{{ if .Prompt }}{{ .Response }}{{ else }}x{{ end }}", "Ollama cannot run"),
        ('{{ define "x" }}{{ template "x" }}{{ end }}', "undefined template"),
        ('{{ define "x" }}{{ template "x" . }}{{ end }}{{ .Messages | len }}{{ template "x" . }}', "nested too deeply"),
        ("{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", "nested too deeply"),
        ("{{ if true }}" * 3000 + "{{ end }}" * 3000, "nested too deeply"),
        ('{{ $x := "xxxxxxxx" }}{{ range .Messages }}' + "{{ $x = print $x $x }}" * 24 + "{{ $x }}{{ end }}", "4 MiB"),
        ('{{ $x := "xxxxxxxx" }}{{ range .Messages }}' + "{{ $x = print $x $x }}" * 40 + "{{ end }}", "memory"),
    ],
)
def test_a_bad_template_fails_with_its_reason(source, words):
    with pytest.raises(TemplateFailed) as caught:
        pieces(go(source), ("user", "日本"), ("assistant", "a"))

    assert words in str(caught.value.problem)


def test_a_date_in_a_branch_not_taken_harms_nobody():
    assert written("{{ if .Tools }}{{ currentDate }}{{ end }}{{ .Prompt }}", ("user", "q")) == "q"


def test_a_template_that_loops_is_stopped(monkeypatch):
    monkeypatch.setattr(render, "ANSWER_SECONDS", 0.3)
    turns = [pair for place in range(40) for pair in (("user", str(place)), ("assistant", "a"))]
    loop = "{{ range .Messages }}{{ .Content }}" + "{{ range $.Messages }}" * 5 + "{{ end }}" * 5 + "{{ end }}"

    with pytest.raises(TemplateFailed, match="loops"):
        pieces(go(loop), *turns)
