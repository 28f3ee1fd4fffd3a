"""How long a run has taken, and how long it will."""

import time
from dataclasses import dataclass, field

ENOUGH = 3  # steps; the first compiles and is not counted, the second alone may have been an odd one
FRESH = 0.2  # share of a new step in what is known of the old ones


@dataclass
class Clock:
    """Seconds since the attempt began, and those a token takes: as planned, until real steps have shown them."""

    planned: float
    begin: float = field(default_factory=time.monotonic)
    steps: int = 0
    seen: float = 0.0

    def seconds(self) -> float:
        return time.monotonic() - self.begin

    def step_took(self, seconds: float, tokens: int) -> None:
        """Learn from a step."""
        self.steps += 1
        if self.steps > 1:
            rate = seconds / tokens
            self.seen = rate if self.steps == 2 else (1 - FRESH) * self.seen + FRESH * rate

    def left(self, tokens: float) -> float:
        """Seconds that so many tokens will take."""
        return tokens * (self.seen if self.steps >= ENOUGH else self.planned)
