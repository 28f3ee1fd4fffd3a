"""The training loop.

A step takes `batch_size × gradient_accumulation` rows of the shuffled endless stream, packed end to end in passes of
up to `pass_tokens` tokens. Its loss is the mean over all supervised tokens of the step, so that the same rows give the
same gradient however they are cut into passes. Everything random is a function of (seed, step): a resumed run needs no
state but the adapter, the moments and the step.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import psutil
import torch
from transformers import PreTrainedModel

from llmlora.data.packing import Batch, fill, pack, rows_of_step
from llmlora.errors import Diverged
from llmlora.train.checkpoint import Checkpoint, Checkpoints, Progress
from llmlora.train.clock import Clock
from llmlora.train.evaluate import batch_loss, greedy_answer, mean_loss
from llmlora.train.events import Evaluated, Sampled, Saved, Started, Step
from llmlora.train.optimise import Optimiser, rate_share
from llmlora.train.prepare import Prepared
from llmlora.train.record import OnEvent

SAMPLE_TOKENS = 64


def take_gradient(model: PreTrainedModel, batches: Sequence[Batch]) -> float:
    """Add the gradient of a step's loss to the adapter's, pass by pass; returns the loss, nats per supervised token."""
    supervised, loss = sum(len(batch.labels) for batch in batches), 0.0
    for batch in batches:
        part = batch_loss(model, batch) / supervised
        torch.autograd.backward(part)
        loss += float(part.detach())
    return loss


class Loop:
    """One attempt at a run, from a checkpoint or from the start, to the end or to an interruption."""

    def __init__(
        self,
        prepared: Prepared,
        checkpoints: Checkpoints,
        checkpoint: Checkpoint | None,
        on_event: OnEvent,
        should_stop: Callable[[], bool],
    ) -> None:
        self.prepared, self.recipe, self.plan = prepared, prepared.recipe, prepared.plan
        self.model = prepared.base_model
        self.on_event, self.should_stop, self.checkpoints = on_event, should_stop, checkpoints
        self.optimiser = Optimiser(prepared.parameters, self.recipe.weight_decay)
        self.progress = Progress()
        self.resumed_from = None
        rows, tokens = self._rows_per_step, sum(len(example.ids) for example in prepared.train)
        self.tokens_per_step = rows * tokens / len(prepared.train)
        self.clock = Clock(self.plan.seconds / (self.plan.total_steps * self.tokens_per_step))
        if checkpoint is not None:
            checkpoint.load(prepared.model, self.optimiser)
            self.progress = checkpoint.progress
            self.resumed_from = checkpoint.progress.step

    def run(self) -> bool:
        """Train; True when the run is complete, False when it was interrupted (and saved)."""
        self.model.train()
        self._say_started()
        while not self._complete():
            self._step()
            self._evaluate_if_due()
            stop = self.should_stop()
            if stop or self._save_is_due():
                self._save()
            if stop and not self._complete():
                return False
        return True

    def stopped_early(self) -> bool:
        patience = self.recipe.early_stopping
        return bool(patience) and self.progress.worse_evaluations >= patience

    def best(self) -> Progress:
        """The progress as it was at the best evaluation."""
        return replace(self.progress, step=self.progress.best_step, eval_loss=self.progress.best_loss)

    @property
    def _rows_per_step(self) -> int:
        return self.recipe.batch_size * self.recipe.gradient_accumulation

    def _complete(self) -> bool:
        return self.progress.step >= self.plan.total_steps or self.stopped_early()

    def _save_is_due(self) -> bool:
        step = self.progress.step
        # early stopping gives back the best weights, so they must be there
        best = bool(self.recipe.early_stopping) and step == self.progress.best_step
        return best or step % self.plan.save_every == 0 or self._complete()

    def _step(self) -> None:
        step, began = self.progress.step, time.monotonic()
        torch.manual_seed(self.recipe.seed * 1_000_003 + step)  # dropout
        batches = self._batches(step)
        loss = take_gradient(self.model, batches)
        rate = self.prepared.learning_rate * rate_share(step, self.plan.total_steps, self.recipe)
        if not math.isfinite(loss):
            raise Diverged(step + 1, rate)
        norm = self.optimiser.step(rate)
        self.progress = replace(self.progress, step=step + 1, loss=loss)
        tokens, supervised = sum(len(one.ids) for one in batches), sum(len(one.labels) for one in batches)
        self._say_step(rate, norm, tokens, supervised, time.monotonic() - began)

    def _batches(self, step: int) -> list[Batch]:
        rows = rows_of_step(step, self._rows_per_step, len(self.prepared.train), self.recipe.seed)
        examples = [self.prepared.train[row] for row in rows]
        return [pack(together) for together in fill(examples, self.plan.pass_tokens)]

    def _evaluate_if_due(self) -> None:
        if self.progress.step % self.plan.eval_every and not self._complete():
            return
        if self.prepared.held_out:
            loss = mean_loss(self.model, self.prepared.held_out, self.plan.pass_tokens)
            best = self.progress.best_loss is None or loss < self.progress.best_loss
            self.progress = replace(
                self.progress,
                eval_loss=loss,
                best_loss=loss if best else self.progress.best_loss,
                best_step=self.progress.step if best else self.progress.best_step,
                worse_evaluations=0 if best else self.progress.worse_evaluations + 1,
            )
            self.on_event(Evaluated(**self._now(), loss=loss, best=best))
        for prompt in self.recipe.sample_prompts:
            self._sample(prompt)

    def _sample(self, prompt: str) -> None:
        ids, tokenizer = self.prepared.prompts[prompt], self.prepared.tokenizer
        answer = greedy_answer(self.model, ids, frozenset(tokenizer.eot_ids), SAMPLE_TOKENS)
        self.on_event(Sampled(**self._now(), prompt=prompt, answer=tokenizer.decode(answer)))

    def _save(self) -> None:
        path = self.checkpoints.save(self.progress, self.prepared.model, self.optimiser)
        self.on_event(Saved(**self._now(), path=str(path)))

    def _now(self) -> dict[str, Any]:
        return {"step": self.progress.step, "seconds": round(self.clock.seconds(), 3)}

    def _say_started(self) -> None:
        self.on_event(
            Started(
                **self._now(),
                total_steps=self.plan.total_steps,
                rows=len(self.prepared.train),
                eval_rows=len(self.prepared.held_out),
                trainable_parameters=self.prepared.trainable_parameters,
                total_parameters=self.prepared.total_parameters,
                resumed_from=self.resumed_from,
            )
        )

    def _say_step(self, rate: float, norm: float, tokens: int, supervised: int, took: float) -> None:
        self.clock.step_took(took, tokens)
        rows, left = self.progress.step * self._rows_per_step, self.plan.total_steps - self.progress.step
        self.on_event(
            Step(
                **self._now(),
                epoch=round(rows / len(self.prepared.train), 3),
                loss=self.progress.loss,
                learning_rate=rate,
                grad_norm=norm,
                tokens=tokens,
                supervised_tokens=supervised,
                tokens_per_second=tokens / took,
                memory=psutil.Process().memory_info().rss,
                eta_seconds=self.clock.left(left * self.tokens_per_step),
            )
        )
