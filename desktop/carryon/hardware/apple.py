"""Macs with Apple silicon: one memory for processor and GPU, told by sysctl."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from carryon.hardware.kernelfiles import number_of
from carryon.hardware.machine import Gpu, Vendor

_SILICON = "hw.optional.arm64"           # 1 on Apple silicon, also for a program that runs translated
_TRANSLATED = "sysctl.proc_translated"   # 1 when this very program is an Intel one under Rosetta
_NAME, _RAM = "machdep.cpu.brand_string", "hw.memsize"
_WIRED_LIMIT_MB = "iogpu.wired_limit_mb"  # 0 = macOS decides (about 65-75 % of the RAM): only Metal can say how much
_MIB = 1 << 20

RunSysctl = Callable[[Sequence[str]], str]


@dataclass(frozen=True)
class SysctlFacts:
    """What sysctl answered, by name; a name it does not know is missing."""

    values: Mapping[str, str]

    def text(self, name: str) -> str | None:
        return self.values.get(name) or None

    def number(self, name: str) -> int | None:
        return number_of(self.values.get(name))


@dataclass(frozen=True)
class AppleFacts:
    """What makes a Mac with Apple silicon different from other machines."""

    is_unified_memory: bool = False
    gpus: tuple[Gpu, ...] = ()
    problems: tuple[str, ...] = ()


def sysctl_facts(run: RunSysctl, names: Sequence[str]) -> SysctlFacts:
    """Asks for all `names` in one go."""
    pairs = (line.partition(":") for line in run(names).splitlines())
    return SysctlFacts({name.strip(): value.strip() for name, _, value in pairs})


def read_apple(run: RunSysctl) -> AppleFacts:
    """The GPU of a Mac with Apple silicon; nothing on an Intel Mac, whose GPUs the engine does not use well."""
    facts = sysctl_facts(run, (_SILICON, _TRANSLATED, _NAME, _RAM, _WIRED_LIMIT_MB))
    if facts.number(_SILICON) != 1:
        return AppleFacts()
    return AppleFacts(True, (_gpu(facts),), _translation_problem(facts))


def _gpu(facts: SysctlFacts) -> Gpu:
    limit_mb = facts.number(_WIRED_LIMIT_MB)
    return Gpu(
        vendor=Vendor.APPLE,
        name=facts.text(_NAME) or "Apple GPU",
        total_bytes=limit_mb * _MIB if limit_mb else None,
        shared_bytes=facts.number(_RAM),
        is_integrated=True,
    )


def _translation_problem(facts: SysctlFacts) -> tuple[str, ...]:
    if facts.number(_TRANSLATED) != 1:
        return ()
    return (
        "Carryon runs as an Intel program on Apple silicon, so the engine is slow and has no GPU. "
        "Install the Apple silicon (arm64) build of Python and set Carryon up again.",
    )
