"""Who may talk to the engine: a bearer token, and names that no web page elsewhere can borrow."""

import hmac
import ipaddress
import json
import socket
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from carryon.worker.schema import error_body

_OPEN_PATHS = frozenset({"/health"})
_NO_KEY = "The API key is missing or wrong. Send it as 'Authorization: Bearer KEY'."
_WRONG_NAME = "This server does not answer to that {header}."


class Guard:
    """ASGI middleware. Host is checked against DNS rebinding, Origin against pages of other sites, then the token."""

    def __init__(self, app: ASGIApp, token: str, host: str) -> None:
        self._app = app
        self._token = token.encode()
        self._host = host.lower()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send)
            return
        await _reply(send, *refusal)

    def _refusal(self, scope: Scope) -> tuple[int, dict[str, Any]] | None:
        if not self._knows(_one(scope, b"host") or ""):
            return 403, error_body(_WRONG_NAME.format(header="Host"), "permission_error", "host_not_allowed")
        origin = _one(scope, b"origin")
        if origin is not None and not _is_loopback_origin(origin):
            return 403, error_body(_WRONG_NAME.format(header="Origin"), "permission_error", "origin_not_allowed")
        if scope["path"] not in _OPEN_PATHS and not self._has_token(_one(scope, b"authorization") or ""):
            return 401, error_body(_NO_KEY, "authentication_error", "invalid_api_key")
        return None

    def _has_token(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode("latin-1"), self._token)

    def _knows(self, authority: str) -> bool:
        name = _name_of(authority)
        if _is_loopback(name) or name == self._host:
            return bool(name)
        if not _is_everywhere(self._host):
            return False
        # bound to all interfaces: an address is no name that a stranger's DNS could have given out
        machine = socket.gethostname().lower()
        return _address(name) is not None or name in (machine, f"{machine}.local")


def _one(scope: Scope, name: bytes) -> str | None:
    """The value of a header; sent twice it is no value at all, but an attempt."""
    values = [value for key, value in scope["headers"] if key == name]
    if not values:
        return None
    return values[0].decode("latin-1") if len(values) == 1 else ""


def _name_of(authority: str) -> str:
    """Host without port; IPv6 without its brackets."""
    try:
        return (urlsplit(f"//{authority}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_loopback_origin(origin: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and _is_loopback(parts.hostname or "")


def _is_loopback(name: str) -> bool:
    address = _address(name)
    return name == "localhost" or (address is not None and address.is_loopback)


def _is_everywhere(name: str) -> bool:
    address = _address(name)
    return name == "" or (address is not None and address.is_unspecified)


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


async def _reply(send: Send, status: int, body: dict[str, Any]) -> None:
    headers: Iterable[tuple[bytes, bytes]] = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})
