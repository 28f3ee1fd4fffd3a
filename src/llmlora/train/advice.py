"""What a plan makes one suspect before the run: said with it, and never in its way."""

from collections.abc import Iterator

from llmlora.plan import TIGHT, Plan
from llmlora.text.catalogue import Words
from llmlora.train.prepare import Draft

FEW_STEPS = 10  # with fewer, even the high rates of LoRA hardly move a model


def advise(made: Draft, plan: Plan, free_memory: int) -> Iterator[Words]:
    """Sentences about a run that would work, but maybe not as one hopes."""
    if plan.total_steps < FEW_STEPS:
        yield Words("plan.few_steps", {"steps": plan.total_steps})
    if cut := sum(example.truncated for example in (*made.train, *made.held_out)):
        yield Words("plan.rows_cut", {"rows": cut, "max_length": made.recipe.max_length})
    if made.skipped_rows:
        yield Words("plan.rows_skipped", {"rows": made.skipped_rows})
    if made.recipe.eval_split and not made.held_out:
        yield Words("plan.nothing_held_out", {"rows": len(made.train)})
    if plan.memory > TIGHT * free_memory:
        yield Words("plan.tight_memory", {"share": round(100 * plan.memory / free_memory)})
