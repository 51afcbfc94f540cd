"""Which models can be named here: the guide, what lies in Carryon's folder or in other programs', any GGUF file."""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from carryon.app.model_trash import TRASH
from carryon.base.errors import BadFile, BadInput
from carryon.base.files import disk_errors
from carryon.base.paths import Home
from carryon.gguf.header import Header, read_header
from carryon.hub.library.entry import Entry
from carryon.hub.names import is_reference

GUIDE = "guide"
_GUIDE_FILE = "guide/guide-Q8_0.gguf"


@dataclass(frozen=True)
class ModelFile:
    """A GGUF file and what a person calls it; `reference` is what settings remember: 'guide' or the path."""

    path: Path
    name: str
    reference: str

    @property
    def is_guide(self) -> bool:
        return self.reference == GUIDE


@dataclass(frozen=True)
class ModelFacts:
    """What the load dialog needs to know before loading."""

    file: ModelFile
    architecture: str
    n_layers: int
    n_ctx_train: int
    size_bytes: int

    @property
    def n_gpu_layers_max(self) -> int:
        """The output layer counts as one more."""
        return self.n_layers + 1


def guide() -> ModelFile:
    """The model that comes with Carryon."""
    return ModelFile(Path(str(resources.files("carryon.resources").joinpath(_GUIDE_FILE))), "Carryon guide", GUIDE)


def library(home: Home) -> tuple[ModelFile, ...]:
    """The GGUF files in the models folder, by name; later parts of split models are left out."""
    files = sorted(home.models.rglob("*.gguf")) if home.models.is_dir() else []
    listed = (path for path in files if _is_first_part(path) and TRASH not in path.parts)
    return tuple(ModelFile(path, path.stem, str(path)) for path in listed)


def every(home: Home) -> tuple[ModelFile, ...]:
    """All that can be loaded here: Carryon's own models by name, then those that other programs keep."""
    from carryon.app.library import scanned
    from carryon.hub.library.words import where_text

    own = library(home)
    known = {one.path for one in own}
    others = [one for one in scanned(home, is_brief=True).listed if one.is_usable and one.path not in known]
    return (*own, *(ModelFile(one.path, f"{one.name} ({where_text(one)})", str(one.path)) for one in others))


def find(named: str, home: Home) -> ModelFile:
    """The model a person names: 'guide', a file, a name in the library, or what is here of a repository on the Hub.

    Raises BadInput when there is none, or more than one, BadFile when it may not be looked at.
    """
    if named == GUIDE:
        return guide()
    path = _expanded(named)
    with disk_errors(path):
        if path.is_file():
            return ModelFile(path.absolute(), path.stem, str(path.absolute()))
        if path.exists() and not path.is_dir():
            raise BadInput(f"“{named}” is no ordinary file.", "Name a GGUF file on a disk.")
    wanted = named.lower().removesuffix(".gguf")
    found = [one for one in library(home) if wanted in _names(one, home)]
    if len(found) == 1:
        return found[0]
    if found:
        paths = ", ".join(str(one.path.relative_to(home.models)) for one in found)
        raise BadInput(f"“{named}” names several models: {paths}.", "Name one of them with its folder.")
    return _among_all(named, wanted, home)


def facts(file: ModelFile) -> ModelFacts:
    """Reads the header. Raises BadFile when the file is not a whole GGUF model."""
    header: Header = read_header(file.path)
    if not header.architecture or not header.n_layers:
        raise BadFile(
            f"{file.path.name} holds no model that can chat.",
            "Choose a model file; adapters and projectors are loaded with one.",
        )
    return ModelFacts(file, header.architecture, header.n_layers, header.n_ctx_train, header.size_bytes)


def _expanded(named: str) -> Path:
    """With the person's folder for “~”; of somebody who does not exist it stays as it is."""
    try:
        return Path(named).expanduser()
    except RuntimeError:
        return Path(named)


def _among_all(named: str, wanted: str, home: Home) -> ModelFile:
    """The same in every folder that the library looks into."""
    from carryon.app.library import scanned  # only here, as most names are found without it

    found = [one for one in scanned(home, is_brief=True).listed if wanted in names_of(one)]
    if len(found) == 1:
        return ModelFile(found[0].path, found[0].name, str(found[0].path))
    if found:
        names = ", ".join(sorted(_told_apart(one) for one in found))
        raise BadInput(f"“{named}” names several models: {names}.", "Name one of them, or its file.")
    raise BadInput(f"There is no model “{named}”.", _how(named))


def _how(named: str) -> str:
    """What to do where a name means nothing here."""
    if is_reference(named):
        return f"“carryon get {named}” downloads it from the Hub."
    return f"Name a GGUF file, “{GUIDE}”, or a model that “carryon list” shows."


def names_of(entry: Entry) -> frozenset[str]:
    """All that an entry of the library answers to, in small letters."""
    names = {entry.name, *entry.other_names, entry.path.stem}
    if entry.repo_id:
        names |= {entry.repo_id, f"{entry.repo_id}:{entry.known.quant}", f"{entry.repo_id}:{entry.path.stem}"}
    return frozenset(name.lower() for name in names)


def _told_apart(entry: Entry) -> str:
    return f"{entry.repo_id}:{entry.known.quant}" if entry.repo_id and entry.known.quant else str(entry.path)


def _names(file: ModelFile, home: Home) -> tuple[str, ...]:
    relative = file.path.relative_to(home.models).with_suffix("").as_posix().lower()
    return relative, file.path.stem.lower()


def _is_first_part(path: Path) -> bool:
    """'x-00002-of-00003.gguf' is reached through 'x-00001-of-00003.gguf'."""
    words = path.stem.rsplit("-", 3)
    return not (
        len(words) == 4 and words[2] == "of" and words[1].isdigit() and words[3].isdigit() and int(words[1]) != 1
    )
