"""One connection of a download, in a thread of its own: it fetches one piece after the other."""

import http.client
import re
import time

from carryon.base.errors import Offline
from carryon.hub.connection import MOST_REDIRECTS, MOVED, Answer, Connection, checked, host_of, location
from carryon.hub.fetching.pieces import Span
from carryon.hub.fetching.source import Located, etag_of
from carryon.hub.fetching.summing import Block
from carryon.hub.fetching.transfer import BLOCK_BYTES, Stopped, Transfer
from carryon.hub.wire import BadAnswer, Refused, error_of, hub_errors, portal_error

_GATHER_S = 0.1  # small reads are gathered for so long before they go to the disk
_EXPIRED = (401, 403, 404, 410)
_MOST_REFUSALS = 3
_ENOUGH_IN_VAIN = 3
_STEP_BACK_S = 0.1  # of one that was too slow, so that the faster one takes the piece
_CONTENT_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})")


class Lane:
    """Runs until there is nothing more to fetch. Its connection may be aborted from another thread."""

    def __init__(self, transfer: Transfer) -> None:
        self._transfer, self._source = transfer, transfer.source
        patience = transfer.patience
        self.connection = Connection(self._source.site, patience.connect_s, patience.silence_s)
        self.asking = Connection(self._source.site, patience.connect_s, patience.silence_s)  # of the Hub
        self._n_in_vain = self._n_refused = 0
        self._has_left = False
        self._broken: Exception | None = None

    def run(self) -> None:
        """The life of the lane."""
        try:
            while not self._has_left and (span := self._transfer.next_span(self)) is not None:
                self._try(span)
        finally:
            self.connection.close()
            self.asking.close()

    def abort(self) -> None:
        """Wakes it wherever it waits for the network."""
        self.connection.abort()
        self.asking.abort()

    def call_off(self) -> None:
        """Wakes it from what it fetches; it gives the rest of it back and goes on."""
        self.connection.wake()

    @property
    def is_connecting(self) -> bool:
        return self.connection.is_connecting or self.asking.is_connecting

    def _try(self, span: Span) -> None:
        error: Offline | None = None
        is_whole = False
        try:
            with hub_errors(self._source.site, self._source.repo_id):
                self._fetch(span)
            is_whole = True
        except Offline as failed:
            self.connection.close()
            error = failed
        finally:
            was_called_off = self._transfer.give_back(self, span, is_whole)
        if error is None or self._transfer.over.is_set():
            return
        if was_called_off:
            self._transfer.over.wait(_STEP_BACK_S)
        else:
            self._rest(error)

    def _rest(self, error: Offline) -> None:
        if isinstance(error, BadAnswer) and self._transfer.count_bad_answer():
            raise error
        wait_s = self._transfer.patience.wait_s(error, self._n_in_vain)
        self._n_in_vain += 1
        if isinstance(error.__cause__, Refused) and error.__cause__.wait_s is not None:
            self._source.hush(wait_s)
        self._transfer.rest(self, error, wait_s)

    def _fetch(self, span: Span) -> None:
        located = self._source.located
        if self._n_in_vain >= _ENOUGH_IN_VAIN and not self._source.is_own(located):
            self._source.renew(self.asking, located)  # perhaps another server is better
            located = self._source.located
        try:
            answer = self._asked(located, span)
        except Refused as refused:
            if refused.status not in _EXPIRED or self._source.is_own(located):
                raise
            self._refused(located, refused)
            return
        if answer is not None:
            self._receive(answer, span)
            self.connection.finish()

    def _asked(self, located: Located, span: Span) -> Answer | None:
        """The answer that brings these bytes; None if the source turns out to give no parts."""
        is_all = span.end - span.start == located.identity.size_bytes
        headers = {} if is_all else {"Range": f"bytes={span.start}-{span.end - 1}"}
        url = located.url
        for _ in range(MOST_REDIRECTS + 1):
            answer = self.connection.ask("GET", url, headers)
            if answer.status not in MOVED:
                return self._as_asked(checked(answer), span, located)
            url = location(answer)
        raise BadAnswer(f"{host_of(url)} sends us around in circles.", "Try again later.")

    def _as_asked(self, answer: Answer, span: Span, located: Located) -> Answer | None:
        size_bytes, host = located.identity.size_bytes, host_of(answer.url)
        if answer.header("Content-Type").startswith("text/html"):
            raise portal_error(host)
        named = etag_of(answer)
        if len(named) == 64 and named not in (located.identity.etag, located.identity.sum.removeprefix("sha256:")):
            self._source.renew(self.asking, located)
            raise BadAnswer(f"{host} sends another file than the Hub named.", "Try again later.")
        if not answer.has_length or answer.header("Content-Encoding") not in ("", "identity"):
            raise BadAnswer(f"{host} sends the file in a form that cannot be resumed.", "Try again later.")
        if answer.status == 200 and answer.left_bytes == size_bytes:
            if span.end - span.start == size_bytes:
                return answer
            self._transfer.take_all_only()
            self.connection.close()
            return None
        found = _CONTENT_RANGE.fullmatch(answer.header("Content-Range"))
        told = tuple(map(int, found.groups())) if found and answer.status == 206 else ()
        if told != (span.start, span.end - 1, size_bytes) or answer.left_bytes != span.end - span.start:
            raise BadAnswer(f"{host} sends other bytes than were asked for.", "Try again later.")
        return answer

    def _refused(self, located: Located, refused: Refused) -> None:
        """The address has expired, or the server lets fewer connections in."""
        self.connection.close()
        self._n_refused += 1
        if self._n_refused == 1:
            self._source.renew(self.asking, located)
            return
        if self._transfer.may_leave():
            self._has_left = True
            return
        if self._n_refused > _MOST_REFUSALS:
            raise error_of(refused.status, self._source.site, self._source.repo_id, refused.host)
        self._source.renew(self.asking, located)
        raise Offline(f"{refused.host} refuses to send the file.", "It is tried again with a new address.")

    def _receive(self, answer: Answer, span: Span) -> None:
        at, self._broken = span.start, None
        while at < span.end:
            here = min(self._transfer.here_until(at), span.end)
            at += self._passed_over(answer, here - at) if here > at else self._landed(answer, at, span.end)
            self._n_in_vain = self._n_refused = 0

    def _landed(self, answer: Answer, at: int, end: int) -> int:
        """Brings some bytes into their place."""
        buffer = self._transfer.block()
        room = min(BLOCK_BYTES, end - at, self._transfer.pieces.piece_end(at) - at)
        n_bytes = self._filled(answer, buffer[:room])
        self._transfer.land(self, at, Block(buffer, n_bytes))
        return n_bytes

    def _passed_over(self, answer: Answer, n_bytes: int) -> int:
        """Reads bytes that are here already, from a source that gives no parts."""
        return self._filled(answer, self._transfer.block()[: min(BLOCK_BYTES, n_bytes)])

    def _filled(self, answer: Answer, view: memoryview) -> int:
        """Reads until it is full, or for a moment; at least something."""
        if self._broken is not None:
            broken, self._broken = self._broken, None
            raise broken
        n_bytes, until_s = 0, time.monotonic() + _GATHER_S
        while n_bytes < len(view) and (not n_bytes or time.monotonic() < until_s):
            try:
                n_bytes += self._read(answer, view[n_bytes:])
            except (OSError, http.client.HTTPException) as error:
                if not n_bytes:
                    raise
                self._broken = error  # first what came before it
                break
        return n_bytes

    def _read(self, answer: Answer, view: memoryview) -> int:
        limit = self._transfer.bandwidth.bytes_per_s
        if limit:
            view = view[: max(1024, int(limit * _GATHER_S))]
        n_bytes = answer.readinto(view)
        if not n_bytes:
            raise ConnectionResetError("the body is shorter than was said")
        wait_s = self._transfer.bandwidth.taken(n_bytes) if limit else 0.0
        if wait_s and self._transfer.over.wait(wait_s):
            raise Stopped
        return n_bytes
