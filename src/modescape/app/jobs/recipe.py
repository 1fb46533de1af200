"""Recipes: a TOML file that configures one or more studies, checked strictly, with overrides from the command line."""

import difflib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from importlib import resources
from pathlib import Path
from typing import Any, get_type_hints

import pydantic

from modescape.core.settings import settings
from modescape.core.training.settings import Training
from modescape.errors import SettingsError
from modescape.studies.abstract import Study
from modescape.studies.alignment import Alignment
from modescape.studies.catalogue import STUDIES
from modescape.studies.causes import Causes
from modescape.studies.connectors import Connectors
from modescape.studies.cross_sections import CrossSections
from modescape.studies.curvature import Curvature
from modescape.studies.disagreement import Disagreement
from modescape.studies.diversity_accuracy import DiversityAccuracy
from modescape.studies.ensembling import Ensembling
from modescape.studies.setup import DataChoice, MethodChoice, NetworkChoice, Setup, SubspaceSettings
from modescape.studies.shift import Shift
from modescape.studies.subspace_embedding import SubspaceEmbedding
from modescape.studies.trajectories import Trajectories

DEFAULT = "digits"
"""The recipe of the main job."""


@settings
class Recipe:
    """Everything that a recipe file says. ``reduces`` names the recipe of which this one is a smaller version."""

    title: str
    description: str = ""
    studies: tuple[str, ...]
    seed: int = 0
    reduces: str = ""
    data: DataChoice
    network: NetworkChoice
    training: Training
    subspaces: SubspaceSettings = SubspaceSettings()
    methods: MethodChoice = MethodChoice()
    trajectories: Trajectories = Trajectories()
    disagreement: Disagreement = Disagreement()
    diversity_accuracy: DiversityAccuracy = DiversityAccuracy()
    subspace_embedding: SubspaceEmbedding = SubspaceEmbedding()
    connectors: Connectors = Connectors()
    alignment: Alignment = Alignment()
    cross_sections: CrossSections = CrossSections()
    ensembling: Ensembling = Ensembling()
    shift: Shift = Shift()
    curvature: Curvature = Curvature()
    causes: Causes = Causes()

    def __post_init__(self) -> None:
        unknown = [name for name in self.studies if name not in STUDIES]
        if unknown or not self.studies:
            named = f"there is no study {unknown[0]!r}" if unknown else "studies is empty"
            raise ValueError(f"{named}; choose from {', '.join(STUDIES)}")
        _ = self.setup

    @property
    def setup(self) -> Setup:
        """What all studies share."""
        return Setup(
            data=self.data,
            network=self.network,
            training=self.training,
            subspaces=self.subspaces,
            methods=self.methods,
            seed=self.seed,
        )

    def study(self, name: str) -> Study:
        """A study with its settings."""
        study: Study = getattr(self, name)
        return study

    def record(self) -> dict[str, Any]:
        """The recipe as nested plain values."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain


@dataclass(frozen=True)
class Source:
    """A recipe's text and what to call it."""

    name: str
    text: str
    where: str


def shipped() -> dict[str, str]:
    """Names of the recipes that come with modescape, with their titles."""
    folder = resources.files("modescape.recipes")
    names = sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml"))
    return {name: str(tomllib.loads((folder / f"{name}.toml").read_text())["title"]) for name in names}


def find(recipe: str) -> Source:
    """A recipe by name or by path. Raises ``SettingsError``."""
    path = Path(recipe)
    if path.suffix == ".toml" or "/" in recipe:
        try:
            return Source(path.stem, path.read_text(), recipe)
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise SettingsError(f"cannot read the recipe {recipe}: {reason}") from error
    names = shipped()
    if recipe not in names:
        near = difflib.get_close_matches(recipe, names, n=1)
        hint = (
            f"did you mean {near[0]}?" if near else f"choose one of {', '.join(names)}, or give a path to a .toml file"
        )
        raise SettingsError(f"there is no recipe {recipe!r}; {hint}")
    text = (resources.files("modescape.recipes") / f"{recipe}.toml").read_text()
    return Source(recipe, text, f"recipe {recipe}")


def read(source: Source, overrides: Sequence[str] = (), factory: str | None = None, trust: bool = False) -> Recipe:
    """The recipe, with ``a.b=value`` overrides applied (values as in TOML; bare words are text).

    ``factory`` takes the place of the file's network. A factory that the file itself names is code that would be run:
    it is refused unless the caller trusts the file.
    Raises ``SettingsError`` that names the key at fault and, for an unknown key, the nearest that exists.
    """
    try:
        record = tomllib.loads(source.text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{source.where} is not TOML: {error}") from error
    network = record.get("network")
    if isinstance(network, dict) and "factory" in network and not trust:
        raise SettingsError(
            f"{source.where} wants to run code of its own, network.factory = {network['factory']!r}; "
            "add --trust if you know where it comes from"
        )
    for override in overrides:
        apply(record, override)
    if factory is not None:
        options = {} if not isinstance(network, dict) or "name" in network else network.get("options", {})
        record["network"] = {"factory": factory, "options": options}
    return validate(record, source.where)


def validate(record: Mapping[str, Any], where: str) -> Recipe:
    """The recipe that nested plain values describe. Raises ``SettingsError``."""
    try:
        text = json.dumps(record)
    except TypeError as error:
        raise SettingsError(f"{where}: dates and times have no place in a recipe") from error
    try:
        # strict reading of JSON takes an array for a tuple, which strict reading of Python objects would not
        return pydantic.TypeAdapter(Recipe).validate_json(text)
    except pydantic.ValidationError as error:
        raise SettingsError(_explain(error, where)) from error


def apply(record: dict[str, Any], override: str) -> None:
    """Put one override, ``a.b=value``, into nested plain values. Raises ``SettingsError``."""
    key, equals, text = override.partition("=")
    path = key.strip().split(".")
    if not equals or not all(path):
        raise SettingsError(f"--set {override}: write it as name=value, for example --set training.epochs=3")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    inner = record
    for part in path[:-1]:
        inner = inner.setdefault(part, {})
        if not isinstance(inner, dict):
            raise SettingsError(f"--set {override}: {part} is a value, not a table")
    inner[path[-1]] = value


def _explain(error: pydantic.ValidationError, where: str) -> str:
    problems = _one_for_each_key(error.errors(include_url=False, include_context=False))
    lines = [_problem(problem) for problem in problems[:5]]
    more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
    return f"{where}: {'; '.join(lines)}{more}"


def _one_for_each_key(problems: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Where a field may be of several types, pydantic says for each why it is not that: keep what went deepest."""
    found: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for problem in problems:
        place = tuple(part for part in problem["loc"] if not _is_branch(part))
        field = tuple(part for part in place if not isinstance(part, int))
        union = place != problem["loc"]
        key = field if union else place
        if key not in found or len(place) > len(found[key]["loc"]):
            found[key] = {**problem, "loc": place}
    return list(found.values())


def _is_branch(part: str | int) -> bool:
    return isinstance(part, str) and (part == "float" or part.startswith("tuple["))


def _problem(problem: Mapping[str, Any]) -> str:
    path = [str(part) for part in problem["loc"]]
    key = ".".join(path)
    if problem["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        known = _known_keys(path[:-1])
        near = difflib.get_close_matches(path[-1], known, n=1, cutoff=0.5)
        hint = f"did you mean {'.'.join([*path[:-1], near[0]])}?" if near else f"choose from {', '.join(known)}"
        return f"unknown key {key}; {hint}"
    if problem["type"] == "missing":
        return f"{key} is missing"
    message = str(problem["msg"]).removeprefix("Value error, ")
    given = problem.get("input")
    shown = (
        f" (got {given!r})" if isinstance(given, str | int | float | bool) and problem["type"] != "value_error" else ""
    )
    if message.split()[0] in _known_keys(path):
        return f"{'.'.join([*path, message])}{shown}"
    return f"{key}: {message}{shown}" if key else f"{message}{shown}"


def _known_keys(path: Sequence[str]) -> list[str]:
    owner: Any = Recipe
    for part in path:
        hints = get_type_hints(owner) if is_dataclass(owner) else {}
        owner = hints.get(part)
    return [field.name for field in fields(owner)] if isinstance(owner, type) and is_dataclass(owner) else []
