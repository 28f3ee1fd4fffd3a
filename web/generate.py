"""What the interface takes from the Python side: the description of the API, and words that both sides speak.

`make types` writes it; with --check, a difference is an error.
"""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from llmlora.api.app import create_app
from llmlora.api.context import Context
from llmlora.settings import read_settings
from llmlora.store.database import Database
from llmlora.text.catalogue import LANGUAGES, catalogue

GENERATED = Path(__file__).parent / "src" / "generated"
SHARED = ("problems", "warnings")  # what the API tells by its name only


def main() -> int:
    """Write the files, or compare them."""
    checking = sys.argv[1:] == ["--check"]
    stale = []
    for name, content in {"openapi.json": description(), **words()}.items():
        path, text = GENERATED / name, json.dumps(content, ensure_ascii=False, indent=1) + "\n"
        if checking:
            stale += [name] if not path.exists() or path.read_text("utf-8") != text else []
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    if stale:
        print(f"web/src/generated is out of date ({', '.join(stale)}): run `make types`", file=sys.stderr)
    return 1 if stale else 0


def description() -> dict[str, object]:
    with TemporaryDirectory() as directory:
        context = Context(read_settings(), Database(f"sqlite:///{directory}/empty.db"))
        try:
            return create_app(context).openapi()
        finally:
            context.close()


def words() -> dict[str, object]:
    return {f"text.{language}.json": {part: catalogue(language)[part] for part in SHARED} for language in LANGUAGES}


if __name__ == "__main__":
    sys.exit(main())
