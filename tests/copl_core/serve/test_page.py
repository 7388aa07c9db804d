"""The page as a visitor uses it: through its API, and in Chromium at the widths of a desk and of a phone."""

import json
import shutil
import socket
import tempfile
import time
from pathlib import Path

import pytest

from copl_core.api import ConfigError
from copl_core.serve.server import Settings, running
from copl_synth.ave import AveSettings, write_ave
from copl_synth.avqa import AvqaSettings, write_avqa
from exports import export_untrained
from video_files import tone, write_video

pytest.importorskip("gradio", reason="gradio is not installed: pip install 'copl[web]'")


@pytest.fixture(scope="module")
def root(tmp_path_factory, demo_root):
    """Exports of the three tasks, and videos: ``good.mp4``, ``mute.mp4``, ``broken.mp4``, ``large.mp4``."""
    root = tmp_path_factory.mktemp("page")
    write_ave(root / "data-ave", AveSettings(train=1, val=1, test=1))
    write_avqa(root / "data-avqa", AvqaSettings(train=2, val=1, test=1))
    for task, data in (("ave", root / "data-ave"), ("avs", demo_root), ("avqa", root / "data-avqa")):
        options = ["task.head.channels=8"] if task == "avs" else []
        config = f"{task}_swin_nano_shared.yaml"
        export_untrained(root / task, config, f"task.dataset.root={data}", *options, split="train")
    shutil.copy(next((root / "data-ave" / "AVE").glob("*.mp4")), root / "good.mp4")
    write_video(root / "mute.mp4", [i / 4 for i in range(12)])
    (root / "broken.mp4").write_bytes(b"no video")
    (root / "large.mp4").write_bytes(bytes(2_000_000))
    (root / "examples").mkdir()
    write_video(root / "examples" / "tone.mp4", [i / 4 for i in range(12)], sound=tone(16000, 3))
    return root


@pytest.fixture(scope="module")
def address(root):
    """Of a running page."""
    settings = Settings(port=0, device="cpu", examples=root / "examples", max_upload=1)
    with running([root / task for task in ("ave", "avs", "avqa")], settings) as address:
        yield address


@pytest.fixture(scope="module")
def ask(root, address):
    """Use the page's API; returns its outputs: HTML, overlay, pictures, data."""
    from gradio_client import Client, handle_file

    client = Client(address, verbose=False)

    def go(task: str, video: str, question: str = ""):
        name = {"ave": f"ave: {root / 'ave'}", "avs": f"avs_s4: {root / 'avs'}", "avqa": f"avqa: {root / 'avqa'}"}[task]
        return client.predict(name, handle_file(str(root / video)), question, api_name="/predict")

    return go


def test_events_are_listed_and_drawn(ask) -> None:
    html, overlay, pictures, data = ask("ave", "good.mp4")
    for event in data["events"]:
        assert event["class"] in html
    assert [row["start"] for row in data["timeline"]] == list(range(10))
    assert [Path(picture["image"]).suffix for picture in pictures["value"]] == [".png"]
    assert (overlay["visible"], pictures["visible"]) == (False, True)


def test_masks_become_a_video_that_sounds(ask) -> None:
    from copl_core.data import probe

    _, overlay, pictures, data = ask("avs", "good.mp4")
    video = overlay["value"]["video"] if isinstance(overlay["value"], dict) else overlay["value"]
    assert probe(Path(video)).rate == 16000
    assert len(pictures["value"]) == 1
    assert len(data["masks"]) == 10


def test_a_question_gets_five_answers(ask) -> None:
    html, *_, data = ask("avqa", "good.mp4", "Is there a voiceover?")
    assert [each["answer"] in html for each in data["answers"]] == [True] * 5
    assert f'<p class="answer">{data["answer"]}</p>' in html
    html, *_, data = ask("avqa", "good.mp4", "Is there a voicover?")
    assert "did you mean &#x27;voiceover&#x27;?" in html
    assert data is None


def test_bad_videos_are_told_and_the_page_goes_on(ask) -> None:
    for video, problem in (("mute.mp4", "mute.mp4 has no sound track"), ("broken.mp4", "broken.mp4: not a video")):
        html, overlay, pictures, data = ask("ave", video)
        assert problem in html
        assert 'role="alert"' in html
        assert tempfile.gettempdir() not in html
        assert not any(each["visible"] for each in (overlay, pictures))
        assert data is None
    assert ask("ave", "good.mp4")[-1] is not None


def test_a_file_above_the_limit_is_refused(ask) -> None:
    with pytest.raises(Exception, match=r"(?i)413|too large|exceed|maximum"):
        ask("ave", "large.mp4")


def test_nothing_is_left_at_the_end(root) -> None:
    from gradio_client import Client, handle_file

    before = set(Path(tempfile.gettempdir()).glob("copl-serve-*"))
    with running([root / "ave"], Settings(port=0, device="cpu")) as address:
        (folder,) = set(Path(tempfile.gettempdir()).glob("copl-serve-*")) - before
        client = Client(address, verbose=False)
        client.predict(f"ave: {root / 'ave'}", handle_file(str(root / "good.mp4")), "", api_name="/predict")
        assert list(folder.rglob("good.mp4"))
    assert not folder.exists()


def test_a_port_in_use_is_told(root) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1, port {port}"),
            running([root / "ave"], Settings(port=port, device="cpu")),
        ):
            pass


@pytest.fixture(params=[1280, 390])
def browser(request):
    """Headless Chromium of that width, which notes what it asks for."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("no Chromium: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(driver)) as browser:
        size = {"width": request.param, "height": 1000, "deviceScaleFactor": 1, "mobile": request.param < 500}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.width = request.param
        yield browser


def wait_for(browser, selector: str):
    """The first element of that kind that is shown."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    def shown(_):
        return next((each for each in browser.find_elements(By.CSS_SELECTOR, selector) if each.is_displayed()), None)

    return WebDriverWait(browser, 60, ignored_exceptions=()).until(shown, f"nothing like {selector}")


def drop(browser, file: Path) -> None:
    """Give the page a file as dropping it does; the input itself is not shown."""
    from selenium.webdriver.common.by import By

    wait_for(browser, "#video")
    deadline = time.monotonic() + 30
    while not (inputs := browser.find_elements(By.CSS_SELECTOR, "#video input[type=file]")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    inputs[0].send_keys(str(file))


def assert_fits(browser) -> None:
    """Nothing sticks out at the side."""
    assert browser.execute_script("return document.documentElement.scrollWidth") <= browser.width


def wait_until_in_view(browser, selector: str) -> None:
    """Wait until all of an element can be seen without scrolling."""
    script = (
        "const r = document.querySelector(arguments[0]).getBoundingClientRect(); return [r.top, r.bottom, innerHeight]"
    )
    deadline = time.monotonic() + 10
    while True:
        top, bottom, height = browser.execute_script(script, selector)
        if 0 <= top < bottom <= height:
            return
        assert time.monotonic() < deadline, (top, bottom, height)
        time.sleep(0.1)


def choose(browser, label: str) -> None:
    """Switch to the prompts whose name begins so."""
    from selenium.webdriver.common.by import By

    wait_for(browser, "#prompts input").click()
    wait_for(browser, "#prompts [role=option], [role=listbox] [role=option]")
    options = browser.find_elements(By.CSS_SELECTOR, "[role=option]")
    next(each for each in options if each.text.lstrip("✓ \n").startswith(label)).click()


def asked_of_others(browser, address: str) -> set[str]:
    """Addresses outside the page that were asked for anything."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = {each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"}
    assert any(url.startswith(address) for url in urls)
    return {url for url in urls if not url.startswith((address, "data:", "blob:"))}


@pytest.mark.slow
def test_in_chromium_all_tasks_from_one_dropped_video(browser, address, root) -> None:
    browser.get(address)
    drop(browser, root / "good.mp4")
    wait_for(browser, "#pictures img")
    assert_fits(browser)

    choose(browser, "avs_s4")
    wait_for(browser, "#overlay video")
    playable = "const v = document.querySelector('#overlay video'); return v.readyState >= 1 && v.duration > 9"
    deadline = time.monotonic() + 30
    while not browser.execute_script(playable):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert_fits(browser)

    choose(browser, "avqa")
    wait_for(browser, "#question textarea, #question input").send_keys("Is there a voiceover?")
    wait_for(browser, "#ask").click()
    wait_for(browser, "#findings .bars")
    assert_fits(browser)
    assert wait_for(browser, "#findings .asked").text == "good.mp4: Is there a voiceover?"
    wait_until_in_view(browser, "#findings .answer")
    assert asked_of_others(browser, address) == set()


@pytest.mark.slow
def test_in_chromium_a_bad_video_is_told_and_a_good_one_follows(browser, address, root) -> None:
    browser.get(address)
    drop(browser, root / "mute.mp4")
    assert "mute.mp4 has no sound track" in wait_for(browser, "#findings [role=alert]").text
    wait_for(browser, "#video button[aria-label=Clear]").click()
    assert "Drop a video" in wait_for(browser, "#findings .note").text
    drop(browser, root / "good.mp4")
    wait_for(browser, "#pictures img")
    assert_fits(browser)
