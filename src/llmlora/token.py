"""The secret of this installation: a file that only its owner may read, and the cookie that stands for it."""

import hashlib
import hmac
import os
import secrets
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from pathlib import Path

from llmlora.files import PART

LETTERS = 43  # of 256 bits
FAILURES, WINDOW_SECONDS, ADDRESSES = 10, 60.0, 1000


@dataclass
class Token:
    """The token in `path`, made when it is first asked for. A change of the file is noticed."""

    path: Path
    _value: str = ""
    _seen: tuple[int, int] = (0, 0)
    _failures: OrderedDict[str, deque[float]] = field(default_factory=OrderedDict)

    @property
    def value(self) -> str:
        """256 bits as letters."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            self._write(replace=False)
            status = self.path.stat()
        seen = (status.st_ino, status.st_mtime_ns)
        if seen != self._seen:
            value = self.path.read_text("ascii", "replace").strip()
            if len(value) < LETTERS:  # cut off or emptied: nobody shall get in with nothing
                return self.renew()
            self._value, self._seen = value, seen
        return self._value

    @property
    def cookie(self) -> str:
        """What a browser keeps instead: it opens nothing but this server, and dies with the token."""
        return hmac.new(self.value.encode(), b"session", hashlib.sha256).hexdigest()

    def renew(self) -> str:
        """A new token; the old one and its cookies open nothing any more."""
        self._write(replace=True)
        return self.value

    def accepts(self, candidate: str) -> bool:
        """Whether this is the token, in a time that tells nothing."""
        return hmac.compare_digest(candidate.encode("utf-8", "replace"), self.value.encode())

    def accepts_cookie(self, candidate: str) -> bool:
        """Whether this is the cookie, in a time that tells nothing."""
        return hmac.compare_digest(candidate.encode("utf-8", "replace"), self.cookie.encode())

    def too_many_failures(self, address: str) -> bool:
        """Note a wrong secret; True when this address has tried too often lately.

        The right one is let in all the same: 256 bits are not guessed, and nobody locks the owner out.
        """
        now, times = time.monotonic(), self._failures.setdefault(address, deque())
        self._failures.move_to_end(address)
        if len(self._failures) > ADDRESSES:
            self._failures.popitem(last=False)
        while times and now - times[0] > WINDOW_SECONDS:
            times.popleft()
        times.append(now)
        return len(times) > FAILURES

    def _write(self, *, replace: bool) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.parent.chmod(0o700)
        staged = self.path.with_name(f".token.{secrets.token_hex(4)}{PART}")
        handle = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.fchmod(handle, 0o600)  # whatever the umask takes away or leaves
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
        try:
            if replace:
                staged.replace(self.path)
            else:
                os.link(staged, self.path)  # fails when another process was first: then that one's is the token
        except FileExistsError:
            pass
        finally:
            staged.unlink(missing_ok=True)
