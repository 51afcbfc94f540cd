"""Whether an importance matrix and a model belong together: by names and by sizes, which is all that files tell."""

from collections.abc import Mapping
from dataclasses import dataclass

from carryon.base.errors import BadInput
from carryon.gguf.cursor import quoted
from carryon.quantize.imatrix_file import Importance

_OF_LAYERS = "blk."
_ANOTHER = "Choose the importance matrix of this very model, or make one: carryon imatrix."


@dataclass(frozen=True)
class Matrix:
    """A matrix of the model, and what becomes of it."""

    name: str
    shape: tuple[int, ...]
    becomes_quantized: bool
    needs_importance: bool

    @property
    def n_values(self) -> int:
        """A value for each column of each expert (llama.cpp: ne[0] * ne[2])."""
        return self.shape[0] * (self.shape[2] if len(self.shape) > 2 else 1)


def check_match(importance: Importance, every: Mapping[str, Matrix], called: str) -> str:
    """Nothing to say is ''; else a sentence about what the importance matrix lacks. `every`: the matrices of the model.

    Raises BadInput where it is another model's, or lacks what the type cannot do without.
    """
    _refuse_foreign(importance, every, called)
    layers = [one for one in every.values() if one.becomes_quantized and one.name.startswith(_OF_LAYERS)]
    missing = [one for one in layers if one.name not in importance.entries]
    required = [one for one in missing if one.needs_importance]
    if required:
        raise BadInput(
            f"The importance matrix {called} says nothing about {_names(required)}, and this type cannot do without.",
            _ANOTHER,
        )
    if 2 * len(missing) > len(layers):
        raise BadInput(
            f"The importance matrix {called} covers only {len(layers) - len(missing)} of {len(layers)} matrices.",
            _ANOTHER,
        )
    return f"The importance matrix says nothing about {_names(missing)}." if missing else ""


def _refuse_foreign(importance: Importance, every: Mapping[str, Matrix], called: str) -> None:
    for name, entry in importance.entries.items():
        matrix = every.get(name)
        if matrix is None and name.startswith(_OF_LAYERS):
            raise BadInput(
                f"The importance matrix {called} is another model's: it knows {quoted(name)}, and this one has none.",
                _ANOTHER,
            )
        if matrix is not None and entry.sums.size != matrix.n_values:
            raise BadInput(
                f"The importance matrix {called} is another model's: it has {entry.sums.size:,} values for"
                f" {quoted(name)}, where this one has {matrix.n_values:,}.",
                _ANOTHER,
            )


def _names(matrices: list[Matrix]) -> str:
    first = quoted(matrices[0].name)
    return first if len(matrices) == 1 else f"{len(matrices)} matrices, such as {first}"
