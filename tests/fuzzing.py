"""What the fuzz tests share: how many cases, damaged inputs, and a watch on what runs meanwhile."""

import codecs
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

#: Cases of each test; ``make fuzz`` asks for 10,000.
CASES = int(os.environ.get("COPL_FUZZ_CASES", "60"))

#: What no reader of data has any business to do, by the names of Python's audit events.
_FORBIDDEN = frozenset(
    {
        "compile", "exec", "os.exec", "os.fork", "os.posix_spawn", "os.remove", "os.rename", "os.rmdir", "os.spawn",
        "os.system", "pickle.find_class", "socket.connect", "subprocess.Popen", "ctypes.dlopen",
    }
)  # fmt: skip
_watching = False
_seen: list[str] = []


def fuzz(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test on ``CASES`` cases; a fixture may serve them all."""
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=CASES, deadline=None, suppress_health_check=checks)(test)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching:
        return
    writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if event in _FORBIDDEN or writes:
        _seen.append(f"{event} {arguments!r:.200}")


sys.addaudithook(_audit)
# Python imports a codec when it is first used.
codecs.lookup("utf-8-sig")


@contextmanager
def nothing_runs() -> Iterator[None]:
    """Fail if code is compiled or run, a process started, or a file written. Modules must be imported before."""
    global _watching
    _seen.clear()
    _watching = True
    try:
        yield
    finally:
        _watching = False
    assert not _seen, list(_seen)


def damaged(data: bytes, tokens: Sequence[bytes] = ()) -> st.SearchStrategy[bytes]:
    """``data`` after up to five edits: a few bytes replaced by none, others, or one of ``tokens``; or cut short."""
    put = st.binary(max_size=6)
    if tokens:
        put = st.sampled_from(list(tokens)) | put
    edits = st.lists(st.tuples(st.integers(0, len(data)), st.integers(0, 12), put), max_size=5)
    return st.builds(lambda edits, end: _edit(data, edits)[:end], edits, st.none() | st.integers(0, len(data)))


def _edit(data: bytes, edits: Sequence[tuple[int, int, bytes]]) -> bytes:
    for position, length, put in edits:
        data = data[:position] + put + data[position + length :]
    return data


#: Any JSON, shallow, with strings that people forget: empty, not UTF-8, steering the terminal.
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["", "..", "/etc/passwd", "\ud800", "\x1b[2J", "\0"])
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)


@st.composite
def altered(draw: st.DrawFn, value: Any) -> Any:
    """``value`` (plain data) with up to three of its parts, at any depth, replaced by anything or taken away."""
    for _ in range(draw(st.integers(0, 3))):
        value = _alter(draw, value)
    return value


def _alter(draw: st.DrawFn, value: Any) -> Any:
    """Go down at random; replace what is reached."""
    if not isinstance(value, (dict, list)) or not value or draw(st.integers(0, 4)) == 0:
        return draw(ANYTHING)
    if isinstance(value, dict):
        key = draw(st.sampled_from(sorted(value)))
        if draw(st.integers(0, 5)) == 0:
            return {name: each for name, each in value.items() if name != key}
        return {**value, key: _alter(draw, value[key])}
    index = draw(st.integers(0, len(value) - 1))
    if draw(st.integers(0, 5)) == 0:
        return value[:index] + value[index + 1 :]
    return [*value[:index], _alter(draw, value[index]), *value[index + 1 :]]
