"""What was measured is kept for its file: over restarts and moves, never for another file, whatever the rows say."""

import sqlite3
from dataclasses import replace

import pytest
from fakes import tiny_gguf
from fakes.evaluated import BASE, MEASURED
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carryon.app.evaluations import MOST_ROWS, Evaluations
from carryon.app.fitting import Fitting
from carryon.base.jobs import drained
from carryon.base.paths import Home
from carryon.evaluate.result import Evaluation
from carryon.fit import words
from carryon.fit.quality import Grade


@pytest.fixture
def kept(carryon_home: Home):
    made = Evaluations(carryon_home.library)
    yield made
    made.close()


@pytest.fixture
def files(tmp_path):
    """Two files as an evaluation has them."""
    folder = tmp_path / "models"
    folder.mkdir()
    base, other = folder / "m-F16.gguf", folder / "m-Q4_K_M.gguf"
    base.write_bytes(b"base" * 50_000)
    other.write_bytes(b"quant" * 20_000)
    return base, other


def evaluation(files, **changes):
    base, other = files
    measured = replace(MEASURED, path=other, base=base)
    return Evaluation(replace(BASE, path=base), (replace(measured, **changes),))


def test_a_new_home_knows_nothing(kept, files):
    assert kept.of(files[1]) is None
    assert kept.measured_quality(files[1]) is None
    assert kept.all() == ()


def test_what_was_kept_is_known_after_a_restart(kept, files, carryon_home):
    kept.keep(evaluation(files))
    again = Evaluations(carryon_home.library)
    assert again.of(files[1]) == evaluation(files).others[0]
    assert again.of(files[0]) == evaluation(files).base
    assert {one.quant for one in again.all()} == {"F16", "Q4_K_M"}
    again.close()


def test_the_fit_page_gets_a_quality(kept, files):
    kept.keep(evaluation(files))
    quality = kept.measured_quality(files[1])
    assert (quality.grade, quality.kl_divergence, quality.measured_against) == (Grade.VERY_GOOD, 0.0131, "F16")
    assert quality.perplexity_rise == pytest.approx(0.012)
    assert words.quality_text(quality) == "measured: +1.2 % perplexity, KL 0.013"
    assert words.quality_sentence(quality) == (
        "Quality: very good, measured: +1.2 % perplexity, KL 0.013 (against F16)."
    )


def test_a_base_has_no_measured_quality(kept, files):
    kept.keep(evaluation(files))
    assert kept.measured_quality(files[0]) is None


def test_a_file_compared_with_itself_has_none_either(kept, files):
    base, _ = files
    itself = replace(MEASURED, path=base, base=base)
    kept.keep(Evaluation(replace(BASE, path=base), (itself,)))
    assert kept.measured_quality(base) is None


def test_figures_follow_a_file_that_was_moved(kept, files, tmp_path):
    kept.keep(evaluation(files))
    moved = tmp_path / "elsewhere.gguf"
    files[1].rename(moved)
    moved.touch()
    assert kept.of(moved).kl_divergence == 0.0131
    assert kept.of(moved).path == moved
    assert kept.of(files[1]) is None


def test_a_moved_file_is_looked_through_only_once(kept, files, tmp_path, monkeypatch):
    kept.keep(evaluation(files))
    moved = files[1].rename(tmp_path / "elsewhere.gguf")
    assert kept.of(moved)
    monkeypatch.setattr("carryon.app.evaluations.fingerprint", lambda path: pytest.fail(f"{path} was read again"))
    assert kept.of(moved)


@pytest.mark.parametrize("change", [b"other" * 20_000, b"longer" * 30_000])
def test_another_file_of_the_same_name_is_not_known(kept, files, change):
    kept.keep(evaluation(files))
    files[1].write_bytes(change)
    assert kept.of(files[1]) is None


def test_the_latest_of_one_text_and_base_counts(kept, files):
    kept.keep(evaluation(files, kl_divergence=0.5))
    kept.keep(evaluation(files, kl_divergence=0.02))
    assert kept.of(files[1]).kl_divergence == 0.02
    assert len(kept.all()) == 2


def test_what_was_compared_says_more_than_what_was_not(kept, files):
    kept.keep(evaluation(files))
    kept.keep(Evaluation(replace(BASE, path=files[1], when_s=BASE.when_s + 100), ()))
    assert kept.of(files[1]).kl_divergence == 0.0131


def test_a_file_that_is_gone_meanwhile_is_no_error(kept, files):
    files[1].unlink()
    kept.keep(evaluation(files))
    assert kept.of(files[1]) is None


def test_the_table_stays_bounded(kept, files, monkeypatch):
    monkeypatch.setattr("carryon.app.evaluations.MOST_ROWS", 3)
    for number in range(6):
        kept.keep(evaluation(files, text_sha256=f"{number:064}", when_s=1e9 + number))
    assert len(kept.all()) == 3
    assert MOST_ROWS > 100


ODD = st.one_of(st.none(), st.text(max_size=30), st.binary(max_size=30), st.integers(-(2**63), 2**63 - 1), st.floats())


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(column=st.sampled_from(["fields", "when_s", "path", "size_bytes", "mtime_ns", "base"]), value=ODD)
def test_hostile_rows_do_no_harm(kept, files, carryon_home, column, value):
    kept.keep(evaluation(files))
    with sqlite3.connect(carryon_home.library) as db:
        try:
            db.execute(f"UPDATE evaluation SET {column} = ? WHERE base != ''", (value,))
        except sqlite3.IntegrityError:
            return
    kept.measured_quality(files[1])
    assert all(one.perplexity > 0 for one in kept.all())


def test_half_a_row_hides_no_good_one(kept, files, carryon_home):
    kept.keep(evaluation(files))
    with sqlite3.connect(carryon_home.library) as db:
        db.execute("UPDATE evaluation SET fields = substr(fields, 1, 50) WHERE base != ''")
    assert kept.of(files[1]) is None
    assert [one.quant for one in kept.all()] == ["F16"]


def test_a_damaged_file_is_set_aside(files, carryon_home):
    carryon_home.library.parent.mkdir(parents=True)
    carryon_home.library.write_bytes(b"no database" * 100)
    fresh = Evaluations(carryon_home.library)
    fresh.keep(evaluation(files))
    assert fresh.of(files[1])
    fresh.close()


def test_the_fit_of_a_file_knows_what_was_measured(carryon_home, tmp_path):
    path = tiny_gguf.random_model(tmp_path / "m-F16.gguf")
    base = tmp_path / "base.bin"
    base.write_bytes(b"another")
    kept = Evaluations(carryon_home.library)
    kept.keep(Evaluation(replace(BASE, path=base), (replace(MEASURED, path=path, base=base),)))
    kept.close()
    fitting = Fitting(carryon_home)
    named = drained(fitting.reading(path)).named
    fitting.close()
    assert named.measured.kl_divergence == 0.0131
