"""Adapters through the real engine: as a file beside its base, and merged into it, they answer as PEFT does."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from convert.adapters import VARIANTS, adapted, model, rewrite_config  # noqa: E402
from model_folders import tokenizer_config, tokenizer_json  # noqa: E402

from carryon.base.errors import BadFile, Unsupported  # noqa: E402
from carryon.base.jobs import drained  # noqa: E402
from carryon.convert.adapter import open_adapter  # noqa: E402
from carryon.convert.adapter_file import check_fit, prepare_adapter  # noqa: E402
from carryon.convert.checkpoint import open_checkpoint  # noqa: E402
from carryon.convert.forms import OutType  # noqa: E402
from carryon.convert.job import ConvertRequest, converting  # noqa: E402
from carryon.convert.run import Means, convert, written  # noqa: E402
from carryon.gguf.header import read_header  # noqa: E402

pytestmark = pytest.mark.slow
ENGINE = Path(__file__).with_name("adapter_engine.py")
N_TOKENS = 263  # of the tokenizer of model_folders
IDS = [(7 * at + 5) % N_TOKENS for at in range(80)]
# A file that is only read beside its base cannot say these; merging can.
ONLY_MERGED = {"dora", "dora-stabilised", "learnt-bias", "whole-copies", "whole-embedding", "norms", "token-rows"}
MAX_ERROR_OF_SPREAD = 1e-4  # the gate for adapters


@pytest.fixture(scope="module", params=[False, True], ids=["untied", "tied"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    folder = tmp_path_factory.mktemp("base")
    return _saved(model(request.param, vocab_size=N_TOKENS), folder), folder


@pytest.fixture(scope="module")
def gguf(base: tuple[Any, Path]) -> Path:
    target = base[1].parent / f"{base[1].name}.gguf"
    drained(convert(base[1], target, OutType.F32))
    return target


def _saved(made: Any, folder: Path) -> Any:
    made.config.bos_token_id, made.config.eos_token_id = 0, 2
    made.generation_config.bos_token_id, made.generation_config.eos_token_id = 0, 2
    made.save_pretrained(folder)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer_json()))
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer_config()))
    return made


def expected(adapter: Any) -> np.ndarray:
    with torch.no_grad():
        return adapter.double()(torch.tensor([IDS])).logits[0].numpy()


def answered(model: Path, adapter: Path | None, folder: Path) -> np.ndarray:
    (folder / "ids.json").write_text(json.dumps(IDS))
    words = [str(model), str(adapter or "-"), str(folder / "ids.json"), str(folder / "logits.npy")]
    done = subprocess.run([sys.executable, str(ENGINE), *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return np.load(folder / "logits.npy")


def error(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.abs(found[:, : wanted.shape[1]] - wanted).max() / wanted.std())


def written_adapter(base: Path, folder: Path, target: Path) -> Path:
    drained(written(prepare_adapter(open_checkpoint(base), open_adapter(folder)), target, Means()))
    return target


@pytest.mark.parametrize("variant", [one for one in VARIANTS if one not in ONLY_MERGED])
def test_beside_its_base(variant: str, base: tuple[Any, Path], gguf: Path, tmp_path: Path) -> None:
    plain, folder = base
    wanted = expected(adapted(plain, variant, tmp_path / "a"))
    if plain.config.tie_word_embeddings and variant in ("embedding", "head"):
        with pytest.raises(Unsupported, match="twice"):
            written_adapter(folder, tmp_path / "a", tmp_path / "a.gguf")
        return
    file = written_adapter(folder, tmp_path / "a", tmp_path / "a.gguf")
    check_fit(read_header(file), read_header(gguf))
    assert error(answered(gguf, file, tmp_path), wanted) <= MAX_ERROR_OF_SPREAD


@pytest.mark.parametrize("variant", ["patterns", "dora", "embedding", "head", "whole-copies", "token-rows"])
def test_merged(variant: str, base: tuple[Any, Path], tmp_path: Path) -> None:
    plain, folder = base
    wanted = expected(adapted(plain, variant, tmp_path / "a"))
    request = ConvertRequest(folder, tmp_path / "merged.gguf", OutType.F32, "merged", tmp_path / "a")
    done = drained(converting(request, tmp_path / "log"))
    names = {one.name for one in read_header(done.path).tensors}
    is_parted = not plain.config.tie_word_embeddings or variant in ("embedding", "head", "whole-copies")
    assert ("output.weight" in names) == is_parted
    assert error(answered(done.path, None, tmp_path), wanted) <= MAX_ERROR_OF_SPREAD


@pytest.mark.parametrize("variant", sorted(ONLY_MERGED))
def test_what_a_file_cannot_say_is_refused_with_the_way_out(
    variant: str, base: tuple[Any, Path], tmp_path: Path
) -> None:
    adapted(base[0], variant, tmp_path / "a")
    with pytest.raises(Unsupported) as refused:
        written_adapter(base[1], tmp_path / "a", tmp_path / "a.gguf")
    assert "carryon merge" in refused.value.hint
    assert not (tmp_path / "a.gguf").exists()


def test_a_wrong_scale_would_be_seen(base: tuple[Any, Path], gguf: Path, tmp_path: Path) -> None:
    """The gate is no formality: alpha / rank instead of alpha / sqrt(rank) is far outside of it."""
    wanted = expected(adapted(base[0], "rank-stabilised", tmp_path / "a"))
    rewrite_config(tmp_path / "a", use_rslora=False)
    file = written_adapter(base[1], tmp_path / "a", tmp_path / "a.gguf")
    assert error(answered(gguf, file, tmp_path), wanted) > 100 * MAX_ERROR_OF_SPREAD


class TestAWrongBase:
    """The engine would crash, so nobody hands it such a pair."""

    def test_other_shapes(self, base: tuple[Any, Path], tmp_path: Path) -> None:
        adapted(base[0], "attention", tmp_path / "a")
        file = written_adapter(base[1], tmp_path / "a", tmp_path / "a.gguf")
        _saved(model(False, vocab_size=N_TOKENS, num_attention_heads=8), tmp_path / "other")
        drained(convert(tmp_path / "other", tmp_path / "other.gguf", OutType.F32))
        with pytest.raises(BadFile, match="does not belong"):
            check_fit(read_header(file), read_header(tmp_path / "other.gguf"))

    def test_fewer_layers(self, base: tuple[Any, Path], tmp_path: Path) -> None:
        adapted(base[0], "attention", tmp_path / "a")
        file = written_adapter(base[1], tmp_path / "a", tmp_path / "a.gguf")
        _saved(model(False, vocab_size=N_TOKENS, num_hidden_layers=1), tmp_path / "other")
        drained(convert(tmp_path / "other", tmp_path / "other.gguf", OutType.F32))
        with pytest.raises(BadFile, match="does not belong"):
            check_fit(read_header(file), read_header(tmp_path / "other.gguf"))


def test_a_folder_of_a_model_is_no_adapter(base: tuple[Any, Path], tmp_path: Path) -> None:
    shutil.copytree(base[1], tmp_path / "model")
    with pytest.raises(BadFile, match=r"no adapter_config\.json"):
        open_adapter(tmp_path / "model")
