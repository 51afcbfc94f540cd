"""Files that are measured: opened by the engine, refused in words where they cannot be, each with its sums."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from carryon.base.errors import AppError, BadFile, BadInput, NoRoom, Unsupported
from carryon.engine.protocol import LoadRequest, Reason
from carryon.engine.reasons import refusal
from carryon.evaluate import texts
from carryon.evaluate.figures import Figures
from carryon.evaluate.request import Task
from carryon.worker import asked, shortage
from carryon.worker.capi import L
from carryon.worker.engine_log import EngineLog
from carryon.worker.llama import LoadFailed, Model
from carryon.worker.perplexity import Floats, Scores
from carryon.worker.reader import Piece, Reader
from carryon.worker.refusals import LoadRefused, refusal_of_load
from carryon.worker.timing import timing

_LEAST_CONTEXT = 256  # the engine makes no smaller one
_KINDS: dict[Reason, type[AppError]] = {
    Reason.OUT_OF_MEMORY: NoRoom,
    Reason.UNSUPPORTED_ARCHITECTURE: Unsupported,
    Reason.BAD_REQUEST: BadInput,
}


@dataclass
class Subject:
    """One file while it is measured."""

    index: int  # in the task; 0 is the base
    label: str
    name: str
    model: Model
    load_lines: list[str]
    reader: Reader | None = None
    scores: Scores = field(default_factory=Scores)

    def read(self, chunk: Sequence[int], piece: Piece) -> Floats:
        """What it expects after each scored token of the piece."""
        assert self.reader
        return self.reader.read(chunk, piece)

    def check(self) -> None:
        """Raises BadFile where it answered with NaN or infinity."""
        if not self.scores.is_finite:
            raise BadFile(*texts.no_numbers(self.name))

    def stop_reading(self) -> None:
        """Gives back all but the weights."""
        if self.reader:
            self.reader.close()
            self.reader = None

    def free(self) -> None:
        """Gives everything back."""
        self.stop_reading()
        self.model.free()


class Opener:
    """Opens the files of a task, and turns what the engine says about them into our errors."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._log = EngineLog()
        self._log.attach()
        L.llama_backend_init()
        self._devices = asked.found_devices(self._asked(0))
        self.n_threads = asked.sizing(self._asked(0)).n_threads

    def open(self, index: int) -> Subject:
        """Loads one file. Raises AppError where it cannot be loaded, or cannot be measured."""
        wanted, name = self._asked(index), Path(self._task.models[index]).name
        try:
            model = self._loaded(wanted)
        except (LoadRefused, LoadFailed) as error:
            raise self._in_words(error, index) from error
        if complaint := _complaint(model, name):
            model.free()
            raise Unsupported(*complaint)
        return Subject(index, self._task.labels[index], name, model, self._log.texts())

    def begin_reading(self, subject: Subject) -> None:
        """Makes the context that reads the text. Raises AppError."""
        subject.scores = Scores()
        try:
            subject.reader = Reader(subject.model, self._task.n_ctx, self.n_threads)
        except LoadFailed as error:
            raise self._in_words(error, subject.index) from error

    def figures(self, subject: Subject, tokens: Sequence[int]) -> Generator[None, None, Figures]:
        """Work that measures speed and memory as well, and tells all. Raises AppError."""
        subject.stop_reading()
        self._log.lines.clear()
        wants_speed = self._task.measures_speed
        try:
            timed = yield from timing(
                subject.model, tokens, self.n_threads, wants_speed=wants_speed,
                devices=self._devices, lines=lambda: [*subject.load_lines, *self._log.texts()],
            )  # fmt: skip
        except LoadFailed as error:
            raise self._in_words(error, subject.index) from error
        scores = subject.scores
        return Figures(
            scores.perplexity, scores.perplexity_error, scores.n_tokens,
            timed.memory_bytes, timed.prefill_tokens_per_s, timed.decode_tokens_per_s, scores.comparison,
        )  # fmt: skip

    def _loaded(self, wanted: LoadRequest) -> Model:
        asked.check(wanted)
        self._log.lines.clear()
        files = asked.model_files(wanted)
        placing, _ = asked.placing(wanted, self._devices)
        placing = shortage.placed(files, placing, asked.sizing(wanted), self._log)
        return Model.load(str(files[0]), placing)

    def _asked(self, index: int) -> LoadRequest:
        task = self._task
        n_ctx = max(task.n_ctx, _LEAST_CONTEXT)
        return LoadRequest(task.models[index], n_ctx, n_gpu_layers=task.n_gpu_layers, n_threads=task.n_threads)

    def _in_words(self, error: LoadRefused | LoadFailed, index: int) -> AppError:
        wanted = self._asked(index)
        if isinstance(error, LoadRefused):
            refused = error.refused
        else:
            refused = refusal_of_load(asked.model_files(wanted), self._log)
        said = refusal(refused, wanted)
        return _KINDS.get(refused.reason, BadFile)(said.message, said.hint)


def _complaint(model: Model, name: str) -> tuple[str, str] | None:
    """Why perplexity means nothing for this model."""
    if why := model.why_it_cannot_chat() or _why_it_embeds(model):
        return texts.no_continuing(name, why)
    if L.llama_vocab_get_add_eos(model.vocabulary.handle):
        return texts.ends_by_itself(name)
    return None


def _why_it_embeds(model: Model) -> str | None:
    architecture = model.architecture
    if model.metadata(f"{architecture}.attention.causal") == "false":
        return texts.READS_BOTH_WAYS
    pooling = model.metadata(f"{architecture}.pooling_type")
    return texts.GIVES_EMBEDDINGS if pooling and pooling not in ("0", "-1") else None
