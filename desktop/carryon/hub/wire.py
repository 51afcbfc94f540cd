"""The border to the network: what each failure of it, and each refusal of the Hub, means in plain words."""

import http.client
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from carryon.base.errors import AppError, BadFile, BadInput, NoAccess, Offline
from carryon.hub.site import Site

_NOT_YET_VALID, _EXPIRED = 9, 10  # X509_V_ERR_*, openssl/x509_vfy.h


class BadAnswer(Offline):
    """The Hub, or something between, answered what cannot be right; asking again may help."""


class Refused(Exception):
    """An answer with a status that is no success."""

    def __init__(self, status: int, host: str, code: str = "", wait_s: float | None = None) -> None:
        super().__init__(f"status {status} of {host}")
        self.status, self.host, self.code, self.wait_s = status, host, code, wait_s


class ProxyFailed(OSError):
    """The proxy and not the host behind it failed."""


@contextmanager
def hub_errors(site: Site, repo_id: str = "") -> Iterator[None]:
    """Turns what the network and its libraries raise into errors a person can act on."""
    try:
        yield
    except AppError:
        raise
    except Refused as refused:
        raise error_of(refused.status, site, repo_id, refused.host, refused.code) from refused
    except (OSError, http.client.HTTPException) as error:
        raise transport_error(error, site) from error


def error_of(status: int, site: Site, repo_id: str = "", host: str = "", code: str = "") -> AppError:
    """What an answer with this status means. Offline is what may pass by itself."""
    host = host or site.host
    where = f"{site.endpoint}/{repo_id}" if repo_id else f"the model's page on {site.host}"
    match status:
        case 401 if site.token and code != "GatedRepo":
            return NoAccess(f"{host} does not accept the token.", "Make a new one and enter it in Settings.")
        case 401 if code == "RepoNotFound":
            return NoAccess(
                f"{repo_id or 'This model'} is not on {host}, or it is private.",
                "Check the name; if it is private, enter a token of yours in Settings.",
            )
        case 401:
            return NoAccess(
                f"{repo_id or 'This model'} is only for people who are logged in and have its owner's consent.",
                f"Ask for access at {where}, then enter a token of yours in Settings.",
            )
        case 403 if code == "GatedRepo":
            return NoAccess(
                f"The owner of {repo_id or 'this model'} has not given you access.", f"Ask for it at {where}."
            )
        case 403 | 407 | 451:
            return NoAccess(f"{host} refuses this request.", f"See whether {where} opens in a browser.")
        case 404 | 410:
            return BadFile(
                f"{host} does not have this{f' in {repo_id}' if repo_id else ''}.",
                "Check the name; it may have been renamed or deleted.",
            )
        case 408 | 425 | 429:
            return Offline(f"{host} asks us to wait: too many requests.", "It goes on by itself in a moment.")
        case _ if status >= 500:
            return Offline(f"{host} has trouble at the moment (status {status}).", "Try again in a few minutes.")
        case _:
            return BadInput(f"{host} does not understand the request (status {status}).", "Check the name.")


def portal_error(host: str) -> BadAnswer:
    """A web page came where a file should be."""
    return BadAnswer(
        f"A web page came instead of the answer of {host}.",
        "The network may want you to log in first: open any page in a browser.",
    )


def transport_error(error: BaseException, site: Site) -> Offline:
    """Why nobody was reached."""
    found = _cause(error)
    match found:
        case ProxyFailed():
            return Offline("The proxy does not answer or refuses us.", "Check the proxy in Settings.")
        case socket.gaierror():
            return Offline(f"{site.host} cannot be found.", "Check that this computer is online.")
        case ssl.SSLCertVerificationError(verify_code=code) if code in (_NOT_YET_VALID, _EXPIRED):
            return Offline(
                f"The certificate of {site.host} is not valid today.", "Check the date and the time of this computer."
            )
        case ssl.SSLCertVerificationError():
            return Offline(
                f"Somebody else answers in the name of {site.host}: its certificate is not trusted.",
                "A login page of the network or a virus scanner may be in between; nothing was sent.",
            )
        case ssl.SSLError():
            return Offline(f"No secure connection to {site.host}.", "Check the network, or a proxy in between.")
        case TimeoutError():
            return Offline(f"{site.host} does not answer.", "Check that this computer is online.")
        case ConnectionRefusedError():
            return Offline(f"{site.host} refuses the connection.", "It may be down: try again in a few minutes.")
        case http.client.HTTPException() if not isinstance(found, http.client.IncompleteRead | ConnectionError):
            return BadAnswer(f"{site.host} does not answer as a Hub does.", "Check the network, or a proxy in between.")
        case ConnectionError() | http.client.IncompleteRead():
            return Offline(f"The connection to {site.host} broke off.", "Check the network.")
        case _:
            return Offline(f"{site.host} cannot be reached.", "Check that this computer is online.")


def _cause(error: BaseException) -> BaseException:
    """The first error of the chain that says something: the library wraps the system's."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ProxyFailed | socket.gaierror | ssl.SSLError | TimeoutError | ConnectionError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return error
