"""The errors a person can meet: each says what happened in one sentence and what to do next.

AppError
├── BadInput          what was typed or chosen cannot be used
├── BadFile           a file is not what it should be
├── NoRoom            a disk or a memory is too small
├── Unsupported       the file is fine, this build cannot run it
├── Offline           something on the network did not answer
├── NoAccess          the Hub wants a token, or the owner's consent, for this
├── ContextFull       a conversation no longer fits the context
└── EngineError       the engine process
    ├── EngineRefused     it said why it cannot load a model
    ├── EngineCrashed     it died
    └── EngineSilent      it lives and does not answer
"""


class AppError(Exception):
    """Something a person can understand and act on."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class BadInput(AppError):
    """What was typed or chosen cannot be used."""


class BadFile(AppError):
    """A file is missing, unreadable, damaged or of another kind."""


class NoRoom(AppError):
    """A disk or a memory is too small."""


class Unsupported(AppError):
    """The file is fine, but this build cannot run it."""


class Offline(AppError):
    """Something on the network did not answer."""


class NoAccess(AppError):
    """The Hub wants a token, or the owner's consent, for this."""


class ContextFull(AppError):
    """A conversation no longer fits the context. Both counts are in tokens."""

    def __init__(self, message: str, hint: str = "", *, n_prompt: int, n_ctx: int) -> None:
        super().__init__(message, hint)
        self.n_prompt = n_prompt
        self.n_ctx = n_ctx


class EngineError(AppError):
    """The engine process could not do what was asked."""


class EngineRefused(EngineError):
    """The engine said why it cannot load a model."""


class EngineCrashed(EngineError):
    """The engine process died."""


class EngineSilent(EngineError):
    """The engine process lives and does not answer."""
