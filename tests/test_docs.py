"""The pages do what they say."""

import re
import sys
from pathlib import Path

import pytest
import torch

from copl_core.config import check_config, load_config
from copl_core.plugins import get_table
from copl_core.plugins.discovery import reset_table
from copl_core.registry import Registry

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target


@pytest.fixture
def tutorial(tmp_path, monkeypatch):
    """The files of docs/plugins.md in a folder of their own, installed as far as discovery can tell."""
    text = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    files = dict(re.findall(r"^`([\w./]+)`:\n\n```\w+\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    metadata = tmp_path / "copl_gated-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: copl-gated\nVersion: 0.1.0\n")
    points = re.search(r'^\[project.entry-points."copl.plugins"\]\n(.*?)\n\n', files["pyproject.toml"], re.M | re.S)
    (metadata / "entry_points.txt").write_text(f"[copl.plugins]\n{points.group(1).replace(chr(34), '')}\n")
    monkeypatch.syspath_prepend(tmp_path)
    reset_table()
    yield re.search(r"```yaml\n(.*?)```", text, re.DOTALL).group(1)
    reset_table()
    for name in [name for name in sys.modules if name.split(".")[0] == "copl_gated"]:
        del sys.modules[name]


def test_the_plugin_tutorial_works_from_its_own_text(tutorial, tmp_path):
    demo = ROOT / "configs" / "demo" / "avs_swin_nano_shared.yaml"
    config = tmp_path / "gated.yaml"
    config.write_text(f"_base_: {demo}\n{tutorial}", encoding="utf-8")
    registry = Registry(get_table())
    experiment = check_config(load_config(config), registry, "gated.yaml")
    block = experiment.tuner["prompts"]["interaction"]["mapper"]
    assert block == {"type": "gated", "start": -2.0}
    factory = registry.factory("mapper", block, path="mapper")
    assert factory.component.distribution == "copl-gated"
    mapper = factory(source=4, target=6)
    x = torch.randn(2, 3, 4)
    assert torch.allclose(mapper(x), torch.sigmoid(torch.tensor(-2.0)) * mapper.map(x))
