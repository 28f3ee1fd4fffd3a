"""Writes the tables of performance.md and performance.en.md from performance.json: `python docs/performance_page.py`.

`benchmarks/compare_trainers.py` measures, and keeps what it found in performance.json, model by model.
"""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FIGURES = HERE / "performance.json"
BEGIN, END = "<!-- trainers -->\n", "<!-- end -->"

TITLES = {
    "smollm2-135m": "SmolLM2-135M (Q4_1)",
    "gemma3-270m": "Gemma-3-270M (Q4_K_M)",
    "llama-1b": "Llama-3.2-1B (Q4_0, random)",
}
# what a ratio, or the useful share of the peak, is meant to reach
GOALS: dict[str, dict[str, float]] = {
    "smollm2-135m": {"replaced": 12, "trl_default": 10, "trl_best": 3, "utilisation": 0.55},
    "gemma3-270m": {"trl_default": 10, "trl_best": 3.5},
    "llama-1b": {"trl_best": 2, "utilisation": 0.7},
}
WORDS: dict[str, dict[str, Any]] = {
    "performance.md": {
        "head": (
            "",
            "トークン/秒（範囲）",
            "学習対象/秒",
            "最大メモリ",
            "llmlora はその何倍か",
            "目標",
            "損失の差（最大）",
        ),
        "trainers": {
            "ours": "**llmlora**",
            "replaced": "置き換えた設計",
            "trl_default": "TRL 既定",
            "trl_best": "TRL 最良",
            "trainer": "Trainer + PEFT",
            "qlora": "QLoRA（NF4）",
        },
        "utilisation": "実測ピーク {peak:,.0f} GFLOP/s（{dtype}）のうち有効に使えた割合: **{share:.0%}**{goal}。",
        "goal": "（目標 {goal:.0%} 以上）",
        "start": "最初のステップまで {seconds:.1f} 秒（torch、transformers、peft の import だけの {times:.1f} 倍）。",
        "curve": "TRL 最良との損失の差: {steps} ステップで最大 {largest:.4f}、平均 {mean:.4f}。",
        "data": "データ: {rows:,} 行、平均 {mean:.0f}、最長 {longest} トークン、うち学習対象 {supervised:.0%}。",
        "rounds": "{rounds} 回の中央値。",
        "machine": "{cpu}、{cores} コア、メモリ {memory:.0f} GB、Python {python}、torch {torch}。",
    },
    "performance.en.md": {
        "head": (
            "",
            "tokens/s (range)",
            "supervised/s",
            "peak memory",
            "llmlora is faster by",
            "goal",
            "losses apart, at most",
        ),
        "trainers": {
            "ours": "**llmlora**",
            "replaced": "the replaced design",
            "trl_default": "TRL, defaults",
            "trl_best": "TRL, best",
            "trainer": "Trainer + PEFT",
            "qlora": "QLoRA (NF4)",
        },
        "utilisation": "Useful share of the measured peak, {peak:,.0f} GFLOP/s ({dtype}): **{share:.0%}**{goal}.",
        "goal": " (goal: {goal:.0%} or more)",
        "start": "First step after {seconds:.1f} s ({times:.1f} times importing torch, transformers and peft).",
        "curve": "Losses beside TRL's at its best, {steps} steps: {largest:.4f} apart at most, {mean:.4f} on average.",
        "data": "{rows:,} rows of {mean:.0f} tokens on average, {longest} at most; {supervised:.0%} are supervised.",
        "rounds": "Medians of {rounds} rounds.",
        "machine": "{cpu}, {cores} cores, {memory:.0f} GB of memory, Python {python}, torch {torch}.",
    },
}


def page(name: str) -> str:
    """The page as it has to be: its prose, with the figures between the marks."""
    before, _, rest = (HERE / name).read_text("utf-8").partition(BEGIN)
    figures = json.loads(FIGURES.read_text("utf-8"))
    parts = [_model(model, found, WORDS[name]) for model, found in figures.items()]
    return before + BEGIN + "".join(parts) + END + rest.partition(END)[2]


def _model(model: str, found: dict[str, Any], words: dict[str, Any]) -> str:
    goals, own = GOALS[model], found["ours"]
    head = [words["head"], ("---", *["--:"] * 6)]
    rows = [_row(words["trainers"][name], one, goals.get(name)) for name, one in found["trainers"].items()]
    goal = words["goal"].format(goal=goals["utilisation"]) if "utilisation" in goals else ""
    peak = {"peak": own["peak_gflops"], "dtype": own["peak_dtype"], "share": own["utilisation"], "goal": goal}
    times = own["start_seconds"] / own["import_seconds"]
    said = [
        words["utilisation"].format(**peak),
        words["start"].format(seconds=own["start_seconds"], times=times),
        *([words["curve"].format(**found["curve"])] if "curve" in found else []),
        words["data"].format(**found["data"]) + " " + words["rounds"].format(rounds=found["rounds"]),
        words["machine"].format(**found["machine"]),
    ]
    table = "".join(f"| {' | '.join(line)} |\n" for line in (*head, *rows))
    return f"### {TITLES[model]}\n\n{table}\n" + "".join(f"- {line}\n" for line in said) + "\n"


def _row(name: str, one: dict[str, float], goal: float | None) -> tuple[str, ...]:
    speed = f"{one['tokens_per_second']:,.0f} ({one['slowest']:,.0f}–{one['fastest']:,.0f})"
    memory = f"{one['peak_memory'] / 1e9:.1f} GB"
    ratio = "" if "llmlora" in name else f"{one['ratio']:.1f} ×"
    wanted = "" if goal is None else f"≥ {goal:g} ×"
    distance = f"{one['distance']:.4f}" if "distance" in one else ""
    return name, speed, f"{one['supervised_tokens_per_second']:,.0f}", memory, ratio, wanted, distance


if __name__ == "__main__":
    for page_name in WORDS:
        (HERE / page_name).write_text(page(page_name), "utf-8")
