"""The pages do what they say: links lead somewhere, commands exist, and the site is built from them."""

import argparse
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import yaml

from copl_core.api import ConfigError
from copl_core.cli.data.common import dataset_factory
from copl_core.cli.main import build_parser, main
from copl_core.config import check_config, load_config
from copl_core.plugins import get_table
from copl_core.registry import Registry
from copl_core.sweep import Searcher, plan, read_study
from copl_synth.__main__ import build_parser as build_synth_parser
from doc_pages import DOCS, PAGES, ROOT, blocks, commands, prose

COMMANDS = [command for page in PAGES for command in commands(page)]
#: Scripts that are a sub-command of ``copl``.
TOOLS = {"tools/train.py": "train", "tools/test.py": "test", "tools/predict.py": "predict"}
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
PLUGIN_PAGES = "docs/plugins/"
#: Names of methods, files and the like; any other long word in capitals stands for a number or a table to come.
IN_CAPITALS = {"CHANGELOG", "CONTRIBUTING", "ICASSP", "LAVISH", "README", "SIGTERM"}
#: What ``mine.yaml`` on the pages is.
MINE = """\
_base_: configs/demo/avs_swin_nano_shared.yaml
schedule:
  prompt_lr: fast
tuner:
  prompts:
    interaction:
      bank: {sise: 5}
"""


@pytest.fixture(scope="module")
def registry():
    return Registry(get_table())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", prose(page)):
        assert target.startswith("https://") or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: str(page.relative_to(ROOT)))
def test_nothing_is_left_to_be_filled_in(page):
    text = re.sub(r"`[^`]*`|\]\([^)]*\)", "", prose(page))  # no code, no addresses
    left = re.findall(r"\b(?:TODO|FIXME|TBD|TBA|XXX+)\b|\?\?\?", page.read_text(encoding="utf-8"))
    left += [word for word in re.findall(r"\b[A-Z][A-Z_]{5,}\b", text) if word not in IN_CAPITALS]
    assert not left, f"{page.relative_to(ROOT)}: fill these in, or name them in IN_CAPITALS"


def test_the_commands_are_found():
    programs = {command.words[0] for command in COMMANDS}
    assert programs == {"copl", "make", "python"}
    assert len(COMMANDS) > 60


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_command_is_one(command, registry):
    program, *words = command.words
    if program == "make":
        assert words[0] in TARGETS
        return
    parsed = parse(program, words)
    if parsed is None:
        return
    parser, options = parsed
    assert set(command.optional) <= known_options(parser)
    if not command.page.startswith(PLUGIN_PAGES) and not command.output:  # output is compared below
        check_files(options)
        check_settings(options, registry)


def parse(program: str, words: Sequence[str]) -> tuple[argparse.ArgumentParser, argparse.Namespace] | None:
    """The parser that reads these words, and what it makes of them; None for Python modules that aren't ours."""
    if program == "python" and words[0] == "-m":
        if words[1] != "copl_synth":
            return None
        parser, words = build_synth_parser(), words[2:]
    elif program == "python":
        assert (ROOT / words[0]).is_file(), words[0]
        if words[0] not in TOOLS:
            source = (ROOT / words[0]).read_text(encoding="utf-8")
            assert all(f'"{word}"' in source for word in words[1:] if word.startswith("--")), words
            return None
        parser, words = build_parser(), [TOOLS[words[0]], *words[1:]]
    else:
        parser = build_parser()
    return innermost(parser, words)[0], parser.parse_args(words)  # exits, with the reason on standard error


def innermost(parser: argparse.ArgumentParser, words: Sequence[str]) -> tuple[argparse.ArgumentParser, Sequence[str]]:
    """The parser of the sub-command that the first words name, and the other words."""
    while words and words[0] in actions(parser):
        parser, words = actions(parser)[words[0]], words[1:]
    return parser, words


def actions(parser: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    """Sub-commands of a command."""
    found = [each.choices for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    return found[0] if found else {}


def known_options(parser: argparse.ArgumentParser) -> set[str]:
    return set(parser._option_string_actions)


def check_files(options: argparse.Namespace) -> None:
    """Configs that are named are there."""
    for path in config_paths(options):
        assert list(ROOT.glob(path)), path


def config_paths(options: argparse.Namespace) -> Iterator[str]:
    for value in vars(options).values():
        for each in value if isinstance(value, list) else [value]:
            if str(each).startswith("configs/"):
                yield str(each)


def check_settings(options: argparse.Namespace, registry: Registry) -> None:
    """Values given on the command line are accepted."""
    if isinstance(path := getattr(options, "config", None), str) and path.startswith("configs/"):
        check_config(load_config(ROOT / path, options.cfg_options), registry, path)
    elif options.command == "data" and options.action in ("check", "prepare"):
        dataset_factory(options.task, options.root, options.cfg_options, registry)
    elif options.command == "plugins" and options.action == "info":
        assert main(["plugins", "info", options.name]) == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_the_text_exist(page):
    for text in re.findall(r"`(copl [a-z][^`]*)`", prose(page)):
        parser, words = innermost(build_parser(), shlex.split(text.replace("\n", " "))[1:])
        assert not (actions(parser) and words and words[0].islower()), text
        assert {word for word in words if re.fullmatch(r"--[a-z-]+", word)} <= known_options(parser), text
    for target in re.findall(r"`make ([a-z-]+)", prose(page)):
        assert target in TARGETS


SHOWN = [command for command in COMMANDS if command.output]


@pytest.mark.parametrize("command", SHOWN, ids=str)
def test_a_command_prints_what_the_page_shows(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    (tmp_path / "mine.yaml").write_text(MINE)

    words = [str(path) for word in command.words[1:] for path in sorted(Path().glob(word)) or [word]]
    main(words)

    printed = capsys.readouterr()
    lines = iter((printed.out + printed.err).splitlines())
    for wanted in command.output:
        assert wanted == "..." or any(line.rstrip() == wanted.rstrip() for line in lines), wanted


@pytest.mark.parametrize("page", [DOCS / "swapping.md", DOCS / "tasks" / "avqa.md"], ids=lambda page: page.stem)
def test_the_yaml_of_a_page_is_a_config(page, tmp_path, monkeypatch, registry):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    base = "configs/avqa_swin_shared.py" if page.stem == "avqa" else "configs/demo/avs_swin_nano_shared.yaml"
    for text in blocks(page, "yaml"):
        values = {"_base_": base, **yaml.safe_load(text)}
        # As a program, which may be based on either kind of file.
        Path("mine.py").write_text("".join(f"{key} = {value!r}\n" for key, value in values.items()))
        check_config(load_config("mine.py"), registry, text)


SETTINGS = [
    (str(page.relative_to(ROOT)), span)
    for page in PAGES
    for span in re.findall(r"`((?:(?:task|schedule|compute|tuner|encoders|protocol)[\w.]*=[\w./]+ ?)+)`", prose(page))
]


@pytest.mark.parametrize(("page", "settings"), SETTINGS)
def test_a_setting_in_the_text_is_one_of_a_task(page, settings, registry):
    problems = []
    for task in ("ave", "avs", "avqa"):
        try:
            check_config(load_config(ROOT / "configs" / f"{task}_swin_shared.py", settings.split()), registry, page)
        except ConfigError as error:
            problems.append(str(error))
    assert len(problems) < 3, "\n".join(problems)


def test_settings_in_the_text_are_found():
    assert len(SETTINGS) >= 15


def test_the_yaml_of_the_studies_is_a_study(tmp_path, registry):
    for part in ("_base_", "demo"):
        (tmp_path / part).symlink_to(ROOT / "configs" / part)
    study = tmp_path / "studies" / "mine.yaml"
    study.parent.mkdir()
    for text in blocks(DOCS / "studies.md", "yaml"):
        values = {"config": "../demo/avs_swin_nano_shared.yaml", **yaml.safe_load(text)}
        study.write_text(yaml.safe_dump(values))
        found = read_study(study)
        if found.search:
            assert Searcher(found, study, tmp_path / "out", registry).remaining() == values["search"]["trials"]
        else:
            assert plan(found, study, tmp_path / "out", registry)


def test_the_concepts_show_a_config_as_it_is():
    (shown,) = map(yaml.safe_load, blocks(DOCS / "concepts.md", "yaml"))
    config = load_config(ROOT / "configs" / "ave_swin_shared.py")
    assert shown == {part: config[part] for part in shown}


def test_every_component_is_on_its_page_once():
    described = re.findall(r"^::: ([\w.]+)$", (DOCS / "api" / "components.md").read_text(), re.MULTILINE)
    installed = [spec.target.replace(":", ".") for spec in get_table().components() if spec.distribution == "copl"]
    assert sorted(described) == sorted(installed)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built as ``make docs`` does: a link or an anchor that leads nowhere fails it."""
    folder = tmp_path_factory.mktemp("docs") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]  # --quiet isn't strict
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_site_needs_no_other_host(site):
    loaded = re.compile(r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["']?(https?:)?//""")
    linked = re.compile(r"""<link\b[^>]*\brel=["']?(?:stylesheet|preconnect|preload)[^>]*\bhref=["']?(https?:)?//""")
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert not loaded.search(text), page
        assert not linked.search(text), page


def test_the_reference_has_the_arguments_of_the_components(site):
    text = (site / "api" / "components.html").read_text(encoding="utf-8")
    assert "number of paired blocks counted from the end" in re.sub(r"\s+", " ", re.sub("<[^>]+>", "", text))
