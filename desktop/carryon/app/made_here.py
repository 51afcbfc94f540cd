"""What a file of the library tells of its making, and what was measured of it: read when somebody looks at it."""

from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from carryon.app.evaluations import Evaluations
from carryon.base.errors import AppError
from carryon.fit.quality import Quality
from carryon.gguf.cursor import shown
from carryon.gguf.header import Header, read_header

# as convert/run.py and convert/provenance.py write them
_CONVERTER = "carryon.converter"
_REPOSITORY, _REVISION = "general.source.huggingface.repository", "general.source.huggingface.revision"
# as llama-quantize and quantize/provenance.py write them
_IMATRIX_FILE, _IMATRIX_TEXT = "quantize.imatrix.file", "quantize.imatrix.dataset"
_LONGEST = 160


@dataclass(frozen=True)
class Making:
    """How a file was made, as it says itself; '' for what it does not say. Anybody may have written it."""

    repo_id: str = ""  # the repository that it was converted from
    revision: str = ""
    converter: str = ""  # '0.4.0', of Carryon
    quantizer: str = ""  # 'Carryon 0.4.0 (llama.cpp …)'
    quantized_from: str = ""  # 'SmolLM2-BF16.gguf'
    quantized_from_type: str = ""  # 'BF16'
    recipe: str = ""  # 'output=Q8_0', where it is not the usual one
    imatrix_name: str = ""
    imatrix_text: str = ""  # the file or data set that the importance matrix was made from
    imatrix_text_sha256: str = ""


NOTHING_TOLD = Making()


@dataclass(frozen=True)
class Story:
    """All that was looked up of one file."""

    making: Making = NOTHING_TOLD
    quality: Quality | None = None  # as it was measured, against the file that it was made from


def making_of(header: Header) -> Making:
    """What a header says of the making of its file."""
    from carryon.quantize import provenance as quantized  # with numpy, which nothing else here needs
    from carryon.quantize.imatrix_file import TEXT_SUM

    def told(key: str) -> str:
        value = header.fields.get(key, "")
        return shown(value, _LONGEST) if isinstance(value, str) else ""

    return Making(
        told(_REPOSITORY), told(_REVISION), told(_CONVERTER), told(quantized.QUANTIZER), told(quantized.SOURCE),
        told(quantized.SOURCE_TYPE), told(quantized.RECIPE), told(_IMATRIX_FILE), told(_IMATRIX_TEXT),
        told(TEXT_SUM),
    )  # fmt: skip


def telling(path: Path, evaluations: Evaluations) -> Generator[None, None, Story]:
    """Work that looks up a file's story; what cannot be read tells nothing, for the page says why elsewhere."""
    yield None
    making = NOTHING_TOLD
    with suppress(AppError):
        making = making_of(read_header(path))
    yield None
    return Story(making, evaluations.measured_quality(path))
