"""How a model shall be loaded: as it was the last time, as the plan says, or safely while nothing is known."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from carryon.app.models import ModelFacts, ModelFile
from carryon.base.settings import RecentModel
from carryon.engine.protocol import KvType, LoadRequest

if TYPE_CHECKING:
    from carryon.fit.plan import Fit, Site, Wishes


@dataclass(frozen=True)
class LoadWish:
    """How a model shall be loaded, as LoadRequest has it. n_gpu_layers counts the output layer: 0 is CPU only."""

    file: ModelFile
    n_ctx: int
    n_gpu_layers: int
    n_cpu_experts: int = 0
    gpus: tuple[str, ...] = ()
    split: tuple[float, ...] = ()
    n_ubatch: int = LoadRequest.n_ubatch
    kv_type: KvType = KvType.F16
    use_mmap: bool = True
    is_automatic: bool = False  # the plan chose layers and experts, not the person
    is_kept: bool = True  # remembered for this model once it answers
    fit: "Fit | None" = field(default=None, compare=False)  # what was predicted, for the comparison after the load
    site: "Site | None" = field(default=None, compare=False)  # where it was predicted for


def default_context(n_ctx_train: int) -> int:
    """8k tokens where the model was trained for as many: enough to work with, small enough to fit nearly anywhere."""
    return min(n_ctx_train, 8192) if n_ctx_train else 4096


def safe_wish(model: ModelFacts, recent: RecentModel | None) -> LoadWish:
    """Before anything is known of the machine: as it was loaded the last time, else on the processor."""
    if recent is None:
        return LoadWish(model.file, default_context(model.n_ctx_train), 0, is_automatic=True)
    return LoadWish(
        model.file,
        recent.n_ctx,
        min(recent.n_gpu_layers, model.n_gpu_layers_max),
        n_cpu_experts=min(recent.n_cpu_experts, model.n_layers),
        n_ubatch=recent.n_ubatch,
        kv_type=kv_type_of(recent),
        use_mmap=recent.use_mmap,
        is_automatic=recent.is_automatic,
    )


def planned_wish(
    file: ModelFile, fit: "Fit", site: "Site | None" = None, *, is_automatic: bool, is_kept: bool = True
) -> LoadWish:
    """Exactly what a fit stands for; with the site, what happens is compared with it and learnt from."""
    placed = fit.placement
    return LoadWish(
        file, placed.n_ctx, placed.n_gpu_layers, placed.n_cpu_experts, placed.gpus, placed.split, placed.n_ubatch,
        placed.kv_type, placed.use_mmap, is_automatic, is_kept, fit, site,
    )  # fmt: skip


def request_of(wish: LoadWish) -> LoadRequest:
    """What the engine is asked for; threads, ports and the like are the caller's."""
    return LoadRequest(
        model_path=str(wish.file.path),
        n_ctx=wish.n_ctx,
        n_gpu_layers=wish.n_gpu_layers,
        n_cpu_experts=wish.n_cpu_experts,
        gpus=wish.gpus,
        split=wish.split,
        n_ubatch=wish.n_ubatch,
        kv_type=wish.kv_type,
        use_mmap=wish.use_mmap,
        model_name=wish.file.name,
    )


def recent_of(wish: LoadWish) -> RecentModel:
    """What is remembered of a load."""
    return RecentModel(
        wish.file.reference, wish.n_ctx, wish.n_gpu_layers, wish.n_cpu_experts, wish.kv_type.value, wish.n_ubatch,
        wish.use_mmap, wish.is_automatic,
    )  # fmt: skip


def wishes_of(recent: RecentModel | None) -> "Wishes":
    """What a plan is asked for: a remembered context and KV type stay, layers stay where a person set them."""
    from carryon.fit.plan import Wishes  # after the first frame, like everything of the fit

    if recent is None:
        return Wishes()
    wishes = Wishes(n_ctx=recent.n_ctx, kv_type=kv_type_of(recent), use_mmap=recent.use_mmap)
    if recent.is_automatic:
        return wishes
    return replace(
        wishes, n_gpu_layers=recent.n_gpu_layers, n_cpu_experts=recent.n_cpu_experts, n_ubatch=recent.n_ubatch
    )


def wishes_again(wish: LoadWish) -> "Wishes":
    """What a plan is asked for, to begin with the choices of this wish."""
    return wishes_of(recent_of(wish))


def kv_type_of(recent: RecentModel) -> KvType:
    """The remembered type; f16 where the settings name one that this version does not know."""
    return next((one for one in KvType if one.value == recent.kv_type), KvType.F16)
