"""How the stand-in says no."""


class Refused(Exception):
    """`{"error": message}` with a status, or as a line of a stream that has begun."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def not_found(name: str) -> Refused:
    """There is no such model."""
    return Refused(404, f"model '{name}' not found")
