"""`final_model/`: the adapter as PEFT reads it, with all that is needed to know and use it again."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from llmlora import __version__
from llmlora.adapter import TEMPLATE, written_template
from llmlora.data.render import end_of_turn
from llmlora.model.describe import describe
from llmlora.model.lora import named_for_others, save_adapter
from llmlora.train.checkpoint import Progress
from llmlora.train.commit import commit_directory
from llmlora.train.prepare import Prepared

TOKENIZER_BYTES = 64 * 2**20  # as large as they come

CARD = """\
---
base_model: {card_base}
library_name: peft
license: {license}
tags: [lora, {tag}, llmlora]
---
# {name}

A LoRA adapter trained with llmlora {version} on {trained_on}.

| | |
|---|---|
| base | `{base}` |
| base's bytes | `{digest}` |
| data | `{data}`, {rows} rows, fingerprint `{fingerprint}` |
| steps | {step} |
| training loss | {loss:.4f} |
| held-out loss | {eval_loss} |
| adapter | rank {rank}, alpha {alpha:g}{rslora}, {targets}, {parameters:,} parameters |
| began as | {start} |
| computed in | {dtype} |
| licence | {license} (the base's; it applies to what is derived from it) |

`recipe.yaml` beside this file trains it again. {note}
"""
ON_GGUF = "the quantised weights of `{base}` themselves"
ON_DIRECTORY = "the weights of `{base}`, rounded to {dtype}"
NOTE_OF_GGUF = """\
Rows q and k of the adapter are in the order of Transformers'
`{model_class}`; `llmlora export` puts them into the order of the GGUF file."""
NOTE_OF_DIRECTORY = """\
The base's digest is the SHA-256 of what `sha256sum` prints of its
config, weights and tokenizer files, in the order of their names. `PeftModel.from_pretrained` puts the adapter on
Transformers' `{model_class}`."""


def write_artefact(target: Path, prepared: Prepared, progress: Progress) -> None:
    """Commit the artefact of a finished run to `target`."""

    def write(staging: Path) -> None:
        save_adapter(prepared.model, staging)
        prepared.tokenizer.save(staging)
        (staging / TEMPLATE).write_text(written_template(prepared.template), "utf-8")
        if prepared.template.language == "jinja":
            (staging / "chat_template.jinja").write_text(prepared.template.source, "utf-8")
        (staging / "recipe.yaml").write_text(prepared.recipe.to_yaml(), "utf-8")
        (staging / "README.md").write_text(_card(target, prepared, progress), "utf-8")

    weights = sum(weight.numel() * weight.element_size() for weight in prepared.parameters.values())
    commit_directory(target, _facts(prepared, progress), weights + TOKENIZER_BYTES, write)


def _facts(prepared: Prepared, progress: Progress) -> dict[str, Any]:
    return {
        "llmlora": __version__,
        "base": {"name": prepared.base.name, "digest": prepared.base.digest},
        "data": {"paths": prepared.recipe.data, "fingerprint": prepared.frozen.data_fingerprint},
        "template": _template_facts(prepared),
        "metrics": asdict(progress),
    }


def _template_facts(prepared: Prepared) -> dict[str, str]:
    """How its prompts are written; the text is beside it."""
    one = prepared.template
    return {"language": one.language, "origin": one.origin, "name": one.name, "end_of_turn": end_of_turn(one)}


def _card(target: Path, prepared: Prepared, progress: Progress) -> str:
    recipe, base = prepared.recipe, prepared.base
    on, note = (ON_GGUF, NOTE_OF_GGUF) if base.is_gguf else (ON_DIRECTORY, NOTE_OF_DIRECTORY)
    return CARD.format(
        name=target.parent.name,
        version=__version__,
        base=base.name,
        card_base=named_for_others(base.name)[0],
        tag="gguf" if base.is_gguf else "transformers",
        trained_on=on.format(base=base.name, dtype=prepared.plan.dtype),
        note=note.format(model_class=type(prepared.base_model).__name__),
        digest=base.digest,
        license=describe(base).license or "unknown",
        data=", ".join(Path(path).name for path in recipe.data),
        rows=len(prepared.train) + len(prepared.held_out),
        fingerprint=prepared.frozen.data_fingerprint[:16],
        step=progress.step,
        loss=progress.loss,
        eval_loss="-" if progress.eval_loss is None else f"{progress.eval_loss:.4f}",
        rank=recipe.rank,
        alpha=recipe.alpha,
        rslora=(", rank-stabilised" if recipe.rslora else "") + (", DoRA" if recipe.dora else ""),
        targets=", ".join(recipe.target_modules),
        parameters=prepared.trainable_parameters,
        start=f"the adapter `{recipe.init_adapter}` (weights `{prepared.frozen.start_digest}`)"
        if recipe.init_adapter
        else "a fresh adapter",
        dtype=prepared.plan.dtype,
    )
