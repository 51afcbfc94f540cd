"""The words of the Network group of the settings. No Qt."""

from pathlib import Path

from carryon.app.token_keeping import TokenPlace

TITLE = "Network"
OFFLINE = "&Offline"
OFFLINE_NOTE = "No request leaves this computer: searches say so, and downloads wait. Chatting never needs the network."
MIRROR, PROXY, LIMIT, AT_ONCE, CONNECTIONS, TOKEN = (
    "&Mirror", "Pro&xy", "Speed &limit", "Downloads at on&ce", "Co&nnections each", "Access to&ken",
)  # fmt: skip
MIRROR_EMPTY = "https://huggingface.co"
PROXY_EMPTY = "Like the system"
TRUSTS_MIRROR = "The mirror may see m&y token"
TRUST_NOTE = "A mirror is somebody else’s server. Without this it never sees the token."
NO_LIMIT = "None"
LIMIT_UNITS = (("MB/s", 1_000_000), ("kB/s", 1_000))
LIMIT_UNIT = "Unit of the speed limit"
LIMIT_NOTE = "The limit is for all downloads together. A change of the connections counts for the next file."
TOKEN_EMPTY = "hf_…"
TOKEN_WHY = "Only models that are private or behind conditions need one. Make a token that may read at huggingface.co/settings/tokens."  # noqa: E501
SAVE, CHECK, FORGET = "Save", "Check", "Forget"
LOOKING, CHECKING, FORGOTTEN = "Looking for a token …", "Asking the Hub …", "The token is forgotten."


def asked_words(host: str, *, is_offline: bool) -> str:
    """Which host is asked."""
    return f"Asked would be: {host}" if is_offline else f"Asked now: {host}"


def place_words(place: TokenPlace) -> str:
    """Where the token is that is sent."""
    match place:
        case TokenPlace.KEYRING:
            return "A token is kept in the keyring of this system."
        case TokenPlace.FILE:
            return "A token is kept in a file that only your account can read."
        case TokenPlace.ENVIRONMENT:
            return "The token of the environment variable HF_TOKEN is used. A token that you save here comes before it."
        case TokenPlace.NOWHERE:
            return "There is no token."


def next_place_words(place: TokenPlace, file: Path) -> str:
    """Where a token would be kept: said before it is."""
    if place is TokenPlace.KEYRING:
        return "It will be kept in the keyring of this system."
    return f"This system offers no keyring, so it will be kept in {file}, which only your account can read."


def saved_words(place: TokenPlace) -> str:
    """After it was kept."""
    return "Saved. " + place_words(place)


def known_words(name: str) -> str:
    """After the Hub said whose it is."""
    return f"The Hub knows this token: it is “{name}”’s."
