"""What a request may call things."""

import re
import unicodedata
from typing import Annotated

from fastapi import Path
from pydantic import AfterValidator, StringConstraints

BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _harmless(text: str) -> str:
    if any(letter in BIDI or unicodedata.category(letter) == "Cc" for letter in text):
        raise ValueError("no control characters, and none that turn the direction of writing")
    return unicodedata.normalize("NFC", text)


def file_name(label: str, ending: str) -> str:
    """What a download is called: the label without what separates directories."""
    name = re.sub(r"[/\\:]", "_", label)
    return name if name.endswith(ending) else f"{name}{ending}"


# A name is only a label: it is shown in lists and logs, and never becomes a path.
Label = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(_harmless)
]
Id = Annotated[str, Path(pattern="^[a-z0-9]{1,32}$")]
