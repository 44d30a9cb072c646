"""Reading a config: a YAML file, a preset under it, and settings from the command line above it."""

from __future__ import annotations

import copy
import difflib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from lsr.errors import DataError, InputError
from lsr.training.config.own_loss import OwnLoss
from lsr.training.config.presets import preset
from lsr.training.config.train import TrainConfig

__all__ = ["config_of", "read_config", "written_config"]

FORMER = {"own_terms": "lexical_terms", "use": "search_defaults"}
"""Keys of version 0.1, which are still read."""

TAGS: dict[type[BaseModel], str] = {OwnLoss: "own"}
"""Members of unions that no one kind stands for, as the location of an error names them."""


def read_config(path: Path, settings: Sequence[str] = ()) -> TrainConfig:
    """The run that a file describes.

    Args:
        path: texts in it may hold environment variables as `${NAME}`.
        settings: `key.path=value`, such as `stages.0.optim.lr=3e-5`; a key of a stage without
            `stages` is set in every stage. Values are YAML.

    Raises:
        DataError: the file cannot be read, or is no YAML mapping.
        InputError: an unknown key (names the nearest known one), a value out of range, an unknown
            preset.
    """
    import yaml

    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", path=path) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"is not YAML: {str(error).splitlines()[0]}", path=path) from error
    if not isinstance(given, dict):
        raise DataError("is not a mapping of keys to values", path=path)
    return config_of(given, settings, str(path))


def config_of(given: dict[str, Any], settings: Sequence[str], where: str) -> TrainConfig:
    """A config from its keys and values; see `read_config`.

    Args:
        where: what holds them, for messages.
    """
    import yaml

    try:
        given = _renamed(copy.deepcopy(given))
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    for setting in settings:
        _set(given, setting, yaml)
    try:
        return TrainConfig.model_validate(_with_variables(_over_preset(given)))
    except ValidationError as error:
        raise InputError(f"{where}: {_complaint(error)}") from error
    except InputError as error:  # of a part that checks itself, such as own terms
        raise InputError(f"{where}: {error}") from error


def written_config(config: TrainConfig) -> str:
    """The whole config as YAML, with defaults; reading it gives the same config."""
    import yaml

    text: str = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, width=100)
    return text


def _over_preset(given: dict[str, Any]) -> dict[str, Any]:
    """The preset's values where `given` says nothing; its stage under each given stage."""
    name = given.get("preset")
    if name is None:
        return given
    base = preset(str(name))
    stage = base.pop("stage", {})
    merged = _merged(base, given)
    stages = given.get("stages")
    if isinstance(stages, list) and all(isinstance(each, dict) for each in stages):
        merged["stages"] = [_merged(stage, each) for each in stages]
    return merged


def _renamed(given: dict[str, Any]) -> dict[str, Any]:
    """The config with today's keys in the places that had others; other keys stay what they are."""
    renamed = _with_key(given, "use")
    if isinstance(defaults := renamed.get("search_defaults"), dict):
        renamed["search_defaults"] = _with_key(defaults, "own_terms")
    if isinstance(stages := renamed.get("stages"), list):
        renamed["stages"] = [
            each | {"scores": _with_key(each["scores"], "own_terms")}
            if isinstance(each, dict) and isinstance(each.get("scores"), dict)
            else each
            for each in stages
        ]
    return renamed


def _with_key(given: dict[str, Any], former: str) -> dict[str, Any]:
    key = FORMER[former]
    if former in given and key in given:
        raise InputError(f"{former!r} is the former name of {key!r}, and both are given; keep one")
    return {key if each == former else each: value for each, value in given.items()}


def _path(name: str) -> list[str]:
    """The keys of a setting, by today's names."""
    keys = name.split(".")
    if keys[0] == "use":
        keys[0] = FORMER["use"]
    if "own_terms" not in keys:
        return keys
    place = keys.index("own_terms")
    if place and keys[place - 1] in ("scores", "search_defaults"):
        keys[place] = FORMER["own_terms"]
    return keys


def _with_variables(value: Any) -> Any:
    """`${NAME}` in any text is an environment variable's value; unknown ones are refused."""
    match value:
        case str():
            full = os.path.expandvars(value)
            if "${" in full:
                name = full.split("${", 1)[1].split("}", 1)[0]
                raise InputError(f"{value!r} needs the environment variable {name}; set it")
            return full
        case dict():
            return {key: _with_variables(each) for key, each in value.items()}
        case list():
            return [_with_variables(each) for each in value]
    return value


def _merged(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(low)
    for key, value in high.items():
        below = result.get(key)
        result[key] = value
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            kind = below.get("kind")
            if value.get("kind", kind) == kind:
                result[key] = _merged(below, value)
    return result


def _set(given: dict[str, Any], setting: str, yaml: Any) -> None:
    name, equals, text = setting.partition("=")
    if not equals or not name:
        raise InputError(f"--set {setting!r} is not KEY=VALUE, such as optim.lr=3e-5")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"--set {name}: {text!r} is not a YAML value") from error
    if isinstance(value, str):
        with suppress(ValueError):  # YAML 1.1 reads 3e-5, without a point, as text
            value = float(value)
    keys = _path(name)
    stages = given.get("stages")
    if keys[0] not in TrainConfig.model_fields and isinstance(stages, list):
        for number in range(len(stages)):
            _put(given, ["stages", str(number), *keys], value, name)
        return
    _put(given, keys, value, name)


def _put(given: Any, keys: list[str], value: Any, name: str) -> None:
    here = given
    for key in keys[:-1]:
        if isinstance(here, list):
            if not key.isdigit() or int(key) >= len(here):
                raise InputError(f"--set {name}: there is no number {key} in that list")
            here = here[int(key)]
        elif isinstance(here, dict):
            here = here.setdefault(key, {})
        else:
            raise InputError(f"--set {name}: {key!r} is within a value that has no keys")
    if isinstance(here, list):
        if not keys[-1].isdigit() or int(keys[-1]) >= len(here):
            raise InputError(f"--set {name}: there is no number {keys[-1]} in that list")
        here[int(keys[-1])] = value
    elif isinstance(here, dict):
        here[keys[-1]] = value
    else:
        raise InputError(f"--set {name}: {keys[-1]!r} is within a value that has no keys")


def _complaint(error: ValidationError) -> str:
    """All that is wrong, in one sentence; unknown keys with the nearest known one."""
    said = []
    found = error.errors()
    for each in found:
        inside = [other["loc"] for other in found if len(other["loc"]) > len(each["loc"])]
        if any(loc[: len(each["loc"])] == each["loc"] for loc in inside):
            continue  # what holds a wrong value is wrong by it
        where = ".".join(str(part) for part in each["loc"] if part not in TAGS.values())
        if each["type"] == "extra_forbidden":
            key = str(each["loc"][-1])
            known = sorted(set(_keys_at(TrainConfig, [str(part) for part in each["loc"][:-1]])))
            near = difflib.get_close_matches(key, known, 1, 0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
            said.append(f"{where!r} is not a key of the config; {hint}")
        elif each["type"] == "missing":
            said.append(f"{where!r} is missing")
        elif each["type"] == "union_tag_invalid":
            tag, tags = each["ctx"]["tag"], each["ctx"]["expected_tags"]
            said.append(_unknown_choice(f"{where}.kind", tag, tags))
        elif each["type"] == "literal_error":
            said.append(_unknown_choice(where, each["input"], each["ctx"]["expected"]))
        elif each["type"] == "union_tag_not_found":
            said.append(f"{where!r} is {each['input']!r}: it says no kind, such as kind: NAME")
        else:
            message = each["msg"].removeprefix("Value error, ")
            said.append(f"{where!r} is {each['input']!r}: {message[:1].lower()}{message[1:]}")
    return "; ".join(said)


def _unknown_choice(where: str, given: object, expected: str) -> str:
    """A choice that there is not, with the nearest there is.

    Args:
        expected: the choices, in quotes, as pydantic lists them.
    """
    known = re.findall(r"'([^']*)'", expected)
    near = difflib.get_close_matches(str(given), known, 1, 0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{where!r} is {given!r}; {hint}known here: {', '.join(known)}"


def _keys_at(model: type[BaseModel], path: list[str]) -> list[str]:
    """Keys of the model at a location of an error, whatever unions are on the way."""
    models: list[type[BaseModel]] = [model]
    for part in path:
        inner: list[type[BaseModel]] = []
        for each in models:
            field = each.model_fields.get(part)
            if field is not None:
                inner += _models_in(field.annotation)
            elif part.isdigit() or each.model_fields.get("kind") is not None:
                kind = each.model_fields.get("kind")
                if part.isdigit() or (kind is not None and part in (kind.default, TAGS.get(each))):
                    inner.append(each)
        models = inner
    return [key for each in models for key in each.model_fields]


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """All models within a type, through unions, tuples and annotations."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)
