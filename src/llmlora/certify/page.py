"""The certificate for people: one HTML page that needs nothing else, light or dark as the reader's system is."""

from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from llmlora.certify.certificate import Certificate, Line
from llmlora.files import write_text
from llmlora.paths import Run
from llmlora.text.catalogue import Language, say


def page_of(certificate: Certificate, language: Language) -> str:
    """The page. Everything in it that is not ours, names and answers, is escaped."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files("llmlora.certify").joinpath("page.html").read_text("utf-8"))

    def words(key: str, **facts: object) -> str:
        return say(language, f"certificate.{key}", **facts)

    return template.render(
        one=certificate,
        language=language,
        words=words,
        said=lambda sentence: sentence.said(language),
        measured=lambda line: words_of_measurement(line, language),
        limit=lambda line: words_of_limit(line, language),
    )


def keep(certificate: Certificate, adapter_path: Path, language: Language) -> Path:
    """Write it beside the adapter, for machines and for people; returns the path for machines."""
    run = Run(adapter_path)
    write_text(run.certificate, certificate.model_dump_json(indent=1))
    write_text(run.certificate.with_suffix(".html"), page_of(certificate, language))
    return run.certificate


def words_of_measurement(line: Line, language: Language) -> str:
    """`mean 0.0123`; for what could not be measured, why."""
    if line.measured is None:
        return line.reason.said(language) if line.reason else ""
    if line.measure == "same":
        return say(language, "certificate.same" if line.measured else "certificate.different")
    return say(language, f"certificate.measures.{line.measure}", number=_number(line.measured))


def words_of_limit(line: Line, language: Language) -> str:
    """`≤ 0.0200`; nothing where there is none."""
    if line.limit is None:
        return ""
    if line.measure == "same":
        return say(language, "certificate.same")
    return f"{'≥' if line.measure == 'least' else '≤'} {_number(line.limit)}"


def _number(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 0.1 else f"{value:.3f}"
