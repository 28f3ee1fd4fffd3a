"""Model names as Ollama reads them: `[[host/]namespace/]model[:tag]`.

Source: types/model/name.go of Ollama (`ParseName`, `isValidPart`, `DisplayShortest`).
"""

import re
from dataclasses import dataclass
from typing import Self

HOST, NAMESPACE, TAG = "registry.ollama.ai", "library", "latest"
_PARTS = (
    re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}"),  # host
    re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}"),  # namespace
    re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}"),  # model
    re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}"),  # tag
)


@dataclass(frozen=True)
class Name:
    """A complete name; its parts are also the path of its manifest."""

    host: str
    namespace: str
    model: str
    tag: str

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """`text` with Ollama's defaults filled in; None when it cannot be a name."""
        path, tag = text, TAG
        if text.rfind(":") > text.rfind("/"):
            path, _, tag = text.rpartition(":")
        if "://" in path:
            path = path.partition("://")[2]
        parts = path.rsplit("/", 2)
        host, namespace, model = [HOST, NAMESPACE][: 3 - len(parts)] + parts
        return cls.of(host, namespace, model, tag)

    @classmethod
    def of(cls, host: str, namespace: str, model: str, tag: str) -> Self | None:
        """A name of these parts; None when one of them is not allowed."""
        parts = (host, namespace, model, tag)
        valid = all(rule.fullmatch(part) for rule, part in zip(_PARTS, parts, strict=True))
        return cls(*parts) if valid else None

    def same(self, other: "Name") -> bool:
        """Whether Ollama takes both for one model: letter case does not count."""
        return self._folded() == other._folded()

    def __str__(self) -> str:
        """The shortest form Ollama itself prints, always with the tag."""
        host, namespace = self._folded()[:2]
        if host != HOST:
            return f"{self.host}/{self.namespace}/{self.model}:{self.tag}"
        if namespace != NAMESPACE:
            return f"{self.namespace}/{self.model}:{self.tag}"
        return f"{self.model}:{self.tag}"

    def _folded(self) -> tuple[str, ...]:
        return tuple(part.lower() for part in (self.host, self.namespace, self.model, self.tag))
