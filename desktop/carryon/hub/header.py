"""The shape of a model on the Hub by the first bytes of its file: at most three requests and 12 MB, then kept on disk.

Where the list of tensors lies further on, or in more parts than may be asked, the facts at the start give an estimate.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from carryon.base.errors import BadFile, BadInput, Unsupported
from carryon.gguf.header import FIRST_BYTES, Header, MoreNeeded, begun_header, header_of
from carryon.gguf.outline import Known, outlined
from carryon.gguf.shape import ModelShape, shape_of
from carryon.hub.asking import streaming_start
from carryon.hub.header_cache import HeaderCache
from carryon.hub.quants import nearest_type
from carryon.hub.repo import QuantFiles, Repo, RepoFile
from carryon.hub.site import Site

MOST_BYTES = 12_000_000
MOST_REQUESTS = 3
_GROWTH = 1.2  # tried again each time that so many times the bytes are here: at most a fifth too many are fetched


@dataclass(frozen=True)
class RemoteShape:
    """What is known of a model before any of it is here."""

    shape: ModelShape
    quant: str  # of the file that was read
    is_estimate: bool  # by the file's first bytes alone


def cheapest(quants: Sequence[QuantFiles]) -> QuantFiles:
    """The quant whose header costs least: in one file rather than in parts; of those the smallest file."""
    return min(quants, key=lambda one: (len(one.files), not nearest_type(one.quant), one.size_bytes))


def reading_shape(
    site: Site, repo: Repo, quant: QuantFiles, cache: HeaderCache, n_params: int | None = None
) -> Generator[None, None, RemoteShape]:
    """Reads the header of one quant. Raises Offline, NoAccess, BadFile and Unsupported."""
    headers: list[Header] = []
    left_bytes = MOST_BYTES
    for file in quant.files if len(quant.files) <= MOST_REQUESTS else quant.files[:1]:
        found = cache.kept(repo, file)
        if found is None:
            found, n_bytes = yield from _reading_header(site, repo, file, left_bytes)
            left_bytes -= n_bytes
            cache.keep(repo, file, found)
        headers.append(found)
        if _is_begun(found):
            break
    return _shape(quant, headers, n_params)


def _shape(quant: QuantFiles, headers: Sequence[Header], n_params: int | None) -> RemoteShape:
    if len(headers) == len(quant.files) and not any(map(_is_begun, headers)):
        return RemoteShape(shape_of(headers), quant.quant, is_estimate=False)
    known = Known(nearest_type(quant.quant), quant.size_bytes, n_params)
    try:
        return RemoteShape(outlined(headers[0], known), quant.quant, is_estimate=True)
    except BadInput as error:
        raise Unsupported(
            f"{headers[0].file_name} is of a kind whose needs cannot be told from here.",
            "It can be downloaded all the same; then its fit is known.",
        ) from error


def _is_begun(header: Header) -> bool:
    """Whether only its facts are here: no data of a file begins at its first byte."""
    return header.data_start_bytes == 0


def _reading_header(
    site: Site, repo: Repo, file: RepoFile, most_bytes: int
) -> Generator[None, None, tuple[Header, int]]:
    """The whole header, or its beginning where that is longer than may be fetched; and how many bytes came."""
    name, content, wanted = file.path.rsplit("/", 1)[-1], bytearray(), FIRST_BYTES
    stream = streaming_start(site, repo, file, min(most_bytes, file.size_bytes))
    try:
        for piece in stream:
            yield None
            content += piece or b""
            if len(content) < min(wanted, file.size_bytes):
                continue
            found = header_of(bytes(content), file.size_bytes, name)
            if isinstance(found, Header):
                return found, len(content)
            wanted = max(found.at_least_bytes, int(len(content) * _GROWTH))
    finally:
        stream.close()
    return _begun(bytes(content), file, name), len(content)


def _begun(content: bytes, file: RepoFile, name: str) -> Header:
    found = header_of(content, file.size_bytes, name) if content else MoreNeeded(1)
    if isinstance(found, Header):
        return found
    if len(content) < min(FIRST_BYTES, file.size_bytes):
        raise BadFile(f"The start of {name} did not come.", "Try it again.")
    return begun_header(content, file.size_bytes, name)
