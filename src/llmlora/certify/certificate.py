"""What a certificate says: each comparison beside its limit, and the answers. No torch."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, computed_field

from llmlora.errors import CertificateFailed
from llmlora.export.registered import Registered
from llmlora.paths import Run
from llmlora.text.catalogue import Words

Measure = Literal["mean", "most", "least", "same"]  # of differences in nats; the smallest share; 1 where equal
Verdict = Literal["ok", "broken", "reported", "skipped"]


class Line(BaseModel):
    """One comparison; what it compares is `certificate.lines.<what>` in the catalogues."""

    what: str
    measure: Measure
    measured: float | None
    limit: float | None  # `least` and `same`: at least; else: at most
    compared: int  # numbers that were compared
    verdict: Verdict
    reason: Words | None = None

    @property
    def title(self) -> Words:
        return Words(f"certificate.lines.{self.what}")


class Answer(BaseModel):
    """A question, and what base and tuned model say to it, always taking the likeliest token."""

    question: str
    base: str
    tuned: str | None
    served: str | None  # by Ollama


class Certificate(BaseModel):
    """Whether what was trained is what answers."""

    base: str
    base_digest: str
    adapter_digest: str
    rows: int
    tokens: int
    origin: Words
    registered: Registered | None  # what of it was asked in Ollama
    lines: list[Line]
    prompts: list[str] | None  # as we write one, and as Ollama does
    merged: dict[str, Any] | None  # the merge, tensor by tensor
    answers: list[Answer]
    llmlora: str
    seconds: float
    at: datetime

    @computed_field  # type: ignore[prop-decorator]
    @property
    def passed(self) -> bool:
        return not self.broken

    @property
    def broken(self) -> list[Line]:
        """The lines above their limits."""
        return [line for line in self.lines if line.verdict == "broken"]


def judged(what: str, measure: Measure, measured: float, limit: float | None = None, compared: int = 1) -> Line:
    """A comparison that was made; a measurement that is not a number is above every limit."""
    verdict: Verdict = "reported"
    if limit is not None:
        kept = measured >= limit if measure in ("least", "same") else measured <= limit
        verdict = "ok" if kept else "broken"
    return Line(what=what, measure=measure, measured=measured, limit=limit, compared=compared, verdict=verdict)


def skipped(reason: Words, *names: str, measure: Measure = "mean", verdict: Verdict = "skipped") -> Sequence[Line]:
    """Comparisons that could not be made."""
    nothing: dict[str, Any] = {"measured": None, "limit": None, "compared": 0}
    return [Line(what=what, measure=measure, verdict=verdict, reason=reason, **nothing) for what in names]


def need_passed(certificate: Certificate, path: Path) -> None:
    """Raises CertificateFailed where a line is above its limit."""
    if certificate.broken:
        raise CertificateFailed(path, [line.title for line in certificate.broken])


def last_certificate(adapter_path: Path) -> Certificate | None:
    """What was written when the adapter was last certified."""
    try:
        return Certificate.model_validate_json(Run(adapter_path).certificate.read_text("utf-8"))
    except (OSError, ValueError):
        return None
