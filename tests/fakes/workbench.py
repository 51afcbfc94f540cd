"""A workshop for tests of the window: it is told what it finds and how runs go, and remembers what it was asked for."""

import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

from fakes import fits

from carryon.app.workshop_list import (
    Converter,
    FailedRun,
    Fallback,
    Finding,
    FinishedRun,
    Interrupted,
    Level,
    Preflight,
    Run,
    Source,
    SourceKind,
    Stage,
    StageKind,
    Subject,
    Target,
    Waiting,
    Working,
)
from carryon.base.errors import BadInput
from carryon.evaluate.chart import Point
from carryon.fit.plan import Verdict

MB, GB = 1_000_000, 1_000_000_000
FOLDER = Source(SourceKind.FOLDER, "/models/SmolLM2-1.7B-Instruct")
REPOSITORY = Source(SourceKind.REPOSITORY, "HuggingFaceTB/SmolLM2-1.7B-Instruct")
GGUF_FILE = Source(SourceKind.GGUF, "/models/SmolLM2-1.7B-Instruct-Q8_0.gguf")
GOOD = (
    Finding(Subject.WEIGHTS, Level.GOOD, "Two safetensors files of bfloat16, whole."),
    Finding(Subject.ARCHITECTURE, Level.GOOD, "Llama: Carryon converts it and the engine runs it."),
    Finding(Subject.VOCABULARY, Level.GOOD, "Byte-level BPE of 49,152 tokens; the pre-tokenizer is known."),
    Finding(Subject.TEMPLATE, Level.GOOD, "The model brings its chat format."),
    Finding(Subject.MEMORY, Level.GOOD, "The work needs 0.8 GB of memory, 22 GB are free."),
    Finding(Subject.DISK, Level.GOOD, "There is room for the file between and the result."),
    Finding(Subject.TIME, Level.GOOD, "About 3 minutes on this machine."),
)
NOTE = Finding(
    Subject.VOCABULARY, Level.NOTE, "Three added tokens have no name in the engine's list.",
    "They are kept as they are; a chat does not need them.",
)  # fmt: skip
BAD = Finding(
    Subject.WEIGHTS, Level.BAD, "model-00002-of-00002.safetensors is 14 bytes shorter than its header says.",
    "Download that file again.",
)  # fmt: skip
FALLBACKS = (
    Fallback("blk.0.ffn_down.weight", "Q4_K", "Q5_0"),
    Fallback("blk.1.ffn_down.weight", "Q4_K", "Q5_0"),
)
_SIZES = (
    ("F32", 6840, 32.0, Verdict.DISK), ("BF16", 3424, 16.0, Verdict.SPLIT), ("F16", 3424, 16.0, Verdict.SPLIT),
    ("Q8_0", 1820, 8.5, Verdict.GPU), ("Q6_K", 1406, 6.57, Verdict.GPU), ("Q5_K_M", 1225, 5.72, Verdict.GPU),
    ("Q4_K_M", 1056, 4.93, Verdict.GPU), ("Q3_K_M", 860, 4.02, Verdict.GPU), ("Q2_K", 675, 3.15, Verdict.GPU),
    ("IQ2_XS", 558, 2.61, Verdict.GPU),
)  # fmt: skip


def targets(best: str = "Q6_K") -> tuple[Target, ...]:
    """Ten types, the largest first; two tensors of Q4_K_M fall back, IQ2_XS needs an importance matrix."""
    return tuple(
        Target(
            quant, size * MB, bits, FALLBACKS if quant == "Q4_K_M" else (), quant.startswith("IQ2"),
            fits.fit(quant, verdict), is_best=quant == best,
        )
        for quant, size, bits, verdict in _SIZES
    )  # fmt: skip


def preflight(source: Source = FOLDER, **others) -> Preflight:
    """A model of 1.7 billion parameters without a flaw, where nothing else is said."""
    told = {
        "architecture": "llama", "n_parameters": 1_711_376_384, "source_bytes": 3424 * MB, "download_bytes": 0,
        "ram_bytes": 800 * 2**20, "duration_s": 190.0, "converter": Converter.OURS, "findings": GOOD,
        "targets": targets(),
    }  # fmt: skip
    return Preflight(source, **{**told, **others})


def points(quants=("Q4_K_M", "Q6_K", "Q8_0")) -> tuple[Point, ...]:
    """What was measured: BF16 and these."""
    measured = {
        "BF16": (3424, 0.0, 11.2), "Q8_0": (1820, 0.0011, 20.4), "Q6_K": (1406, 0.0048, 26.1),
        "Q5_K_M": (1225, 0.0121, 29.8), "Q5_0": (1260, 0.0212, 28.9), "Q4_K_M": (1056, 0.0312, 34.0),
        "Q3_K_M": (860, 0.101, 37.5),
    }  # fmt: skip
    return tuple(
        Point(Path(f"/out/{quant}.gguf"), quant, size * MB, loss, speed, quant == "BF16", quant != "Q5_0")
        for quant, (size, loss, speed) in measured.items()
        if quant == "BF16" or quant in quants
    )


def charting(found):
    """Work that finds these points."""
    yield None
    return found


@dataclass
class FakeWorkbench:
    """The workshop as the window knows it. `answers` by the source's place: a Preflight, or an error to raise."""

    answers: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)
    refuses: object = None  # an error that `start` raises
    may_answer: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self):
        self.now, self._listeners = (), []
        self.may_answer.set()

    def listen(self, listener):
        self._listeners.append(listener)
        listener(self.now)

    def inspecting(self, source, n_ctx=None):
        self.asked.append(("inspect", source, n_ctx))
        while not self.may_answer.wait(0.02):
            yield None
        answer = self.answers.get(source.place, preflight(source))
        if isinstance(answer, Exception):
            raise answer
        return replace(answer, source=source)

    def start(self, order):
        if self.refuses:
            raise self.refuses
        if not order.quants:
            raise BadInput("No quant type is chosen.")
        self.asked.append(("start", order))
        id = f"run{len(self.now)}"
        self.show(*self.now, run(id, order))
        return id

    def cancel(self, id):
        self.asked.append(("cancel", id))
        self.turn(id, Interrupted())

    def resume(self, id):
        self.asked.append(("resume", id))
        self.turn(id, Waiting())

    def forget(self, id):
        self.asked.append(("forget", id))
        self.show(*(one for one in self.now if one.id != id))

    # what happens

    def show(self, *runs):
        """Now the list is this."""
        self.now = runs
        for listener in self._listeners:
            listener(runs)

    def turn(self, id, state, **others):
        """A run is in another state now."""
        self.show(*(replace(one, state=state, **others) if one.id == id else one for one in self.now))

    def work(self, id, place, done, total, left_s=None, note=""):
        """It works at the stage of this place; those before are done."""
        now = next(one for one in self.now if one.id == id)
        stages = tuple(replace(stage, is_done=index < place) for index, stage in enumerate(now.stages))
        self.turn(id, Working(stages[place], done, total, note, left_s), stages=stages)

    def finish(self, id, folder=None):
        """Its files are in their places; with a folder they are really there."""
        now = next(one for one in self.now if one.id == id)
        files = tuple((folder or now.order.folder) / now.order.target(one).name for one in now.order.quants)
        if folder:
            for index, file in enumerate(files):
                file.write_bytes(b"GGUF" * (index + 1))
        self.turn(id, FinishedRun(files), stages=tuple(replace(one, is_done=True) for one in now.stages))

    def fail(self, id, error):
        """It could not go on."""
        self.turn(id, FailedRun(error))

    def orders(self):
        """What was ordered, in order."""
        return [asked[1] for asked in self.asked if asked[0] == "start"]


def run(id, order, state=None, notices=()) -> Run:
    """A run with the stages of its order."""
    stages = [Stage(StageKind.DOWNLOAD)] * (order.source.kind is SourceKind.REPOSITORY)
    stages += [Stage(StageKind.CONVERT)] * (order.source.kind is not SourceKind.GGUF)
    stages += [Stage(StageKind.IMATRIX)] * bool(order.imatrix_text)
    stages += [Stage(StageKind.QUANTIZE, quant) for quant in order.quants]
    stages += [Stage(StageKind.MEASURE)] * order.measures
    return Run(id, order, tuple(stages), state or Waiting(), Path(f"/logs/{id}.log"), notices)
