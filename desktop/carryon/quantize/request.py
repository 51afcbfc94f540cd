"""What shall be made of a GGUF file, and what came of it: values, and their JSON for the process that does it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from carryon.quantize.kinds import quant_of, storage_of


class Override(NamedTuple):
    """A tensor's type by its name: the expression must fit the whole name; its end “.weight” may be left out."""

    pattern: str  # r"blk\.\d+\.ffn_down"
    storage: str  # "Q6_K"

    @property
    def anchored(self) -> str:
        """For the engine, which searches it anywhere in a name: “output” would be “attn_output” too."""
        return rf"^(?:{self.pattern})(?:\.weight)?$"


class Fallback(NamedTuple):
    """A tensor whose rows do not fit the blocks of the type that it should get."""

    tensor: str
    wanted: str
    got: str


@dataclass(frozen=True)
class Wish:
    """What decides the size of a file."""

    quant: str  # one of kinds.OFFERED
    imatrix: Path | None = None
    awaits_imatrix: bool = False  # one will be made: sizes are those with it, but for a few hundred bytes of its name
    output_type: str = ""  # '': as the recipe says
    embedding_type: str = ""
    overrides: tuple[Override, ...] = ()  # the first that fits decides
    is_pure: bool = False  # all in one type, without the recipe
    facts: tuple[tuple[str, str], ...] = ()  # further keys and texts for the file's header

    @property
    def has_imatrix(self) -> bool:
        return self.imatrix is not None or self.awaits_imatrix


@dataclass(frozen=True)
class QuantizeRequest:
    """A file to be made. The fields that Wish has too mean the same."""

    source: Path  # of a model in several files, any of them
    target: Path
    quant: str
    imatrix: Path | None = None
    output_type: str = ""
    embedding_type: str = ""
    overrides: tuple[Override, ...] = ()
    n_threads: int = 0  # 0: all that the machine has
    requantizes: bool = False  # the person knows that the source has lost precision already
    is_pure: bool = False
    facts: tuple[tuple[str, str], ...] = ()

    @property
    def wish(self) -> Wish:
        return Wish(
            self.quant, self.imatrix, output_type=self.output_type, embedding_type=self.embedding_type,
            overrides=self.overrides, is_pure=self.is_pure, facts=self.facts,
        )  # fmt: skip


@dataclass(frozen=True)
class ImatrixRequest:
    """An importance matrix to be made: the model reads a text, and what its matrices are multiplied with is noted."""

    model: Path
    text: Path
    target: Path
    n_chunks: int | None = None  # of the text, from its start; None: all of it
    n_ctx: int = 512  # tokens in a chunk
    n_threads: int = 0
    n_gpu_layers: int = 0  # negative: all


@dataclass(frozen=True)
class ImatrixMade:
    """A finished importance matrix."""

    path: Path
    n_chunks: int
    n_tokens: int
    perplexity: float  # over the second half of each chunk, as llama-perplexity counts it
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class QuantSize:
    """What a file will be, to the byte."""

    quant: str
    size_bytes: int  # of the whole file
    bits_per_weight: float
    fallbacks: tuple[Fallback, ...] = ()
    needs_imatrix: bool = False
    requantizes: bool = False  # tensors that are quantized already would be quantized again


@dataclass(frozen=True)
class Quantized:
    """A finished file."""

    path: Path
    quant: str
    size_bytes: int
    bits_per_weight: float
    n_tensors: int
    fallbacks: tuple[Fallback, ...] = ()
    notices: tuple[str, ...] = ()


def wish_json(wish: Wish) -> dict[str, Any]:
    """For the process that works."""
    return {
        "quant": wish.quant,
        "imatrix": str(wish.imatrix) if wish.imatrix else None,
        "awaits_imatrix": wish.awaits_imatrix,
        "output_type": wish.output_type,
        "embedding_type": wish.embedding_type,
        "overrides": [list(one) for one in wish.overrides],
        "is_pure": wish.is_pure,
        "facts": [list(one) for one in wish.facts],
    }


def wish_of(content: Mapping[str, Any]) -> Wish:
    """The other way round. Raises BadInput for names that nobody knows."""
    imatrix = content["imatrix"]
    return Wish(
        quant_of(content["quant"]), Path(imatrix) if imatrix else None, bool(content["awaits_imatrix"]),
        _storage(content["output_type"]), _storage(content["embedding_type"]),
        tuple(Override(pattern, storage_of(storage)) for pattern, storage in content["overrides"]),
        bool(content["is_pure"]), tuple((key, text) for key, text in content["facts"]),
    )  # fmt: skip


def imatrix_json(request: ImatrixRequest, part: Path) -> dict[str, Any]:
    """For the process that works; it writes into `part`."""
    return {
        "model": str(request.model.absolute()),
        "text": str(request.text.absolute()),
        "part": str(part.absolute()),
        "n_chunks": request.n_chunks,
        "n_ctx": request.n_ctx,
        "n_threads": request.n_threads,
        "n_gpu_layers": request.n_gpu_layers,
    }


def size_json(size: QuantSize) -> dict[str, Any]:
    """For the pipe, and for programs that read what the commands print."""
    return {
        "quant": size.quant,
        "size_bytes": size.size_bytes,
        "bits_per_weight": size.bits_per_weight,
        "fallbacks": [one._asdict() for one in size.fallbacks],
        "needs_imatrix": size.needs_imatrix,
        "requantizes": size.requantizes,
    }


def size_of(content: Mapping[str, Any]) -> QuantSize:
    """The other way round."""
    return QuantSize(
        content["quant"], content["size_bytes"], content["bits_per_weight"],
        tuple(Fallback(**one) for one in content["fallbacks"]), content["needs_imatrix"], content["requantizes"],
    )  # fmt: skip


def _storage(name: str) -> str:
    return storage_of(name) if name else ""
