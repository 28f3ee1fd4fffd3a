"""Text made to be looked at."""

import unicodedata
from difflib import unified_diff

MARKS = {" ": "␣", "\n": "↵\n", "\t": "⇥", "\r": "␍", "\u3000": "□"}


def visible(text: str) -> str:
    """Text in which white space shows and nothing steers the terminal."""
    return "".join(MARKS.get(letter, letter if _harmless(letter) else f"‹U+{ord(letter):04X}›") for letter in text)


def diff(before: str, after: str, before_name: str, after_name: str) -> str:
    """How two texts differ, line by line, white space made visible; nothing where they do not."""
    one, other = (visible(text).splitlines() for text in (before, after))
    return "\n".join(unified_diff(one, other, before_name, after_name, lineterm=""))


def _harmless(letter: str) -> bool:
    return unicodedata.category(letter)[0] not in "CZ"
