"""The recipes of llama-quantize as tables: which storage type each kind of tensor gets in a Q4_K_M file and its like.

Read in src/llama-quant.cpp of llama.cpp 0c1e57098: `llama_tensor_get_type_impl`, `llama_ftype_get_default_type`,
`tensor_type_fallback`. A rule that says nothing (None) leaves the base type of the file.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from carryon.gguf.quants import GGML_TYPES_BY_NAME


@dataclass(frozen=True)
class Traits:
    """What the recipes want to know about a whole model."""

    architecture: str
    heads_per_kv_head: int  # of the first layer; 0 where it keeps no cache
    n_experts: int
    is_70b: bool
    with_imatrix: bool


@dataclass(frozen=True)
class Place:
    """Where a tensor stands among those of its role: the `index`-th of `count`."""

    index: int
    count: int

    @property
    def has_more_bits(self) -> bool:
        """The first and the last eighth and every third one between (llama.cpp: use_more_bits)."""
        eighth = self.count // 8
        return self.index < eighth or self.index >= 7 * self.count // 8 or (self.index - eighth) % 3 == 2

    @property
    def is_middle(self) -> bool:
        return self.count // 8 <= self.index < 7 * self.count // 8

    def is_in_first(self, share: int) -> bool:
        return self.index < self.count // share


Rule = Callable[[Traits, Place], str | None]


def _base(traits: Traits, place: Place) -> str | None:
    return None


def _always(name: str) -> Rule:
    return lambda traits, place: name


def _more(name: str) -> Rule:
    return lambda traits, place: name if place.has_more_bits else None


def _first(share: int, name: str, then: str | None = None) -> Rule:
    """The first eighth (share 8), or sixteenth, of the layers."""
    return lambda traits, place: name if place.is_in_first(share) else then


def _first_few(few: int, name: str, then: str | None = None) -> Rule:
    return lambda traits, place: name if place.index < few else then


def _shared(name: str, otherwise: str | None = None) -> Rule:
    """Where four heads or more read the same values, these are few, and worth more bits."""
    return lambda traits, place: name if traits.heads_per_kv_head >= 4 else otherwise


def _shared_or_experts(name: str, otherwise: str) -> Rule:
    return lambda traits, place: name if traits.heads_per_kv_head >= 4 or traits.n_experts >= 4 else otherwise


def _with_imatrix(rule: Rule) -> Rule:
    return lambda traits, place: rule(traits, place) if traits.with_imatrix else None


def _without_imatrix(rule: Rule) -> Rule:
    return lambda traits, place: None if traits.with_imatrix else rule(traits, place)


def _either(first: Rule, second: Rule) -> Rule:
    return lambda traits, place: first(traits, place) or second(traits, place)


@dataclass(frozen=True)
class Recipe:
    """The types of one kind of file."""

    file_type: int  # enum llama_ftype
    base: str
    output: str = "Q6_K"  # and the token embedding of a tied model
    embedding: str | None = None
    value: Rule = _base
    key: str | None = None
    query: str | None = None
    attention_output: str | None = None
    down: Rule = _base
    middle: str | None = None  # gate and up of the layers between the first and the last eighth
    is_lowest: bool = False  # below three bits: llama.cpp has rules of their own for these
    experts: str | None = None  # tensors of three dimensions


def _iq2_or_less(file_type: int, base: str, spare: str, attention_output: str | None) -> Recipe:
    """The files below three bits: `spare` is for what they dare not press further."""
    value, down = _shared_or_experts("Q4_K", spare), _first(8, spare)
    return Recipe(file_type, base, "Q5_K", spare, value, None, None, attention_output, down, is_lowest=True)


_WIDER_DOWN = _without_imatrix(_first(8, "Q5_K"))
_RECIPES = {
    "F32": Recipe(0, "F32"),
    "F16": Recipe(1, "F16"),
    "BF16": Recipe(32, "BF16"),
    "Q8_0": Recipe(7, "Q8_0", "Q8_0"),
    "Q6_K": Recipe(18, "Q6_K"),
    "Q5_K_M": Recipe(17, "Q5_K", value=_more("Q6_K"), down=_more("Q6_K")),
    "Q5_K_S": Recipe(16, "Q5_K"),
    "Q5_1": Recipe(9, "Q5_1"),
    "Q5_0": Recipe(8, "Q5_0", down=_with_imatrix(_first(8, "Q5_1"))),
    "Q4_K_M": Recipe(15, "Q4_K", value=_more("Q6_K"), down=_more("Q6_K")),
    "Q4_K_S": Recipe(14, "Q4_K", value=_first_few(4, "Q5_K"), down=_first(8, "Q5_K")),
    "IQ4_NL": Recipe(25, "IQ4_NL", value=_shared("Q5_K"), down=_WIDER_DOWN),
    "IQ4_XS": Recipe(30, "IQ4_XS", value=_shared("Q5_K"), down=_WIDER_DOWN),
    "MXFP4_MOE": Recipe(38, "MXFP4", "Q8_0", experts="MXFP4"),
    "Q4_1": Recipe(3, "Q4_1"),
    "Q4_0": Recipe(2, "Q4_0", down=_with_imatrix(_first(8, "Q4_1"))),
    "Q3_K_L": Recipe(13, "Q3_K", value=_always("Q5_K"), attention_output="Q5_K", down=_always("Q5_K")),
    "Q3_K_M": Recipe(
        12, "Q3_K", value=_first_few(2, "Q5_K", "Q4_K"), attention_output="Q4_K", down=_first(16, "Q5_K", "Q4_K")
    ),
    "IQ3_M": Recipe(27, "IQ3_S", value=_always("Q4_K"), attention_output="Q4_K", down=_first(8, "Q4_K")),
    "IQ3_S": Recipe(26, "IQ3_S", value=_shared("Q4_K")),
    "IQ3_XS": Recipe(22, "IQ3_S", value=_shared("Q4_K"), key="IQ3_XXS", query="IQ3_XXS", middle="IQ3_XXS"),
    "IQ3_XXS": Recipe(
        23, "IQ3_XXS", "Q5_K", "IQ3_S",
        value=_either(_shared("Q4_K"), _without_imatrix(_always("IQ3_S"))),
        key="IQ2_S", query="IQ2_S", attention_output="IQ3_S",
        down=_without_imatrix(_first(8, "Q4_K", "Q3_K")),
    ),
    "Q3_K_S": Recipe(11, "Q3_K"),
    "IQ2_M": _iq2_or_less(29, "IQ2_S", "IQ3_S", "IQ3_S"),
    "Q2_K": Recipe(10, "Q2_K", value=_shared("Q4_K", "Q3_K"), attention_output="Q3_K", down=_always("Q3_K")),
    "Q2_K_S": Recipe(21, "Q2_K", value=_shared("Q4_K"), down=_first(8, "Q4_K")),
    "IQ2_S": _iq2_or_less(28, "IQ2_XS", "IQ3_S", "IQ3_S"),
    "IQ2_XS": _iq2_or_less(20, "IQ2_XS", "Q2_K", None),
    "IQ2_XXS": _iq2_or_less(19, "IQ2_XXS", "Q2_K", None),
    "Q2_0": Recipe(41, "Q2_0", embedding="Q4_K"),
    "Q1_0": Recipe(40, "Q1_0"),
    "TQ2_0": Recipe(37, "TQ2_0", embedding="Q4_K"),
    "TQ1_0": Recipe(36, "TQ1_0", embedding="Q4_K"),
    "IQ1_M": _iq2_or_less(31, "IQ1_M", "Q2_K", "IQ2_XXS"),
    "IQ1_S": _iq2_or_less(24, "IQ1_S", "Q2_K", "IQ2_XXS"),
}  # fmt: skip

# Falcon's feed-forward down bears more, its attention output less; only the changed cells are here.
_FALCON_DOWN: dict[str, Rule] = {
    "Q3_K_L": _always("Q4_K"),
    "Q3_K_M": _either(_first(16, "Q5_K"), _more("Q4_K")),
    "Q4_K_M": _either(_first(16, "Q6_K"), _either(_more("Q5_K"), _always("Q4_K"))),
    "Q4_K_S": _base,
}
_FALCON_ATTENTION_OUTPUT = {"Q3_K_L": "Q4_K"}
# With eight experts (Mixtral) attention is a small part of the whole: these files give its output five bits.
_EIGHT_EXPERTS_OUTPUT = frozenset((
    "Q2_K", "IQ3_XS", "IQ3_XXS", "Q3_K_S", "Q3_K_M", "IQ4_NL", "Q4_K_S", "Q4_K_M", "IQ3_S", "IQ3_M", "IQ4_XS",
))  # fmt: skip
# What a block of 256 numbers becomes where rows are not a multiple of that; what does not fit 32 either becomes F16.
_FALLBACKS = {
    "IQ1_S": "IQ4_NL", "IQ1_M": "IQ4_NL", "IQ2_XXS": "IQ4_NL", "IQ2_XS": "IQ4_NL", "IQ2_S": "IQ4_NL",
    "IQ3_XXS": "IQ4_NL", "IQ3_S": "IQ4_NL", "IQ4_XS": "IQ4_NL", "Q2_K": "Q4_0", "Q3_K": "Q4_0", "TQ1_0": "Q4_0",
    "TQ2_0": "Q4_0", "Q2_0": "Q4_0", "Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0",
}  # fmt: skip

FILE_TYPES = {name: recipe.file_type for name, recipe in _RECIPES.items()}


def recipe_of(quant: str, traits: Traits) -> Recipe:
    """The recipe of one file type for one model: the general one, with the cells that its kind changes."""
    recipe = _RECIPES[quant]
    if traits.architecture == "falcon":
        recipe = _for_falcon(quant, recipe)
    if traits.is_70b and not recipe.is_lowest:
        recipe = replace(recipe, value=_with_five_bits(recipe))
    if traits.n_experts == 8:
        recipe = _for_eight_experts(quant, recipe, traits)
    return recipe


def fitting(name: str, columns: int) -> str:
    """The type itself, or the one that llama-quantize takes where rows of so many numbers do not fill its blocks."""
    if columns % GGML_TYPES_BY_NAME[name].block_elements == 0:
        return name
    fallback = _FALLBACKS.get(name, name)
    return fallback if columns % GGML_TYPES_BY_NAME[fallback].block_elements == 0 else "F16"


def _for_falcon(quant: str, recipe: Recipe) -> Recipe:
    return replace(
        recipe,
        output="Q8_0",
        attention_output=recipe.attention_output if recipe.is_lowest else _FALCON_ATTENTION_OUTPUT.get(quant),
        down=_FALCON_DOWN.get(quant, recipe.down),
    )


def _with_five_bits(recipe: Recipe) -> Rule:
    """In a 70B model eight heads share each value head: three or four bits become five for nearly nothing."""
    value, base = recipe.value, recipe.base

    def bumped(traits: Traits, place: Place) -> str | None:
        name = value(traits, place)
        return "Q5_K" if (name or base) in ("Q3_K", "Q4_K") else name

    return bumped


def _for_eight_experts(quant: str, recipe: Recipe, traits: Traits) -> Recipe:
    if recipe.is_lowest:
        return replace(recipe, key="Q4_K", attention_output="Q5_K")
    changed = replace(recipe, value=_always("Q8_0"), key="Q8_0")
    if quant == "IQ3_M":
        changed = replace(changed, down=_either(recipe.down, _more("Q4_K")))
    if traits.architecture == "falcon":
        return changed
    return replace(changed, attention_output="Q5_K" if quant in _EIGHT_EXPERTS_OUTPUT else None)
