"""copl inspect: say what is in exported prompts. Reads the files only: no torch, no data, no encoder."""

import argparse
import dataclasses
import json
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from copl_core.checkpoint import Header, TrainedFile

#: Of the names (classes, words, answers) and the digits of a digest so many are shown; --json has all.
NAMES_SHOWN = 6
DIGITS_SHOWN = 12


def add_parser(subparsers: "argparse._SubParsersAction[Any]") -> None:
    """Register the sub-command."""
    parser = subparsers.add_parser("inspect", help="say what is in exported prompts", description=__doc__)
    parser.add_argument("path", metavar="FILE|FOLDER", type=Path, help="prompts, head, or the folder of both")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Read and print; exit code 2 if a file is damaged or the two do not belong together."""
    from copl_core.checkpoint import Header

    files = _read(options.path)
    problems = list(_problems(files))
    if options.json:
        print(json.dumps({"files": [_as_json(file) for file in files], "problems": problems}, indent=2))
    else:
        for file in files:
            print(_summary(file))
        for header in (file.header for file in files):
            if isinstance(header, Header):
                _print_header(header)
        for file in files:
            _print_tensors(file)
    for problem in problems:
        print(f"copl inspect: {problem}", file=sys.stderr)
    return 2 if problems else 0


def _read(path: Path) -> list["TrainedFile"]:
    """The one file, or the prompts of a folder and the head where there is one."""
    from copl_core.checkpoint import HEAD_FILE, PROMPTS_FILE, read_trained_file

    if not path.is_dir():
        return [read_trained_file(path)]
    files = [read_trained_file(path / PROMPTS_FILE)]
    if (path / HEAD_FILE).exists():
        files.append(read_trained_file(path / HEAD_FILE))
    return files


def _problems(files: Sequence["TrainedFile"]) -> Iterator[str]:
    from copl_core.checkpoint import Header, HeadHeader, belong_together

    for file in files:
        if not file.is_intact():
            yield f"{file.path}: its tensors are not those it was written with (damaged or edited)"
    prompts = [file.header for file in files if isinstance(file.header, Header)]
    heads = [file.header for file in files if isinstance(file.header, HeadHeader)]
    if prompts and heads and not belong_together(prompts[0], heads[0]):
        yield f"{files[1].path} was trained with other prompts than {files[0].path}"


def _as_json(file: "TrainedFile") -> dict[str, Any]:
    header = {each.name: getattr(file.header, each.name) for each in dataclasses.fields(file.header)}
    return {
        "file": file.path.name,
        "format": file.format,
        "format_version": file.format_version,
        **header,
        "tensors": {name: dataclasses.asdict(info) for name, info in file.tensors.items()},
        "digest": file.header.tensors,
        "bytes": file.path.stat().st_size,
    }


def _summary(file: "TrainedFile") -> str:
    values = sum(math.prod(info.shape) for info in file.tensors.values())
    return _printable(
        f"{file.path}: {file.format} {file.format_version}, by copl {file.header.copl_version}, "
        f"{len(file.tensors)} tensors, {values:,} values, {file.path.stat().st_size:,} bytes, "
        f"digest {file.header.tensors[:DIGITS_SHOWN]}"
    )


def _print_header(header: "Header") -> None:
    from copl_core.config import dump_config

    scores = "  ".join(f"{name} {value:.4f}" for name, value in sorted(header.scores.items()))
    print(_printable(f"seed {header.seed}, protocol {header.protocol}, scores {scores or 'none'}"))
    for role, encoder in sorted(header.encoders.items()):
        identity = " ".join(f"{key}={value}" for key, value in sorted(encoder.get("identity", {}).items()))
        marks = " ".join(
            f"{key}:{str(value)[:DIGITS_SHOWN]}" for key, value in sorted(encoder.get("fingerprint", {}).items())
        )
        print(_printable(f"encoder {role}: {identity}  {marks}"))
    for kind, names in sorted(header.names.items()):
        more = ", ..." if len(names) > NAMES_SHOWN else ""
        print(_printable(f"{kind} ({len(names)}): {', '.join(names[:NAMES_SHOWN])}{more}"))
    print("\ncomponents")
    for path, component in sorted(header.components.items()):
        what = " ".join(str(component.get(key, "?")) for key in ("kind", "name", "plugin", "distribution", "version"))
        print(_printable(f"  {path}: {what}"))
    print("\nmodel")
    for line in dump_config(header.model).splitlines():
        print(_printable(f"  {line}"))


def _print_tensors(file: "TrainedFile") -> None:
    print(f"\ntensors of {_printable(file.path.name)}")
    for name, info in sorted(file.tensors.items()):
        print(_printable(f"  {name}  {info.dtype} {'x'.join(map(str, info.shape)) or 'scalar'}"))


def _printable(text: str) -> str:
    """Escape what would not show or would steer the terminal: the file may come from anyone."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
