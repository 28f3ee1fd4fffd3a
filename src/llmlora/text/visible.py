"""Text made to be looked at."""

import unicodedata

MARKS = {" ": "␣", "\n": "↵\n", "\t": "⇥", "\r": "␍", "\u3000": "□"}


def visible(text: str) -> str:
    """Text in which white space shows and nothing steers the terminal."""
    return "".join(MARKS.get(letter, letter if _harmless(letter) else f"‹U+{ord(letter):04X}›") for letter in text)


def _harmless(letter: str) -> bool:
    return unicodedata.category(letter)[0] not in "CZ"
