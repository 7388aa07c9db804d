"""Did-you-mean, for every message that tells of an unknown name."""

import difflib
from collections.abc import Iterable


def close_match(word: str, options: Iterable[str]) -> str | None:
    """Return the option that ``word`` was most likely meant to be, ignoring case, or None."""
    folded = {option.lower(): option for option in options}
    matches = difflib.get_close_matches(word.lower(), folded, n=1)
    return folded[matches[0]] if matches else None


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"``, or nothing where no option is close."""
    match = close_match(word, options)
    return f"; did you mean {match!r}?" if match else ""


def listing(names: Iterable[str]) -> str:
    """Return the names sorted and joined by commas, ``none`` where there are none."""
    return ", ".join(sorted(names)) or "none"
