"""What the makers recommend for sampling reaches the engine."""

import json

import pytest
from model_folders import write_folder

from carryon.base.errors import BadFile
from carryon.convert.forms import OutType
from carryon.convert.sampling import sampling_settings


@pytest.fixture
def recommend(tmp_path):
    def recommend(**fields):
        (tmp_path / "generation_config.json").write_text(json.dumps(fields))
        return sampling_settings(tmp_path)

    return recommend


def test_nothing_recommended_is_nothing_written(tmp_path, recommend):
    assert sampling_settings(tmp_path) == {}
    assert recommend(eos_token_id=[1, 2], temperature=None) == {}


def test_every_setting_has_its_key(recommend):
    settings = recommend(do_sample=True, temperature=0.6, top_p=0.95, top_k=20, min_p=0.0, repetition_penalty=1.05)
    assert settings == {
        "general.sampling.temp": 0.6,
        "general.sampling.top_p": 0.95,
        "general.sampling.top_k": 20,
        "general.sampling.min_p": 0.0,
        "general.sampling.penalty_repeat": 1.05,
    }


def test_without_sampling_the_likeliest_token_is_taken(recommend):
    assert recommend(do_sample=False, temperature=0.9) == {"general.sampling.temp": 0.0}


def test_values_that_make_no_sense_are_left_out(recommend):
    assert recommend(temperature=-1, top_p=7, repetition_penalty=0) == {}


@pytest.mark.parametrize("fields", [{"temperature": "hot"}, {"top_k": 1.5}, {"do_sample": "maybe"}])
def test_a_damaged_file_is_said(recommend, fields):
    with pytest.raises(BadFile, match="generation_config"):
        recommend(**fields)


def test_a_converted_model_carries_them(tmp_path, converted):
    folder = write_folder(tmp_path / "m")
    (folder / "generation_config.json").write_text('{"do_sample": false, "top_k": 30}')
    fields = converted(folder, OutType.F16).fields
    assert fields["general.sampling.temp"].contents() == 0.0
    assert fields["general.sampling.top_k"].contents() == 30
