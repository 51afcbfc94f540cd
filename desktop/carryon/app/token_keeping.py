"""Where the Hub's token is kept: the system's keyring where there is one, else a file that only its owner can read."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Protocol

from carryon.base.errors import BadInput
from carryon.base.files import disk_errors

log = logging.getLogger(__name__)

SERVICE, ACCOUNT = "carryon", "hub-token"
_LONGEST = 1000
_OWNER_ONLY = 0o600


class TokenPlace(Enum):
    """Where the token that is sent comes from."""

    NOWHERE = "nowhere"
    KEYRING = "keyring"
    FILE = "file"
    ENVIRONMENT = "environment"


class Keyring(Protocol):
    """What the system's keyring can do, as the package of that name calls it. It may ask for a password, and wait."""

    def get_password(self, service: str, username: str) -> str | None: ...

    def set_password(self, service: str, username: str, password: str) -> None: ...

    def delete_password(self, service: str, username: str) -> None: ...


class TokenKeeping:
    """Reads, keeps and forgets one token. The keyring may open a dialog of the system: ask in a job, not in a click."""

    def __init__(self, file: Path, keyring: Keyring | None) -> None:
        self._file, self._keyring = file, keyring

    @property
    def place(self) -> TokenPlace:
        """Where the next token will be kept."""
        return TokenPlace.KEYRING if self._keyring else TokenPlace.FILE

    def read(self) -> tuple[str | None, TokenPlace]:
        """The token and where it is; None where there is none or the system does not give it away."""
        if kept := self._from_keyring():
            return kept, TokenPlace.KEYRING
        if kept := self._from_file():
            return kept, TokenPlace.FILE
        return None, TokenPlace.NOWHERE

    def keep(self, token: str) -> TokenPlace:
        """Keeps it in one place only. Raises BadInput for what is no token, NoRoom and BadFile."""
        plain = checked(token)
        if self._into_keyring(plain):
            self._file.unlink(missing_ok=True)
            return TokenPlace.KEYRING
        write_private(self._file, plain.encode())
        return TokenPlace.FILE

    def forget(self) -> None:
        """Removes it everywhere. Raises BadFile."""
        if self._keyring and self._from_keyring():
            with _quietly("forget"):
                self._keyring.delete_password(SERVICE, ACCOUNT)
        with disk_errors(self._file):
            self._file.unlink(missing_ok=True)

    def _from_keyring(self) -> str | None:
        if self._keyring:
            with _quietly("read"):
                return self._keyring.get_password(SERVICE, ACCOUNT)
        return None

    def _into_keyring(self, token: str) -> bool:
        if self._keyring:
            with _quietly("keep"):
                self._keyring.set_password(SERVICE, ACCOUNT, token)
                return True
        return False

    def _from_file(self) -> str | None:
        try:
            with self._file.open("rb") as file:
                return checked(file.read(_LONGEST + 1).decode("ascii"))
        except (OSError, ValueError, BadInput):
            return None


def checked(token: str) -> str:
    """A token as it can stand in a header: letters, digits and signs, no spaces. Raises BadInput."""
    plain = token.strip()
    if not plain or len(plain) > _LONGEST or not all("!" <= one <= "~" for one in plain):
        raise BadInput("This is no access token.", "Copy it whole from huggingface.co/settings/tokens.")
    return plain


def write_private(target: Path, content: bytes) -> None:
    """Writes the file whole. Nobody else can read it, not even while it is being written. Raises NoRoom and BadFile."""
    part = target.with_name(target.name + ".part")
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        try:
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
            with os.fdopen(handle, "wb") as out:
                out.write(content)
                out.flush()
                os.fsync(out.fileno())
            part.replace(target)
        except BaseException:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise


def system_keyring() -> Keyring | None:
    """The keyring of this system, if the package is installed and finds one that really keeps."""
    try:
        keyring, fail, null = (import_module(f"keyring{part}") for part in ("", ".backends.fail", ".backends.null"))
    except ImportError:
        return None
    with _quietly("offer to keep"):
        found = keyring.get_keyring()
        if found.priority > 0 and not isinstance(found, fail.Keyring | null.Keyring):
            made: Keyring = found
            return made
    return None


@contextmanager
def _quietly(doing: str) -> Iterator[None]:
    """A keyring raises what it likes (a locked one, a dead D-Bus); the file is there instead. Logs no value."""
    try:
        yield
    except Exception as error:
        log.warning("the keyring would not %s the token: %s", doing, type(error).__name__)
