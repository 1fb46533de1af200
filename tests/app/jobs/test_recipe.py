"""Recipes: what is read, what is refused, and that a refusal names the key, the value and the nearest that exists."""

import copy
import string
import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modescape.app.jobs import recipe
from modescape.app.jobs.recipe import DEFAULT, Recipe, Source, find, read, shipped, validate
from modescape.errors import SettingsError

TEXT = """
title = "T"
studies = ["trajectories"]
[data]
name = "digits"
[network]
name = "small_cnn"
options = { channels = [4, 4], dropout = 0.1 }
[training]
members = 3
[training.optimiser]
rate = 1e-3
[training.schedule]
kind = "steps"
at = [1, 2]
factors = [0.5, 0.1]
[training.checkpoints]
every = 2
[trajectories]
perplexities = [5.0]
"""
RECORD = tomllib.loads(TEXT)


def source(text=TEXT):
    return Source("mine", text, "mine.toml")


def refused(text=TEXT, overrides=(), **options):
    with pytest.raises(SettingsError) as error:
        read(source(text), overrides, **options)
    message = str(error.value)
    assert "\n" not in message
    return message


def with_value(path, value):
    record = copy.deepcopy(RECORD)
    *outer, last = path.split(".")
    inner = record
    for part in outer:
        inner = inner.setdefault(part, {})
    inner[last] = value
    return record


def told(path, value):
    with pytest.raises(SettingsError) as error:
        validate(with_value(path, value), "mine.toml")
    return str(error.value)


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_recipe_reads_and_says_what_it_is(name):
    found = read(find(name))
    assert found.title == shipped()[name]
    assert found.studies
    assert found.record()["data"]["name"] == found.data.name
    # what is read is what is written: read again from its own record it is the same recipe
    assert (
        validate(found.record() | {"network": {k: v for k, v in found.record()["network"].items() if v}}, "") == found
    )


def test_the_default_is_shipped_and_every_study_named_can_be_had():
    assert DEFAULT in shipped()
    found = read(source())
    assert found.study("trajectories").perplexities == (5.0,)
    assert found.training.schedule.at == (1, 2)
    assert found.training.optimiser.rate == 1e-3
    assert found.network.options == {"channels": (4, 4), "dropout": 0.1}
    assert found.setup.seed == 0


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("sed", "seed"),
        ("trainings", "training"),
        ("data.nam", "data.name"),
        ("network.option", "network.options"),
        ("training.epoch", "training.epochs"),
        ("training.optimiser.rates", "training.optimiser.rate"),
        ("training.optimiser.weightdecay", "training.optimiser.weight_decay"),
        ("training.schedule.factor", "training.schedule.factors"),
        ("training.checkpoints.evry", "training.checkpoints.every"),
        ("trajectories.perplexity", "trajectories.perplexities"),
    ],
)
def test_an_unknown_key_names_the_nearest_at_every_depth(path, near):
    assert told(path, 1) == f"mine.toml: unknown key {path}; did you mean {near}?"


@pytest.mark.parametrize(
    ("path", "known"),
    [("zzz", "title, description, studies, seed"), ("training.zzz", "members, epochs"), ("data.zzz", "name, train")],
)
def test_an_unknown_key_with_nothing_near_names_all_there_are(path, known):
    assert f"unknown key {path}; choose from {known}" in told(path, 1)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("training.members", "3", "training.members: Input should be a valid integer (got '3')"),
        ("training.members", 3.0, "training.members: Input should be a valid integer"),
        ("training.members", True, "training.members: Input should be a valid integer"),
        ("training.optimiser.rate", "fast", "training.optimiser.rate: Input should be a valid number (got 'fast')"),
        ("training.optimiser.rate", [0.1, "x"], "training.optimiser.rate.1: Input should be a valid number (got 'x')"),
        ("training.optimiser.nesterov", 1, "training.optimiser.nesterov: Input should be a valid boolean"),
        ("training.schedule.kind", "linear", "training.schedule.kind: Input should be 'constant', 'halving'"),
        ("training.schedule.at", [1, "2"], "training.schedule.at.1: Input should be a valid integer"),
        ("data.scaling", 3, "data.scaling: Input should be"),
        ("studies", "trajectories", "studies: Input should be a valid"),
        ("title", 7, "title: Input should be a valid string"),
    ],
)
def test_a_wrong_type_names_the_key_and_what_was_given(path, value, said):
    assert said in told(path, value)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("training.members", 0, "training.members must be at least 1, got 0"),
        ("training.label_smoothing", 1.0, "training.label_smoothing must lie in [0, 1), got 1.0"),
        ("training.optimiser.rate", -1.0, "training.optimiser.rate must be positive and finite, got -1.0"),
        ("training.optimiser.momentum", 1.0, "training.optimiser.momentum must lie in [0, 1)"),
        ("training.schedule.at", [2, 1], "training.schedule.at must be rising epochs above 0, got [2, 1]"),
        ("training.schedule.every", 0, "training.schedule.every must be at least 1 epoch, got 0"),
        ("training.checkpoints.every", 0, "training.checkpoints.every must be at least 1, got 0"),
        ("trajectories.draws", 1, "trajectories.draws must be at least 100 for an interval, got 1"),
        ("trajectories.perplexities", [0.0], "trajectories.perplexities must be above 0, got [0.0]"),
        ("data.train", 0, "data.train must be at least 1 example, got 0"),
        ("network.name", "vgg", "network: there is no network 'vgg'; choose small_cnn"),
        ("network.factory", "a:b", "network: give either name"),
        ("seed", -1, "seed must lie in [0, 2**63), got -1"),
        ("studies", ["trajectory"], "there is no study 'trajectory'; choose from trajectories"),
        ("studies", [], "studies is empty; choose from trajectories"),
    ],
)
def test_an_impossible_value_names_the_whole_path(path, value, said):
    assert told(path, value).startswith(f"mine.toml: {said}")


def test_what_is_missing_and_what_else_is_wrong_is_told_together():
    record = {name: value for name, value in RECORD.items() if name != "data"} | {"sed": 1}
    with pytest.raises(SettingsError) as error:
        validate(record, "mine.toml")
    assert "data is missing" in str(error.value)
    assert "unknown key sed; did you mean seed?" in str(error.value)
    with pytest.raises(SettingsError, match=r"; and \d+ more$"):
        validate(RECORD | {f"x{n}": n for n in range(9)}, "mine.toml")


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a = 1\nb = \n", "line 2"),
        ("[data\n", "line 1"),
        ('title = "a"\ntitle = "b"\n', "line 2"),
        ("x = 1\ny 2", "line 2"),
    ],
)
def test_what_is_no_toml_is_told_with_its_line(text, where):
    said = refused(text)
    assert said.startswith("mine.toml is not TOML: ")
    assert where in said


def test_a_date_has_no_place_in_a_recipe():
    assert refused(f"day = 2020-01-01\n{TEXT}") == "mine.toml: dates and times have no place in a recipe"


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("training.members=7", "training.members", 7),
        (" training.members = 7 ", "training.members", 7),
        ("seed=0x10", "seed", 16),
        ("training.optimiser.rate=1e-4", "training.optimiser.rate", 1e-4),
        ("training.optimiser.name=adamw", "training.optimiser.name", "adamw"),
        ('training.optimiser.name="adamw"', "training.optimiser.name", "adamw"),
        ("title=A title, of words", "title", "A title, of words"),
        ("title=  A title ", "title", "A title"),
        ("title=a=b", "title", "a=b"),
        ("title=", "title", ""),
        ("trajectories.perplexities=[2.0, 3.0]", "trajectories.perplexities", [2.0, 3.0]),
        ("network.options.channels=[8]", "network.options.channels", [8]),
        ("network.options={dropout = 0.5}", "network.options", {"dropout": 0.5}),
        ("data.scaling=unit", "data.scaling", "unit"),
    ],
)
def test_overrides_take_text_numbers_arrays_and_tables(override, key, value):
    found = read(source(), [override]).record()
    for part in key.split("."):
        found = found[part]
    assert found == value


def test_the_last_override_wins_and_tables_that_were_not_there_are_made():
    bare = TEXT[: TEXT.index("[training.checkpoints]")]
    found = read(source(bare), ["training.checkpoints.every=2", "training.checkpoints.every=5"])
    assert found.training.checkpoints.every == 5


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("training.members", "--set training.members: write it as name=value"),
        ("=3", "--set =3: write it as name=value"),
        ("training..members=3", "write it as name=value"),
        (".=3", "write it as name=value"),
        ("", "--set : write it as name=value"),
        ("title.x=3", "--set title.x=3: title is a value, not a table"),
        ("training.members.x=3", "members is a value, not a table"),
        ("training=3", "training: Input should be"),
        ("training.epoch=3", "unknown key training.epoch; did you mean training.epochs?"),
        ("training.members=three", "training.members: Input should be a valid integer (got 'three')"),
        ("training.members=[", "training.members: Input should be a valid integer (got '[')"),
        ("seed=2020-01-01", "dates and times have no place"),
    ],
)
def test_a_malformed_override_is_told(override, said):
    assert said in refused(overrides=[override])


FACTORY = TEXT.replace('name = "small_cnn"', 'factory = "mine:net"')


def test_code_that_a_file_names_is_run_only_if_the_file_is_trusted():
    said = refused(FACTORY)
    assert "mine.toml wants to run code of its own, network.factory = 'mine:net'; add --trust" in said
    assert refused(FACTORY, ["network.factory=other:net"]) == said
    assert read(source(FACTORY), trust=True).network.factory == "mine:net"


def test_a_factory_from_the_command_line_takes_the_place_of_the_network():
    found = read(source(), factory="mine:net").network
    assert (found.name, found.factory, found.options) == (None, "mine:net", {})
    kept = read(source(FACTORY), factory="other:net", trust=True).network
    assert (kept.factory, kept.options) == ("other:net", {"channels": (4, 4), "dropout": 0.1})
    assert "network.factory must read package.module:function, got 'mine'" in refused(factory="mine")


def test_recipes_are_found_by_name_and_by_path(tmp_path):
    (tmp_path / "own.toml").write_text(TEXT)
    found = find(str(tmp_path / "own.toml"))
    assert (found.name, found.text) == ("own", TEXT)
    assert find("smoke").where == "recipe smoke"
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    for name, said in {
        "smok": "there is no recipe 'smok'; did you mean smoke?",
        "zzzzzz": "there is no recipe 'zzzzzz'; choose one of cifar10-medium-cnn",
        str(tmp_path / "none.toml"): "No such file or directory",
        f"{tmp_path}/": "Is a directory",
        str(tmp_path / "binary.toml"): "it is not text",
    }.items():
        with pytest.raises(SettingsError) as error:
            find(name)
        assert said in str(error.value)


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(string.printable, max_size=8)
    | st.sampled_from(["trajectories", "small_cnn", "adam", "steps", "a:b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(string.ascii_letters, max_size=5), inner),
    max_leaves=6,
)


def paths(record, before=()):
    for name, value in record.items():
        yield (*before, name)
        if isinstance(value, dict):
            yield from paths(value, (*before, name))


@st.composite
def mutated(draw):
    record = copy.deepcopy(RECORD)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(paths(record))))
        inner = record
        for part in path[:-1]:
            inner = inner[part]
        match draw(st.sampled_from(["replace", "remove", "add", "rename"])):
            case "replace":
                inner[path[-1]] = draw(ANYTHING)
            case "remove":
                del inner[path[-1]]
            case "add":
                inner[draw(st.text(string.ascii_letters, max_size=6))] = draw(ANYTHING)
            case "rename":
                inner[path[-1] + draw(st.sampled_from("sx."))] = inner.pop(path[-1])
        if not record:
            break
    return record


@settings(max_examples=300, deadline=None, derandomize=True)
@given(record=mutated())
def test_whatever_a_recipe_says_it_is_read_or_refused_in_words(record):
    try:
        found = validate(record, "mine.toml")
    except SettingsError as error:
        assert str(error).startswith("mine.toml: ")
        assert len(str(error)) > len("mine.toml: ")
    else:
        assert isinstance(found, Recipe)
        assert found.studies == ("trajectories",) * len(found.studies)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(text=st.text(string.printable, max_size=20), key=st.sampled_from(["training.members", "title", "a.b", "data"]))
def test_whatever_an_override_says_it_is_taken_or_refused_in_words(text, key):
    for override in (text, f"{key}={text}"):
        try:
            found = read(source(), [override])
        except SettingsError as error:
            assert str(error)
        else:
            assert isinstance(found, Recipe)


def test_the_keys_of_a_table_are_those_of_its_settings():
    assert recipe._known_keys(["training", "checkpoints"]) == ["every", "unit"]
    assert recipe._known_keys(["training", "nowhere"]) == []
