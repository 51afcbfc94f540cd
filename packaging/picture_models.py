"""What the pictures of Discover and the Library show: a Hub on this machine and a disk of models, all only headers.

    python packaging/picture_models.py FOLDER     fills FOLDER/home and FOLDER/person, prints the Hub's address, serves

Names and sizes are those of real models; the bytes are zeros behind a true header, so nothing here can answer. Ends
when its standard input does.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from fakes.fakehub import FakeHub
from fakes.header_models import write_header_model
from fakes.header_repos import add_header_repo
from fakes.model_shelves import Disk, tiny_projector

QUANTS = ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q3_K_M", "IQ2_M")
CARD = b"""# SmolLM2 1.7B Instruct

A **compact** model that follows instructions, for machines without a graphics card.

| Quant | Good for |
|---|---|
| Q8_0 | the last bit of quality |
| Q4_K_M | everything else |
"""
# Repository, model, downloads, likes, licence, last change, what else the Hub says.
REPOS = (
    ("HuggingFaceTB/SmolLM2-1.7B-Instruct-GGUF", "smollm2-1.7b", 184_210, 312, "apache-2.0", "2026-11-02", {}),
    ("Qwen/Qwen3-8B-GGUF", "qwen3-8b", 1_234_567, 890, "apache-2.0", "2026-10-02", {}),
    ("unsloth/Qwen3-30B-A3B-GGUF", "qwen3-30b-a3b", 777_000, 620, "apache-2.0", "2026-09-14", {}),
    ("bartowski/Llama-3.3-70B-Instruct-GGUF", "llama33-70b", 523_000, 420, "llama3.3", "2026-08-30",
     {"gated": "manual"}),
    ("lmstudio-community/gemma-3-12b-it-GGUF", "gemma3-12b", 301_000, 210, "gemma", "2026-07-21", {}),
    ("bartowski/phi-4-GGUF", "phi4", 96_000, 134, "mit", "2026-06-11", {}),
)  # fmt: skip
BYTES_PER_S = 30_000_000  # of each connection: slow enough for a picture of a download


def main() -> int:
    """Serves until nobody listens any more."""
    folder = Path(sys.argv[1])
    fill_disk(folder / "home" / "models", Disk(folder / "person"))
    with FakeHub() as hub:
        for place, (repo_id, model, downloads, likes, licence, day, more) in enumerate(REPOS):
            add_header_repo(
                hub, folder / "hub" / str(place), repo_id, model, QUANTS, downloads=downloads, likes=likes,
                trendingScore=100 - place, tags=["gguf", "text-generation", f"license:{licence}"],
                lastModified=f"{day}T08:00:00.000Z", files={"README.md": CARD}, **more,
            )  # fmt: skip
        hub.fault("slow", path="/cdn/", bps=BYTES_PER_S)
        print(hub.url, flush=True)
        sys.stdin.read()
    return 0


def fill_disk(own: Path, disk: Disk) -> None:
    """Models in Carryon's own folder and in those of two other programs, one of them damaged."""
    for quant in ("Q4_K_M", "Q8_0"):
        _model(own / "Qwen" / "Qwen3-8B-GGUF" / f"Qwen3-8B-{quant}.gguf", "qwen3-8b", quant)
    _model(own / "bartowski" / "phi-4-GGUF" / "phi-4-Q4_K_M.gguf", "phi4", "Q4_K_M")
    gemma = disk.lm_studio / "lmstudio-community" / "gemma-3-12b-it-GGUF"
    _model(gemma / "gemma-3-12b-it-Q4_K_M.gguf", "gemma3-12b", "Q4_K_M")
    tiny_projector(gemma / "mmproj-model-f16.gguf")
    llama = disk.lm_studio / "bartowski" / "Llama-3.3-70B-Instruct-GGUF"
    _model(llama / "Llama-3.3-70B-Instruct-Q4_K_M.gguf", "llama33-70b", "Q4_K_M")
    disk.in_ollama("granite3.3", "8b", lambda path: _model(path, "granite33-8b", "Q4_K_M"))
    (own / "half-a-download.gguf").write_bytes(b"GGUF\x03\x00\x00\x00" + bytes(40))


def _model(path: Path, model: str, quant: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_header_model(model, path, quant)
    return path


if __name__ == "__main__":
    sys.exit(main())
