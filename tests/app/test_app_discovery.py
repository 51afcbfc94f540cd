"""What a person decides on: the quants of a repository on a Hub of this machine, their fit, what is here already."""

import json
import time

import pytest
from fakes import machines
from fakes.fakehub import FakeHub
from fakes.header_models import MODELS, as_quantized, header_from
from fakes.header_repos import add_header_repo, header_blob

from carryon.app.discovery import Discovery, Look, Sureness, judging, rough_fit
from carryon.base.errors import NoAccess, Offline
from carryon.base.jobs import drained
from carryon.fit.calibration import Learnt
from carryon.fit.plan import Site as Place
from carryon.fit.plan import Verdict, plan
from carryon.fit.room import rooms_of
from carryon.fit.speed import speeds_of
from carryon.gguf.shape import shape_of
from carryon.hub.names import Reference
from carryon.hub.repo import FoundModel, Gate
from carryon.hub.search import SearchWish
from carryon.hub.site import Site

ROOMS = rooms_of(machines.WITH_GPU, {})
PLACE = Place(ROOMS, speeds_of(machines.WITH_GPU, ROOMS, None, Learnt()))
REFERENCE = Reference("acme/Qwen3-8B-GGUF")


@pytest.fixture
def hub():
    with FakeHub() as hub:
        yield hub


@pytest.fixture
def discovery(carryon_home, hub):
    return Discovery(carryon_home, lambda: Site(hub.url))


def test_the_repository_comes_first_and_its_fit_follows(hub, discovery, tmp_path):
    add_header_repo(hub, tmp_path, REFERENCE.repo_id)
    seen = []
    final = drained(discovery.looking_into(REFERENCE), lambda news: seen.append(news) if news else None)
    assert [(one.is_reading, one.subject) for one in seen] == [(True, None)]
    assert [one.quant for one in seen[0].files.quants] == ["Q8_0", "Q4_K_M"]
    assert not final.is_reading
    assert final.sureness is Sureness.HEADER


def test_every_quant_has_the_shape_that_its_own_header_would_tell(hub, discovery, tmp_path):
    add_header_repo(hub, tmp_path, REFERENCE.repo_id, quants=("Q8_0", "Q6_K", "Q4_K_M", "IQ2_M"))
    look = _look(discovery)
    assert len(hub.requests("/cdn/")) == 1
    for one in look.subject.candidates:
        true = shape_of([header_from(*as_quantized(*MODELS["qwen3-8b"](), one.quant))])
        assert one.shape.weights_bytes == true.weights_bytes
        assert one.shape.size_bytes == look.quant(one.quant).size_bytes


def test_the_plan_recommends_one_of_them(hub, discovery, tmp_path):
    add_header_repo(hub, tmp_path, REFERENCE.repo_id, quants=("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M"))
    made = plan(_look(discovery).subject.candidates, PLACE)
    assert made.best.verdict is Verdict.GPU
    assert made.best.candidate.quant in ("Q6_K", "Q5_K_M", "Q4_K_M")


def test_a_larger_mix_counts_with_its_true_size(hub, discovery, tmp_path):
    blob = header_blob(tmp_path / "x-Q4_K_M.gguf", "qwen3-8b", "Q4_K_M")
    larger = header_blob(tmp_path / "x-UD-Q4_K_XL.gguf", "qwen3-8b", "Q5_K_M")
    hub.add_repo(REFERENCE.repo_id, {"x-Q4_K_M.gguf": blob, "x-UD-Q4_K_XL.gguf": larger})
    by_quant = {one.quant: one.shape for one in _look(discovery).subject.candidates}
    assert list(by_quant) == ["UD-Q4_K_XL", "Q4_K_M"]
    grown_bytes = by_quant["UD-Q4_K_XL"].weights_bytes - by_quant["Q4_K_M"].weights_bytes
    assert grown_bytes == pytest.approx(larger.size - blob.size, rel=0.01)


def test_what_is_here_already_is_known(hub, discovery, tmp_path, carryon_home):
    add_header_repo(hub, tmp_path, REFERENCE.repo_id)
    look = _look(discovery)
    file = look.quant("Q4_K_M").first
    path = discovery.path_of(look.repo, file)
    assert path == carryon_home.models / "acme" / "Qwen3-8B-GGUF" / "Qwen3-8B-Q4_K_M.gguf"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half a file")
    assert discovery.again(look).here == frozenset()
    with path.open("wb") as whole:
        whole.truncate(file.size_bytes)
    again = discovery.again(look)
    assert again.here == {"Q4_K_M"}
    assert {one.quant: one.path for one in again.subject.candidates} == {"Q8_0": None, "Q4_K_M": str(path)}


def test_a_wish_has_the_files_of_the_quant_and_the_projector_if_wanted(hub, discovery, tmp_path, carryon_home):
    files = {"mmproj-F16.gguf": b"eyes", "mmproj-F32.gguf": b"larger eyes"}
    add_header_repo(hub, tmp_path, REFERENCE.repo_id, files=files, tags=["gguf", "license:mit"])
    look = _look(discovery)
    wish = discovery.wish_for(look, look.quant("Q4_K_M"))
    assert (wish.title, wish.licence, wish.commit) == ("Qwen3-8B-GGUF · Q4_K_M", "mit", look.repo.commit)
    assert wish.folder == carryon_home.models / "acme" / "Qwen3-8B-GGUF"
    assert [one.path for one in wish.files] == ["Qwen3-8B-Q4_K_M.gguf"]
    seeing = discovery.wish_for(look, look.quant("Q4_K_M"), look.files.projectors[0])
    assert [one.path for one in seeing.files] == ["Qwen3-8B-Q4_K_M.gguf", "mmproj-F16.gguf"]


def test_a_closed_door_still_shows_what_is_behind_it(hub, discovery, tmp_path):
    add_header_repo(hub, tmp_path, REFERENCE.repo_id, gated="auto")
    look = _look(discovery)
    assert look.repo.found.gate is Gate.AUTOMATIC
    assert isinstance(look.error, NoAccess)
    assert look.sureness is Sureness.COUNT
    by_quant = {one.quant: one.shape.size_bytes for one in look.subject.candidates}
    assert by_quant == {one.quant: one.size_bytes for one in look.files.quants}


def test_a_header_that_cannot_be_read_leaves_the_sizes(hub, discovery):
    hub.add_repo(REFERENCE.repo_id, {"m-Q4_0.gguf": b"no gguf" * 20_000})
    look = _look(discovery)
    assert look.error.message.startswith("m-Q4_0.gguf is not a GGUF file")
    assert look.subject is None
    assert look.quant("Q4_0").size_bytes == 140_000


def test_a_model_that_is_not_converted_shows_what_each_quant_would_weigh(hub, discovery):
    config = {"num_hidden_layers": 36, "hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 8,
              "head_dim": 128, "intermediate_size": 12288, "vocab_size": 151936,
              "max_position_embeddings": 40960}  # fmt: skip
    files = {"config.json": json.dumps(config).encode(), "model.safetensors": b"x"}
    counted = {"total": 8_190_735_360, "parameters": {"BF16": 8_190_735_360}}
    hub.add_repo("Qwen/Qwen3-8B", files, safetensors=counted, tags=["safetensors"])
    look = _look(discovery, Reference("Qwen/Qwen3-8B"))
    true = shape_of([header_from(*as_quantized(*MODELS["qwen3-8b"](), "Q4_K_M"))])
    made = next(one for one in look.subject.candidates if one.quant == "Q4_K_M")
    assert look.must_be_converted
    assert look.sureness is Sureness.CONFIG
    assert made.shape.size_bytes == pytest.approx(true.size_bytes, rel=0.01)


def test_a_model_without_a_config_is_judged_by_its_parameters(hub, discovery):
    hub.add_repo("a/m", {"model.safetensors": b"x"}, safetensors={"total": 7_000_000_000}, tags=["safetensors"])
    look = _look(discovery, Reference("a/m"))
    assert look.sureness is Sureness.COUNT
    assert plan(look.subject.candidates, PLACE).fits


def test_a_repository_without_any_model_has_no_fit(hub, discovery):
    hub.add_repo("a/m", {"README.md": b"# words"}, tags=[])
    look = _look(discovery, Reference("a/m"))
    assert (look.subject, look.error, look.files.quants) == (None, None, ())


def test_plans_are_quick_once_it_was_looked_into(hub, discovery, tmp_path):
    add_header_repo(hub, tmp_path, REFERENCE.repo_id, quants=("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M"))
    look = drained(discovery.looking_into(REFERENCE, PLACE))
    began_s = time.perf_counter()
    plan(look.subject.candidates, PLACE)
    assert time.perf_counter() - began_s < 0.1


def test_searching_and_the_card_ask_the_same_site(hub, discovery):
    hub.add_repo("a/m-GGUF", {"README.md": b"# Words"})
    assert [one.name for one in drained(discovery.searching(SearchWish("m"))).models] == ["m-GGUF"]
    assert drained(discovery.reading_card(_look(discovery, Reference("a/m-GGUF")).repo)) == "# Words"


def test_a_site_that_cannot_be_told_is_an_error_of_the_job(carryon_home):
    def site():
        raise Offline("Carryon is switched to offline.")

    with pytest.raises(Offline, match="switched to offline"):
        drained(Discovery(carryon_home, site).searching(SearchWish()))


def test_lines_of_a_list_are_judged_by_their_parameters():
    models = [FoundModel(f"a/{n}", frozenset(), n_params=n) for n in (1_000_000_000, 8_000_000_000, 10**12)]
    unknown = FoundModel("a/b", frozenset())
    judged = {found.repo_id: rough.verdict for found, rough in judging([*models, unknown], PLACE)}
    assert judged == {
        "a/1000000000": Verdict.GPU, "a/8000000000": Verdict.GPU, "a/1000000000000": Verdict.TOO_BIG,
    }  # fmt: skip


@pytest.mark.parametrize("n_params", [1, 1000, 10**9, 10**15])
def test_any_number_of_parameters_can_be_judged(n_params):
    rough = rough_fit(n_params, PLACE)
    assert rough is None or rough.size_bytes > 0


def _look(discovery, reference=REFERENCE) -> Look:
    return drained(discovery.looking_into(reference))
