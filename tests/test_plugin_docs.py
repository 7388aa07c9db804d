"""The pages of docs/plugins, followed to the letter, make the packages of someone who has read nothing else.

They lie outside the checkout; a config names their parts beside first-party ones, and they can be taken away again.
"""

import json
import re

import pytest
import torch
from torchvision.models import VisionTransformer

from copl_core.config import check_config, load_config
from copl_core.plugins import get_table
from copl_core.plugins.project import seen_as_installed
from copl_core.registry import Registry
from plugin_packages import PAGES, ROOT, copl, follow, pip_install, read_tutorial, run_python

DEMO = ROOT / "configs" / "demo" / "avs_swin_nano_shared.yaml"
SMALL = ["schedule.epochs=1", "schedule.batch_size=4", "schedule.workers=0"]


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """The package of each page, by the page's name."""
    folder = tmp_path_factory.mktemp("strangers")
    return {page.stem: follow(read_tutorial(page), folder) for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_quotes_is_there(page, packages):
    for name, text in read_tutorial(page).excerpts:
        assert text in (packages[page.stem] / name).read_text(encoding="utf-8"), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_configs_of_a_page_and_of_its_package_are_right(page, packages, tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text(f"_base_: {DEMO}\n{read_tutorial(page).config}", encoding="utf-8")
    with seen_as_installed(packages[page.stem]) as distribution:
        table = get_table()
        registry = Registry(table)
        (experiment,) = packages[page.stem].glob("copl_*/configs/*.yaml")
        for config in (own, experiment):
            check_config(load_config(config, table=table), registry, str(config))
        (name, *_) = {each.name for each in table.components() if each.distribution == distribution}
        assert f"type: {name}" in own.read_text(encoding="utf-8")


def test_what_the_pages_write_is_clean(packages):
    folder = str(packages["mapper"].parent)
    for action in (["check"], ["format", "--check"]):
        done = run_python("-m", "ruff", *action, "--no-cache", folder)
        assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_the_tests_on_the_pages_pass(packages):
    done = run_python(
        "-m", "pytest", "-q", "--import-mode=importlib", "-p", "no:cacheprovider", "--rootdir", "/",
        *(str(package / "tests") for package in packages.values()),
        paths=list(packages.values()), cwd=packages["mapper"].parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"(\d+) passed", done.stdout).group(1)) >= 2 * len(packages)


@pytest.fixture(scope="module")
def site(packages, tmp_path_factory):
    """A folder in which pip has installed all of them."""
    return pip_install(*packages.values(), site=tmp_path_factory.mktemp("site"))


@pytest.mark.slow
def test_a_strangers_parts_train_beside_ours_and_can_be_taken_away_again(site, tmp_path):
    # Each page's YAML over the one before, the first over the demo's: prompts, bank, mapper, loss, encoder, task.
    config = DEMO
    for page in PAGES:
        text = f"_base_: {config}\n{read_tutorial(page).config}"
        config = tmp_path / f"{page.stem}.yaml"
        config.write_text(text, encoding="utf-8")
    done = run_python("-m", "copl_motion.example_data", "data/motion", paths=[site], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    torch.save(VisionTransformer(96, 16, 4, 4, 64, 256).state_dict(), tmp_path / "vit.pth")
    options = ["--device", "cpu", "--cfg-options", *SMALL, f"encoders.visual.weights={tmp_path / 'vit.pth'}"]

    trained = copl("train", str(config), "--work-dir", "run", *options, paths=[site], cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert "accuracy_disc_grows_tone_rises" in results["test"]

    tested = copl("test", str(config), "run/export", *options, paths=[site], cwd=tmp_path)
    assert f"test accuracy {results['test']['accuracy']:.6f}" in tested.stdout, tested.stderr

    # Uninstalled.
    without = copl("test", str(config), "run/export", cwd=tmp_path)
    assert without.returncode == 2
    assert "Traceback" not in without.stderr
    assert "run/export was trained with components that are not here:" in without.stderr
    for part in (
        "backbone 'torchvision_vit' (plugin copl_torchvision_vit) of copl-torchvision-vit 0.1.0: "
        "install copl-torchvision-vit, at encoders.visual",
        "bank 'nearest' (plugin copl_nearest) of copl-nearest 0.1.0: "
        "install copl-nearest, at tuner.prompts.interaction.bank",
        "mapper 'gated'",
        "prompt 'conditioned'",
        "loss 'contrast'",
        "head 'motion_classifier'",
    ):
        assert part in without.stderr
    assert "global_prompts" not in without.stderr
    resumed = copl("train", str(config), "--work-dir", "run", "--resume", *options, cwd=tmp_path)
    assert resumed.returncode == 2
    assert "run was trained with components that are not here:\n" in resumed.stderr
    assert "dataset 'motion' (plugin copl_motion) of copl-motion 0.1.0: install copl-motion" in resumed.stderr
    exported = copl("export", "run", "later", cwd=tmp_path)
    assert exported.returncode == 2
    assert "head 'motion_classifier' (plugin copl_motion) of copl-motion 0.1.0: install copl-motion" in exported.stderr
    reported = copl("report", "run", "--device", "cpu", cwd=tmp_path)
    assert "copl-torchvision-vit 0.1.0: install copl-torchvision-vit, at encoders.visual" in reported.stderr
    listed = json.loads(copl("plugins", "list", "--json").stdout)
    assert {plugin["state"] for plugin in listed["plugins"]} == {"loaded"}
    assert check_config(load_config(DEMO), Registry(get_table()), "demo").tuner["type"] == "copl"
