"""Changes to a config from the command line: ``tuner.prompts.frame=null schedule.epochs=5``.

A key is a path; the last part may be new, what leads to it must be there. A value is typed as in YAML, with lists
as ``[1, 2]``, ``(1, 2)`` or ``1,2``, strings in quotes where they would read as something else, ``None`` or ``null``,
and ``{type: set_bank, size: 10}`` for a block, which replaces the one before.
"""

import copy
from collections.abc import Sequence
from typing import Any

from copl_core.api import ConfigError
from copl_core.config.compose import Layer, drop_delete
from copl_core.config.origins import Origin, without
from copl_core.config.strict_yaml import parse_value
from copl_core.config.values import Problem, join, show
from copl_core.plugins.suggest import did_you_mean, listing

#: Top-level blocks that a config may leave out whole; every key in them has a default.
_OPTIONAL_BLOCKS = ("compute", "loggers", "plugins")
_PAIRS = {"(": ")", "[": "]", "{": "}"}


def apply_options(config: dict[str, Any], options: Sequence[str]) -> dict[str, Any]:
    """Return a copy of the config with the options applied in order.

    Args:
        config: Plain data.
        options: ``path=value`` each.

    Raises:
        ConfigError: Options can't be read, or their paths lead nowhere; lists all of them.
    """
    layer, problems = override(Layer(config, {}), options)
    if problems:
        raise ConfigError("\n".join(map(str, problems)))
    return layer.values


def override(layer: Layer, options: Sequence[str]) -> tuple[Layer, list[Problem]]:
    """Apply options in order.

    Args:
        layer: The config so far; stays as it is.
        options: ``path=value`` each.

    Returns:
        The config with the options that can be applied, and what is wrong with the others.
    """
    values, origins = copy.deepcopy(layer.values), dict(layer.origins)
    problems: list[Problem] = []
    for option in options:
        title = f"--cfg-options {option!r}"
        path, separator, text = (part.strip() for part in option.partition("="))
        if not separator or not all(path.split(".")):
            problems.append(Problem(title, "expected path=value, e.g. schedule.epochs=5"))
            continue
        try:
            _set(values, path, parse_option_value(text, title))
        except ConfigError as error:
            title, _, message = str(error).partition(": ")
            problems.append(Problem(title, message))
            continue
        origins = {**without(origins, [path]), path: Origin(f"--cfg-options {option}")}
    return Layer(values, origins, layer.problems), problems


def parse_option_value(text: str, source: str) -> Any:
    """Type the value of an option.

    Args:
        text: What stands after ``=``.
        source: What to call it in messages.

    Raises:
        ConfigError: Brackets or quotes don't match, or a block isn't YAML.
    """
    text = text.strip()
    if text.startswith("{"):
        return drop_delete(parse_value(text, source, lines=False))
    parts = _split(text, source)
    if len(parts) > 1:
        return [parse_option_value(part, source) for part in parts]
    if text[:1] in ("(", "[") and text[-1] in (")", "]"):
        inner = text[1:-1].strip().removesuffix(",")
        return [parse_option_value(part, source) for part in _split(inner, source)] if inner else []
    if text[:1] in ("'", '"') and text[-1] == text[0]:
        return text[1:-1]
    if text == "None":
        return None
    return parse_value(text, source, lines=False) if _is_word(text) else text


def _is_word(text: str) -> bool:
    """Whether YAML's typing concerns the text; ``a: b``, ``#x`` or ``*`` would be syntax in YAML, but aren't here."""
    symbols = text in ("", "-", "---", "...")
    return not symbols and all(character.isalnum() or character in "+-.~" for character in text)


def _split(text: str, source: str) -> list[str]:
    """Split at the commas that stand in no brackets and no quotes."""
    parts, closing, quote = [""], [], ""
    for index, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"" and (index == 0 or text[index - 1] in ",([{ :"):
            quote = character
        elif character in _PAIRS:
            closing.append(_PAIRS[character])
        elif character in _PAIRS.values():
            if not closing or closing.pop() != character:
                raise ConfigError(f"{source}: {character!r} closes nothing")
        elif character == "," and not closing:
            parts.append("")
            continue
        parts[-1] += character
    if quote or closing:
        raise ConfigError(f"{source}: {quote or closing[-1]!r} is missing at the end")
    return parts


def _set(config: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    block: Any = config
    walked = ""
    if parents and parents[0] in _OPTIONAL_BLOCKS:
        config.setdefault(parents[0], {})
    for key in parents:
        block = _step(block, key, walked, path)
        walked = join(walked, key)
    if isinstance(block, list):
        block[_index(block, last, walked, path)] = value
    elif isinstance(block, dict):
        block[last] = value
    else:
        raise _no_block(block, walked, path)


def _step(block: Any, key: str, walked: str, path: str) -> Any:
    if isinstance(block, list):
        return block[_index(block, key, walked, path)]
    if not isinstance(block, dict):
        raise _no_block(block, walked, path)
    if key not in block:
        where = f"{walked!r} has" if walked else "the config has"
        hint = did_you_mean(key, block) or f"; it has: {listing(block)}"
        raise ConfigError(f"--cfg-options {path}: {where} no key {key!r}{hint}")
    return block[key]


def _index(block: list[Any], key: str, walked: str, path: str) -> int:
    if not key.isdecimal() or int(key) >= len(block):
        raise ConfigError(f"--cfg-options {path}: {walked} is a list of {len(block)}: expected an index, got {key!r}")
    return int(key)


def _no_block(block: Any, walked: str, path: str) -> ConfigError:
    return ConfigError(
        f"--cfg-options {path}: {walked} is {show(block)}, not a block of keys; set it whole: '{walked}={{...}}'"
    )
