"""How the Hub is reached from this home: which one, through what, as whom, or not at all."""

import os
import threading
from collections.abc import Callable, Generator, Mapping
from pathlib import Path

from carryon.app.token_keeping import Keyring, TokenKeeping, TokenPlace, checked, system_keyring
from carryon.base.errors import BadInput, Offline
from carryon.base.jobs import aside
from carryon.base.paths import Home
from carryon.base.settings import SettingsFile
from carryon.hub.site import Site, site_from

_LONGEST_NAME = 100
OFFLINE_HINT = "Switch Offline off in Settings, under Network, to go on."


class HubAccess:
    """Safe to use from any thread. What reads the token may wait for the system's keyring: ask for it in a job."""

    def __init__(
        self,
        home: Home,
        settings: SettingsFile,
        environment: Mapping[str, str] = os.environ,
        keyring: Callable[[], Keyring | None] = system_keyring,
    ) -> None:
        self._file, self._settings, self._environment, self._find_keyring = (
            home.root / "hub-token", settings, environment, keyring,
        )  # fmt: skip
        self._lock = threading.Lock()
        self._keeping: TokenKeeping | None = None
        self._known: tuple[str | None, TokenPlace] | None = None

    @property
    def is_offline(self) -> bool:
        """Whether no request may leave this machine."""
        return self._settings.now.is_offline

    def site(self) -> Site:
        """Where to ask. Raises Offline where the person switched the network off, BadInput for a wrong mirror."""
        if self.is_offline:
            raise Offline("Carryon is switched to offline.", OFFLINE_HINT)
        return self._site(self._token()[0])

    def site_without_token(self) -> Site:
        """The same for words on a page: asks nobody and waits for nothing. Raises BadInput for a wrong mirror."""
        return self._site(None)

    @property
    def token_place(self) -> TokenPlace:
        """Where the token that is sent comes from."""
        return self._token()[1]

    @property
    def next_token_place(self) -> TokenPlace:
        """Where a token would be kept."""
        with self._lock:
            return self._keeper().place

    @property
    def token_file(self) -> Path:
        """Where it is kept on a system without a keyring."""
        return self._file

    def keep_token(self, token: str) -> TokenPlace:
        """Keeps it and says where. Raises BadInput for what is no token, NoRoom and BadFile."""
        with self._lock:
            place = self._keeper().keep(token)
            self._known = None
        return place

    def forget_token(self) -> None:
        """Removes the kept one; one of the environment stays. Raises BadFile."""
        with self._lock:
            self._keeper().forget()
            self._known = None

    def checking_token(self) -> Generator[None, None, str]:
        """Asks the Hub whose token this is and returns the name. Raises NoAccess, Offline and BadInput."""
        site = yield from aside(self.site)
        if not site.token:
            raise BadInput("There is no token to check.", "Paste one and save it first.")
        if not site.token_for(site.endpoint):
            raise BadInput(
                f"{site.host} is a mirror, which is not shown the token.",
                "Allow it in Settings, under Network, or ask the Hub itself.",
            )
        return (yield from _asking_whose(site))

    def _site(self, token: str | None) -> Site:
        now = self._settings.now
        endpoint = {"HF_ENDPOINT": self._environment.get("HF_ENDPOINT", "")}
        return site_from(now.hub_mirror, token, now.hub_proxy, trusts_mirror=now.trusts_mirror, environment=endpoint)

    def _token(self) -> tuple[str | None, TokenPlace]:
        """What was kept here counts before what the environment says."""
        with self._lock:
            if self._known is None:
                kept, place = self._keeper().read()
                self._known = (kept, place) if kept else self._from_environment()
            return self._known

    def _from_environment(self) -> tuple[str | None, TokenPlace]:
        try:
            return checked(self._environment.get("HF_TOKEN", "")), TokenPlace.ENVIRONMENT
        except BadInput:
            return None, TokenPlace.NOWHERE

    def _keeper(self) -> TokenKeeping:
        if self._keeping is None:
            self._keeping = TokenKeeping(self._file, self._find_keyring())
        return self._keeping


def _asking_whose(site: Site) -> Generator[None, None, str]:
    from carryon.hub.asking import Question, asking  # after the first frame, like everything of the network

    answer = yield from asking(site, Question("/api/whoami-v2"))
    name = answer.told.get("name") if isinstance(answer.told, dict) else None
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= _LONGEST_NAME:
        raise Offline(f"{site.host} does not say whose token this is.", "Try again later.")
    return name
