"""The preflight: findings in their order, sizes to the byte, the fit of every type, and nothing fetched but headers."""

import shutil
from collections import namedtuple

import pytest
from fakes.fakehub import Blob, FakeHub
from fakes.workshop_bench import GUIDE, bench_of, everything_in, folder_source, inspector_of, made, order_of
from model_folders import CONFIG, random_weights, write_folder, write_shards

from carryon.app.workshop_list import Converter, Level, Source, SourceKind, StageKind, Subject
from carryon.base.errors import BadFile, BadInput, Offline
from carryon.base.jobs import drained
from carryon.hub.staging import FIRST_BYTES

REPO = "acme/guide"
USAGE = namedtuple("USAGE", "total used free")


@pytest.fixture
def hub(monkeypatch):
    with FakeHub() as found:
        monkeypatch.setenv("HF_ENDPOINT", found.url)
        yield found


def serve(hub, folder, repo_id=REPO):
    files = {one.name: Blob(one.read_bytes(), name=one.name) for one in folder.iterdir() if one.suffix != ".gguf"}
    return hub.add_repo(repo_id, files)


def inspected(home, source, n_ctx=None, **more):
    return drained(inspector_of(home, **more).inspecting(source, n_ctx))


@pytest.fixture(scope="module")
def guide(tmp_path_factory):
    from carryon.base.paths import Home

    return inspected(Home(tmp_path_factory.mktemp("home")), folder_source(), 1024)


def test_findings_come_in_the_order_of_their_subjects(guide):
    assert [one.subject for one in guide.findings] == list(Subject)
    assert {one.level for one in guide.findings} == {Level.GOOD}
    assert guide.can_run
    assert (guide.converter, guide.architecture, guide.download_bytes) == (Converter.OURS, "llama", 0)


def test_every_type_has_a_size_and_a_fit_and_one_is_the_best(guide):
    sizes = [one.size_bytes for one in guide.targets]
    assert sizes == sorted(sizes, reverse=True)
    assert {"F32", "BF16", "Q8_0", "Q4_K_M", "IQ1_S"} <= {one.quant for one in guide.targets}
    assert "MXFP4_MOE" not in {one.quant for one in guide.targets}  # it has no experts
    assert all(one.fit and one.fit.placement.n_ctx == 1024 for one in guide.targets)
    assert [one.quant for one in guide.targets if one.is_best] == ["Q8_0"]
    assert {one.quant for one in guide.targets if one.needs_imatrix} >= {"IQ2_XXS", "IQ1_S", "Q2_K_S"}


@pytest.mark.slow
def test_sizes_are_those_of_the_files_that_are_made(guide, carryon_home, tmp_path):
    quants = ("Q8_0", "F16", "Q4_K_M", "Q3_K_S", "IQ4_XS")
    with bench_of(carryon_home) as bench:
        files = made(bench, order_of(folder_source(), tmp_path / "out", *quants))
    said = {one.quant: one.size_bytes for one in guide.targets}
    assert [one.stat().st_size for one in files] == [said[one] for one in quants]


@pytest.mark.slow
def test_rows_that_no_block_fits_are_told_as_fallbacks(carryon_home, tmp_path):
    found = inspected(carryon_home, folder_source(write_folder(tmp_path / "m")))
    q4 = next(one for one in found.targets if one.quant == "Q4_K_M")
    assert q4.fallbacks
    assert {one.wanted for one in q4.fallbacks} <= {"Q4_K", "Q6_K"}
    assert all(one.got != one.wanted for one in q4.fallbacks)


def test_of_a_repository_nothing_but_headers_and_small_files_is_fetched(hub, carryon_home, guide):
    serve(hub, GUIDE)
    hub.repos[REPO].commits[hub.repos[REPO].refs["main"]]["pictures.png"] = Blob(size=5 << 20, name="pictures.png")
    found = inspected(carryon_home, Source(SourceKind.REPOSITORY, REPO), 1024)
    small_bytes = sum(one.stat().st_size for one in GUIDE.iterdir() if one.suffix in (".json", ".jinja"))
    weights = GUIDE / "model.safetensors"
    assert hub.sent_bytes() <= small_bytes + FIRST_BYTES
    assert found.download_bytes == small_bytes + weights.stat().st_size
    assert found.revision == hub.repos[REPO].refs["main"]
    assert [one.quant for one in found.targets] == [one.quant for one in guide.targets]
    assert everything_in(carryon_home.cache / "preflight") == []


@pytest.mark.slow
def test_the_sizes_for_a_repository_are_those_of_its_files(hub, carryon_home, tmp_path):
    serve(hub, GUIDE)
    source = Source(SourceKind.REPOSITORY, REPO)
    found = inspected(carryon_home, source)
    with bench_of(carryon_home) as bench:
        files = made(bench, order_of(source, tmp_path / "out", "Q8_0", "Q4_K_M"))
    said = {one.quant: one.size_bytes for one in found.targets}
    assert [one.stat().st_size for one in files] == [said["Q8_0"], said["Q4_K_M"]]


def test_the_second_look_asks_for_no_file(hub, carryon_home):
    serve(hub, GUIDE)
    inspector, source = inspector_of(carryon_home), Source(SourceKind.REPOSITORY, REPO)
    drained(inspector.inspecting(source))
    hub.clear()
    assert drained(inspector.inspecting(source, 2048)).targets
    assert not hub.requests("/resolve/|/cdn/")


@pytest.mark.slow
def test_a_long_header_takes_a_second_request(hub, carryon_home, tmp_path):
    folder = write_folder(tmp_path / "m", num_hidden_layers=40)
    serve(hub, folder, "acme/deep")
    found = inspected(carryon_home, Source(SourceKind.REPOSITORY, "acme/deep"))
    assert found.can_run
    assert len(hub.requests("/cdn/")) == 2


@pytest.mark.slow
def test_shards_are_read_each_by_its_header(hub, carryon_home, tmp_path):
    folder = write_folder(tmp_path / "m")
    write_shards(folder, random_weights(CONFIG), 5)
    (folder / "consolidated.safetensors").write_bytes(b"another cut of the same")
    serve(hub, folder, "acme/parts")
    found = inspected(carryon_home, Source(SourceKind.REPOSITORY, "acme/parts"))
    assert found.can_run
    assert "5 files" in found.findings[0].message
    assert not hub.requests("consolidated")


def test_a_shard_that_is_missing_on_the_hub_is_named(hub, carryon_home, tmp_path):
    folder = write_folder(tmp_path / "m")
    write_shards(folder, random_weights(CONFIG))
    (folder / "model-00002-of-00002.safetensors").unlink()
    serve(hub, folder, "acme/torn")
    found = inspected(carryon_home, Source(SourceKind.REPOSITORY, "acme/torn"))
    assert not found.can_run
    assert found.findings[0].level is Level.BAD
    assert "model-00002-of-00002.safetensors" in found.findings[0].message


def test_pickles_of_a_repository_are_refused_before_anything_is_fetched(hub, carryon_home, tmp_path):
    folder = write_folder(tmp_path / "m")
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(bytes(100_000))
    serve(hub, folder, "acme/old")
    found = inspected(carryon_home, Source(SourceKind.REPOSITORY, "acme/old"))
    assert not found.can_run
    assert (found.findings[0].subject, found.findings[0].level) == (Subject.WEIGHTS, Level.BAD)
    assert hub.sent_bytes("pytorch_model") == 0


def test_pickles_that_pytorch_can_read_are_a_note_here(carryon_home, tmp_path):
    pytest.importorskip("torch")
    folder = write_folder(tmp_path / "m")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    found = inspected(carryon_home, folder_source(folder))
    assert (found.findings[0].level, found.converter) == (Level.NOTE, Converter.OURS)
    assert found.targets
    assert found.can_run


def test_no_answer_is_an_error_with_a_next_step(hub, carryon_home):
    serve(hub, GUIDE)
    hub.fault("cut", path=r"/cdn/", after=10)
    with pytest.raises(Offline) as caught:
        inspected(carryon_home, Source(SourceKind.REPOSITORY, REPO))
    assert caught.value.hint
    assert everything_in(carryon_home.cache / "preflight") == []


def test_what_llama_cpp_could_convert_is_said_truly(carryon_home, tmp_path):
    found = inspected(carryon_home, folder_source(write_folder(tmp_path / "m", architectures=["BloomForCausalLM"])))
    assert found.converter is Converter.UPSTREAM
    assert any("llama.cpp's own converter could do it" in one.message for one in found.findings)
    assert found.targets  # estimates, and said to be
    assert any("estimates" in one.message for one in found.findings)


def test_what_nobody_converts_cannot_run(carryon_home, tmp_path):
    found = inspected(carryon_home, folder_source(write_folder(tmp_path / "m", architectures=["NobodyForCausalLM"])))
    assert (found.converter, found.can_run, found.targets) == (Converter.IMPOSSIBLE, False, ())
    assert [one.subject for one in found.findings if one.level is Level.BAD] == [Subject.ARCHITECTURE]


def test_a_compressed_copy_names_the_original(carryon_home, tmp_path):
    folder = write_folder(tmp_path / "m", quantization_config={"quant_method": "awq", "bits": 4})
    found = inspected(carryon_home, folder_source(folder))
    bad = next(one for one in found.findings if one.level is Level.BAD)
    assert bad.subject is Subject.WEIGHTS
    assert "AWQ" in bad.message
    assert "original" in bad.hint


@pytest.mark.slow
def test_a_model_without_a_template_is_told(carryon_home, tmp_path):
    found = inspected(carryon_home, folder_source(write_folder(tmp_path / "m", settings={"eos_token": "<|im_end|>"})))
    template = next(one for one in found.findings if one.subject is Subject.TEMPLATE)
    assert template.level is Level.NOTE


@pytest.mark.slow
def test_a_disk_that_is_too_small_is_in_the_way(carryon_home, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: USAGE(10**9, 10**9, 1_000_000))
    found = inspected(carryon_home, folder_source())
    disk = next(one for one in found.findings if one.subject is Subject.DISK)
    assert (disk.level, found.can_run) == (Level.BAD, False)
    assert "missing" in disk.message
    assert disk.hint


@pytest.mark.slow
def test_time_is_a_guess_until_it_was_measured_here(carryon_home):
    guess = inspected(carryon_home, folder_source())
    rates = {(StageKind.CONVERT, "Q8_0"): 1_000_000.0}
    known = inspected(carryon_home, folder_source(), units_per_s=lambda kind, quant: rates.get((kind, quant)))
    said = [next(one.message for one in found.findings if one.subject is Subject.TIME) for found in (guess, known)]
    assert "guess" in said[0]
    assert "before" in said[1]
    assert known.duration_s == pytest.approx(11.1 + 1.0, abs=0.2)


def test_a_gguf_file_is_looked_at_too(carryon_home):
    found = inspected(carryon_home, Source(SourceKind.GGUF, str(GUIDE / "guide-Q8_0.gguf")))
    assert (found.converter, found.architecture) == (Converter.NONE, "llama")
    weights = found.findings[0]
    assert (weights.subject, weights.level) == (Subject.WEIGHTS, Level.NOTE)
    assert "already" in weights.message
    assert {"Q4_K_M", "Q6_K"} <= {one.quant for one in found.targets}


@pytest.mark.parametrize("place", ["nobody here", "a/b/c"])
def test_what_is_no_name_of_a_repository_is_refused(hub, carryon_home, place):
    with pytest.raises(BadInput):
        inspected(carryon_home, Source(SourceKind.REPOSITORY, place))


def test_an_empty_folder_is_refused(carryon_home, tmp_path):
    with pytest.raises(BadFile):
        inspected(carryon_home, folder_source(tmp_path))
