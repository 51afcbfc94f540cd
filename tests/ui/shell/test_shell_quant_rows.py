"""A line of a table of quants, whichever page shows it."""

from dataclasses import replace

from fakes.fits import GB, fit

from carryon.fit.quality import measured_quality
from carryon.ui.quant_rows import COLUMNS, bare_row, memory_header, more_text, row_of, shown_fits


def test_a_row_has_a_cell_for_every_column():
    row = row_of(fit("Q5_K_M"), "Q5_K_M")
    assert len(row.cells) == len(COLUMNS)
    assert row.tags == ("best for you",)


def test_what_is_here_and_what_goes_on_stand_beside_the_quant():
    row = row_of(fit("Q5_K_M", path="/m.gguf"), "", "downloading 42 %")
    assert row.tags == ("here", "downloading 42 %")
    assert row.spoken.startswith("Q5_K_M, here, downloading 42 %, Size 5.4 GB, ")


def test_a_larger_mix_has_the_quality_of_the_type_under_it():
    plain, larger = row_of(fit("Q4_K_M"), ""), row_of(fit("UD-Q4_K_XL"), "")
    assert larger.cells[-1] == plain.cells[-1] != "—"


def test_what_was_measured_stands_in_place_of_what_is_typical():
    typical = fit("Q4_K_M", path="/m.gguf")
    measured = replace(typical.candidate, measured=measured_quality(0.012, 0.0131, "F16"))
    assert row_of(replace(typical, candidate=measured), "").cells[-1] == "measured: +1.2 % perplexity, KL 0.013"


def test_of_a_bare_row_only_the_size_is_known():
    row = bare_row("Q4_K_M", 5 * GB, is_here=True)
    assert row.cells == ("Q4_K_M", "5.4 GB", "—", "—", "—", "—", "good")
    assert (row.verdict, row.tags) == (None, ("here",))


def test_the_usual_ones_are_shown_and_what_matters_here():
    fits = [fit(quant) for quant in ("Q8_0", "Q5_1", "Q4_K_M", "IQ2_M", "Q4_0")]
    here = replace(fits[4], candidate=replace(fits[4].candidate, path="/m.gguf"))
    shown = shown_fits([*fits[:4], here], "IQ2_M", "Q8_0", shows_all=False)
    assert [one.candidate.quant for one in shown] == ["Q8_0", "Q4_K_M", "IQ2_M", "Q4_0"]
    assert len(shown_fits(fits, "", "", shows_all=True)) == 5


def test_words_around_the_table():
    assert memory_header(16384) == "Memory at 16k"
    assert memory_header(None) == "Memory"
    assert more_text(3, shows_all=False) == "Show 3 more quants"
