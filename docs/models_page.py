"""Writes the tables of models.md and models.en.md from the tables of the code: `python docs/models_page.py`."""

from collections.abc import Callable, Sequence
from pathlib import Path

from llmlora.data.hf_architectures import HF_ARCHITECTURES
from llmlora.ggml import BY_NAME
from llmlora.gguf.architectures import ARCHITECTURES, Architecture
from llmlora.kernels.types import SUPPORTED

HERE = Path(__file__).parent
HEADS = {
    "models.md": {
        "architectures": (
            "アーキテクチャ",
            "Ollama での名前の例",
            "学習",
            "LoRA の対象",
            "GGUF アダプター",
            "マージ済み GGUF",
        ),
        "types": ("型", "1 重みあたりのビット数"),
        "hugging face": ("`model_type`", "LoRA の対象", "GGUF に変換したときのアーキテクチャ"),
    },
    "models.en.md": {
        "architectures": (
            "architecture",
            "for example in Ollama",
            "trains",
            "LoRA targets",
            "GGUF adapter",
            "merged GGUF",
        ),
        "types": ("type", "bits a weight"),
        "hugging face": ("`model_type`", "LoRA targets", "architecture once converted to GGUF"),
    },
}
ELSEWHERE = {"models.md": "（ライブラリー外。`hf.co/…` など）", "models.en.md": "(not in its library; `hf.co/…`)"}


def page(name: str) -> str:
    """The page as it has to be: its prose, with fresh tables between the marks."""
    tables: dict[str, Callable[[str], str]] = {
        "architectures": _architectures,
        "types": _types,
        "hugging face": _hugging_face,
    }
    text = (HERE / name).read_text("utf-8")
    for mark, table in tables.items():
        before, _, rest = text.partition(f"<!-- {mark} -->\n")
        _, _, after = rest.partition("<!-- end -->")
        text = f"{before}<!-- {mark} -->\n{table(name)}<!-- end -->{after}"
    return text


def _architectures(name: str) -> str:
    rows = [
        (f"`{one.name}`", _examples(one, name), "✓", _code(one.targets), "✓", "✓") for one in ARCHITECTURES.values()
    ]
    return _table(HEADS[name]["architectures"], rows)


def _examples(one: Architecture, name: str) -> str:
    return _code(one.examples) or ELSEWHERE[name]


def _types(name: str) -> str:
    kinds = [BY_NAME[kind] for kind in SUPPORTED]
    return _table(HEADS[name]["types"], [(kind.name, f"{kind.block_bytes * 8 / kind.block_size:g}") for kind in kinds])


def _hugging_face(name: str) -> str:
    rows = [
        (f"`{kind}`", _code(one.targets), f"`{one.gguf}`" if one.gguf else "–")
        for kind, one in HF_ARCHITECTURES.items()
    ]
    return _table(HEADS[name]["hugging face"], rows)


def _code(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    for page_name in HEADS:
        (HERE / page_name).write_text(page(page_name), "utf-8")
