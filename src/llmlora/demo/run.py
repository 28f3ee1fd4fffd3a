"""The demo: five rows teach a base model to end its sentences in 〜でござる, and llama.cpp answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from llmlora.chat.engine import Sampling
from llmlora.chat.session import Session
from llmlora.data.conversation import Turn
from llmlora.data.examples import make_examples
from llmlora.data.read import read_conversations
from llmlora.data.render import Renderer
from llmlora.demo.style import in_style, material
from llmlora.recipe import Recipe, make_recipe, read_recipe
from llmlora.train.evaluate import mean_loss
from llmlora.train.prepare import Prepared

SAMPLING = Sampling(max_tokens=64, temperature=0.7, top_p=0.95)
ORDINARY_TOKENS = 256


@dataclass(frozen=True)
class Answers:
    """What base and tuned model said to a prompt."""

    prompt: str
    base: str
    tuned: str

    @property
    def in_style(self) -> bool:
        return in_style(self.tuned)


@dataclass(frozen=True)
class Forgetting:
    """Held-out loss per token on ordinary Japanese, before and after."""

    before: float
    after: float


def demo_recipe() -> Recipe:
    """The recipe beside this file, on the rows beside this file."""
    values = read_recipe(Path(str(files("llmlora.demo").joinpath("recipe.yaml"))))
    return make_recipe({**values, "data": str(material().rows)})


def ask(
    model: Path, adapter: Path, prompts: Sequence[str], seed: int, on_answer: Callable[[Answers], None]
) -> list[Answers]:
    """Ask base and tuned model each prompt with the same seed, through llama.cpp."""
    sampling = Sampling(SAMPLING.max_tokens, SAMPLING.temperature, SAMPLING.top_p, seed)
    collected = []
    with Session(model, adapter) as session:
        for prompt in prompts:
            turns = (Turn("user", prompt),)
            base, tuned = ("".join(session.answer(turns, sampling, adapted)).strip() for adapted in (False, True))
            collected.append(Answers(prompt, base, tuned))
            on_answer(collected[-1])
    return collected


def forgetting(prepared: Prepared) -> Forgetting:
    """How much worse the trained model has become at what it was not trained on."""
    reading = read_conversations(material().ordinary)
    with Renderer(prepared.template) as renderer:
        examples = make_examples(reading.conversations, prepared.tokenizer, renderer, ORDINARY_TOKENS)
    after = mean_loss(prepared.base_model, examples, prepared.plan.pass_tokens)
    with prepared.model.disable_adapter():
        before = mean_loss(prepared.base_model, examples, prepared.plan.pass_tokens)
    return Forgetting(before, after)
