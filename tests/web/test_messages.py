"""The words of the interface: both languages, none missing, none that nobody uses."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "web" / "src"
SPACE = re.compile(r'(\w+) = useTranslations\("([\w.]+)"\)')
FIELD = re.compile(r"\{(\w+)[,}]|<(\w+)>")


def catalogue(language: str) -> dict[str, str]:
    return dict(flat(json.loads((SOURCES / "messages" / f"{language}.json").read_text("utf-8"))))


def flat(tree: dict, prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def keys_used(source: str) -> Iterator[re.Pattern[str]]:
    """Of `t("a.b")` and t(`a.${b}`), with the namespace that `t` stands for there; `t(b)` may be any of that."""
    spaces = list(SPACE.finditer(source))
    for at, space in enumerate(spaces):
        reach = source[space.end() : spaces[at + 1].start() if at + 1 < len(spaces) else None]
        for call in re.finditer(rf"\b{space[1]}(?:\.rich)?\(\s*(?:\"([^\"]+)\"|`([^`]+)`|([\w.]+)\))", reach):
            key = re.escape(call[1]) if call[1] else re.sub(r"\\\$\\\{.*?\\\}", r"[^.]+", re.escape(call[2] or "${}"))
            yield re.compile(rf"{re.escape(space[2])}\.{key}")


def test_both_languages_have_the_same_keys_and_fields():
    english, japanese = catalogue("en"), catalogue("ja")

    assert english.keys() == japanese.keys()
    for key, text in english.items():
        assert text.strip(), key
        assert japanese[key].strip(), key
        assert set(FIELD.findall(text)) == set(FIELD.findall(japanese[key])), key


def test_every_key_that_is_used_exists_and_every_key_is_used():
    used = [key for path in SOURCES.rglob("*.ts*") for key in keys_used(path.read_text("utf-8"))]
    keys = catalogue("ja").keys()

    shared = re.compile(r"catalogue\\?\.")
    missing = [key.pattern for key in used if not shared.match(key.pattern) and not any(map(key.fullmatch, keys))]
    assert missing == []
    assert [key for key in keys if not any(one.fullmatch(key) for one in used)] == []


def test_sentences_stand_in_the_catalogues_only():
    japanese = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")
    elsewhere = {
        path.name
        for path in SOURCES.rglob("*.ts*")
        if japanese.search(path.read_text("utf-8")) and "generated" not in path.parts
    }

    assert elsewhere <= {"locale-choice.tsx", "confirm-dialog.tsx"}  # the language's own name; a comment
