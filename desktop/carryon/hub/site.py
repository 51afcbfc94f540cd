"""Which Hub is asked, as whom and through what. A token never leaves for another origin than the Hub's."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from carryon.base.errors import BadInput
from carryon.hub.names import HUB_HOSTS

HUB = "https://huggingface.co"
_HOST = re.compile(r"[\w.:-]+")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Site:
    """The Hub or a mirror of it. A mirror is shown the token only where the person says so."""

    endpoint: str = HUB
    token: str | None = field(default=None, repr=False)
    proxy: str = ""  # "" = what the system says
    trusts_mirror: bool = False

    @property
    def host(self) -> str:
        """For sentences: “huggingface.co”."""
        return urlsplit(self.endpoint).hostname or self.endpoint

    @property
    def hosts(self) -> tuple[str, ...]:
        """Whose addresses a person may paste."""
        return (*HUB_HOSTS, urlsplit(self.endpoint).netloc.lower())

    @property
    def is_mirror(self) -> bool:
        return origin_of(self.endpoint) != origin_of(HUB)

    def token_for(self, url: str) -> str | None:
        """The token, if a request to this address may carry it."""
        if origin_of(url) != origin_of(self.endpoint) or not _is_private(url):
            return None
        return self.token if self.trusts_mirror or not self.is_mirror else None

    def file_url(self, repo_id: str, commit: str, path: str) -> str:
        """Where the Hub serves a file of a repository; every part was checked before (hub/names.py)."""
        return f"{self.endpoint}/{quote(repo_id)}/resolve/{quote(commit, safe='')}/{quote(path)}"


def site_from(
    mirror: str = "",
    token: str | None = None,
    proxy: str = "",
    *,
    trusts_mirror: bool = False,
    environment: Mapping[str, str] = os.environ,
) -> Site:
    """The site by settings, else by the environment (HF_ENDPOINT, HF_TOKEN), else the Hub. Raises BadInput."""
    endpoint = endpoint_of(mirror or environment.get("HF_ENDPOINT", "") or HUB)
    return Site(endpoint, token or environment.get("HF_TOKEN") or None, proxy, trusts_mirror)


def endpoint_of(text: str) -> str:
    """A mirror's address as it is used. Raises BadInput for anything but https, or http on this machine."""
    plain = text.strip()
    address = urlsplit(plain if "://" in plain else f"https://{plain}")
    try:
        has_port_right = address.port is None or address.port > 0
    except ValueError:
        has_port_right = False
    is_sound = address.scheme in ("https", "http") and _has_host(address.hostname) and has_port_right
    if not is_sound or address.username or address.query or address.fragment:
        raise BadInput(f"“{text.strip()}” is no address of a Hub.", "Type it like https://huggingface.co.")
    if address.scheme == "http" and not _is_private(address.geturl()):
        raise BadInput(f"“{text.strip()}” is not encrypted.", "Use an address that begins with https://.")
    return address.geturl().rstrip("/")


def proxy_of(text: str) -> str:
    """A proxy's address as it is used; “” leaves it to the system. Raises BadInput."""
    plain = text.strip()
    if not plain:
        return ""
    address = urlsplit(plain if "://" in plain else f"http://{plain}")
    try:
        is_sound = address.scheme == "http" and _has_host(address.hostname) and (address.port or 1) > 0
    except ValueError:
        is_sound = False
    if not is_sound or address.path.strip("/") or address.query or address.fragment:
        raise BadInput(f"“{plain}” is no address of a proxy.", "Type it like http://proxy.example.org:3128.")
    return address.geturl().rstrip("/")


def origin_of(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port, as browsers compare them."""
    address = urlsplit(url)
    port = address.port or {"https": 443, "http": 80}.get(address.scheme)
    return address.scheme.lower(), address.hostname, port


def is_allowed(url: str) -> bool:
    """Whether a redirect may lead there: https, or http that does not leave this machine."""
    try:
        address = urlsplit(url)
        return bool(address.hostname) and address.username is None and _is_private(url) and bool(origin_of(url)[2])
    except ValueError:
        return False


def _has_host(host: str | None) -> bool:
    return _HOST.fullmatch(host or "") is not None


def _is_private(url: str) -> bool:
    address = urlsplit(url)
    return address.scheme == "https" or (address.scheme == "http" and address.hostname in _LOOPBACK)
