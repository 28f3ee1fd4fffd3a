"""What the process that runs chat templates has against one."""


class Unusable(Exception):
    """The template, or what it writes, cannot be used; `code` is that of a row problem."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code)
        self.code, self.detail = code, detail
