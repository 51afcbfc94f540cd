"""What the Network group of the settings can change; every change counts at once and is kept. No Qt."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from carryon.app.hub_access import HubAccess
from carryon.app.token_keeping import TokenPlace
from carryon.base.errors import AppError
from carryon.base.jobs import Done, Failed, Lane, Outcome, Runner, Work, aside
from carryon.base.settings import CONNECTIONS, DOWNLOADS_AT_ONCE, Settings, SettingsFile
from carryon.hub.site import endpoint_of, proxy_of
from carryon.ui.settings import network_texts as texts

MOST_LIMIT = 9_999  # of its unit


@dataclass(frozen=True)
class TokenWords:
    """What is said of the token. `place` is None while nobody knows yet."""

    place: TokenPlace | None
    words: str
    is_bad: bool = False
    is_busy: bool = False


class NetworkView(Protocol):
    """What the presenter needs of the group."""

    def show_network(self, settings: Settings, asked: str) -> None: ...

    def show_mirror_error(self, words: str) -> None: ...

    def show_proxy_error(self, words: str) -> None: ...

    def show_token(self, token: TokenWords) -> None: ...

    def clear_token(self) -> None: ...

    def show_error(self, error: AppError) -> None: ...


class NetworkPresenter:
    """Lives on the main thread; what may wait for the system's keyring or the Hub runs in jobs."""

    def __init__(self, settings: SettingsFile, access: HubAccess, runner: Runner, view: NetworkView) -> None:
        self._settings, self._access, self._runner, self._view = settings, access, runner, view
        self._place: TokenPlace | None = None
        self._is_busy = False

    def refresh(self) -> None:
        """Shows what is so now; looks for the token once, for its place does not change by itself."""
        self._show()
        if self._place is None and not self._is_busy:
            self._ask_token(texts.LOOKING, aside(self._look), self._looked)

    def set_offline(self, is_offline: bool) -> None:
        """No request leaves from now on; those that run are given up."""
        self._change(lambda now: replace(now, is_offline=is_offline))

    def set_mirror(self, text: str) -> None:
        """An address that cannot be is not taken: the old one stays until it is mended."""
        try:
            mirror = endpoint_of(text) if text.strip() else ""
        except AppError as error:
            self._view.show_mirror_error(_said(error))
            return
        self._view.show_mirror_error("")
        if mirror != self._settings.now.hub_mirror:  # another server has to be trusted anew
            self._change(lambda now: replace(now, hub_mirror=mirror, trusts_mirror=False))
        self._show()

    def set_trust(self, trusts: bool) -> None:
        """Whether the mirror is shown the token."""
        self._change(lambda now: replace(now, trusts_mirror=trusts))

    def set_proxy(self, text: str) -> None:
        """As with a mirror: what cannot be is not taken."""
        try:
            proxy = proxy_of(text)
        except AppError as error:
            self._view.show_proxy_error(_said(error))
            return
        self._view.show_proxy_error("")
        self._change(lambda now: replace(now, hub_proxy=proxy))

    def set_limit(self, bytes_per_s: int) -> None:
        """0 is no limit."""
        self._change(lambda now: replace(now, download_limit_bytes_per_s=bytes_per_s or None))

    def set_at_once(self, n_downloads: int) -> None:
        """How many downloads run side by side."""
        self._change(lambda now: replace(now, downloads_at_once=_within(DOWNLOADS_AT_ONCE, n_downloads)))

    def set_connections(self, n_connections: int) -> None:
        """Of each download; it counts for those that begin from now on."""
        self._change(lambda now: replace(now, connections_per_download=_within(CONNECTIONS, n_connections)))

    def save_token(self, text: str) -> None:
        """Keeps it and says where."""
        self._ask_token("", aside(lambda: self._access.keep_token(text)), self._saved)

    def check_token(self) -> None:
        """Asks the Hub whose it is."""
        self._ask_token(texts.CHECKING, self._access.checking_token(), self._checked)

    def forget_token(self) -> None:
        """Removes what is kept; one of the environment stays."""

        def forget() -> tuple[TokenPlace, TokenPlace]:
            self._access.forget_token()
            return self._look()

        self._ask_token("", aside(forget), self._forgotten)

    def _look(self) -> tuple[TokenPlace, TokenPlace]:
        return self._access.token_place, self._access.next_token_place

    def _looked(self, found: tuple[TokenPlace, TokenPlace]) -> None:
        self._place, following = found
        self._tell(self._place_words(following))

    def _saved(self, place: TokenPlace) -> None:
        self._place = place
        self._view.clear_token()
        self._tell(texts.saved_words(place))

    def _checked(self, name: str) -> None:
        self._tell(texts.known_words(name))

    def _forgotten(self, found: tuple[TokenPlace, TokenPlace]) -> None:
        self._place, following = found
        self._tell(f"{texts.FORGOTTEN} {self._place_words(following)}")

    def _place_words(self, following: TokenPlace) -> str:
        place = self._place or TokenPlace.NOWHERE
        if place is TokenPlace.NOWHERE:
            return f"{texts.place_words(place)} {texts.next_place_words(following, self._access.token_file)}"
        return texts.place_words(place)

    def _ask_token(self, words: str, work: Work, on_done: Callable[[Any], None]) -> None:
        def ended(outcome: Outcome) -> None:
            self._is_busy = False
            match outcome:
                case Done(result):
                    on_done(result)
                case Failed(error):
                    self._tell(_said(error), is_bad=True)

        if self._is_busy:
            work.close()
            return
        self._is_busy = True
        self._view.show_token(TokenWords(self._place, words, is_busy=True))
        self._runner.start(work, on_end=ended, lane=Lane.QUICK)

    def _tell(self, words: str, *, is_bad: bool = False) -> None:
        self._view.show_token(TokenWords(self._place, words, is_bad=is_bad))

    def _change(self, change: Callable[[Settings], Settings]) -> None:
        try:
            self._settings.change(change)
        except AppError as error:
            self._view.show_error(error)
        self._show()

    def _show(self) -> None:
        now = self._settings.now
        try:
            asked = texts.asked_words(self._access.site_without_token().host, is_offline=now.is_offline)
        except AppError as error:  # the environment or a person's own hand wrote it
            asked = _said(error)
        self._view.show_network(now, asked)


def limit_parts(bytes_per_s: int | None) -> tuple[int, int]:
    """The number and the unit (as its place in `LIMIT_UNITS`) that show this limit without a fraction."""
    if not bytes_per_s:
        return 0, 0
    for index, (_, unit) in enumerate(texts.LIMIT_UNITS):
        if bytes_per_s % unit == 0:
            return min(bytes_per_s // unit, MOST_LIMIT), index
    return min(max(1, round(bytes_per_s / 1000)), MOST_LIMIT), len(texts.LIMIT_UNITS) - 1


def _within(bounds: tuple[int, int], wanted: int) -> int:
    return min(bounds[1], max(bounds[0], wanted))


def _said(error: AppError) -> str:
    return f"{error.message} {error.hint}".strip()
