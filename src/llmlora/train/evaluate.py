"""The forward pass of a packed batch, the held-out loss, and sample answers along the way."""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from llmlora.data.examples import Example
from llmlora.data.packing import Batch, fill, pack
from llmlora.train.loss import supervised_loss


def batch_loss(model: PreTrainedModel, batch: Batch) -> Tensor:
    """Sum of the losses of a packed batch's supervised tokens, a float32 scalar."""
    hidden = hidden_states(model, batch)
    targets = hidden[torch.from_numpy(batch.labels_index)]
    return supervised_loss(targets, model.lm_head, torch.from_numpy(batch.labels))


def hidden_states(model: PreTrainedModel, batch: Batch) -> Tensor:
    """The states before the head, [tokens, hidden_size]; no row of the batch sees another."""
    states: Tensor = model.base_model(
        input_ids=torch.from_numpy(batch.ids).long()[None],
        position_ids=torch.from_numpy(batch.positions).long()[None],
        boundaries=tuple(batch.boundaries.tolist()),
        use_cache=False,
    ).last_hidden_state
    return states[0]


@torch.no_grad()
def mean_loss(model: PreTrainedModel, examples: Sequence[Example], pass_tokens: int) -> float:
    """Loss per supervised token over examples, dropout off."""
    training = model.training
    model.train(False)
    total, count = 0.0, 0
    for together in fill(examples, pass_tokens):
        batch = pack(together)
        total += float(batch_loss(model, batch))
        count += len(batch.labels)
    model.train(training)
    return total / count


@torch.no_grad()
def greedy_answer(model: PreTrainedModel, prompt: Sequence[int], stop: frozenset[int], most: int) -> list[int]:
    """The most likely continuation of a prompt, up to `most` tokens or a stop token."""
    training = model.training
    model.train(False)
    cache, answer = DynamicCache(config=model.config), list[int]()
    ids = torch.tensor([list(prompt)])
    while len(answer) < most:
        states = model.base_model(input_ids=ids, cache=cache, use_cache=True).last_hidden_state
        token = int(model.lm_head.logits(states[0, -1:]).argmax())
        if token in stop:
            break
        answer.append(token)
        ids = torch.tensor([[token]])
    model.train(training)
    return answer
