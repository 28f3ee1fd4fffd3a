"""The whole way, in Japanese: data in, tokens seen, a plan, real training live, the adapter out, both answers."""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from safetensors.numpy import load

from llmlora.paths import Home
from tests.api.server import Serving, serving
from tests.web.conftest import PATIENCE_MS, let_in, watching
from tests.web.hands import Finger, Keys, Mouse

pytestmark = pytest.mark.trip
HOSTILE = "<img src=x onerror=alert(1)>でござる"
ROWS = [{"instruction": f"{number} たす {number} は？", "output": f"{2 * number} でござる"} for number in range(1, 6)]
DRAWN = str.maketrans("␣", " ", "◦")  # a space, and that a letter goes on in the next token
STEPS = 12
TRAINED_MS = 180_000
SHORT = {"state": {"who": "compare", "temperature": 0, "top_p": 0.95, "max_tokens": 12, "seed": 7}, "version": 0}


@pytest.fixture(scope="module")
def server(built: None, sample_home: Home, smollm2_path: Path, tmp_path_factory: pytest.TempPathFactory):
    """A server with the sample model, without Ollama."""
    home = tmp_path_factory.mktemp("home")
    (home / "samples").symlink_to(sample_home.samples)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OLLAMA_MODELS", str(home / "no-ollama"))
        patch.setenv("OLLAMA_HOST", "127.0.0.1:1")
        with serving(home) as started:
            yield started


@pytest.fixture(params=[Mouse, Keys, Finger], ids=["mouse", "keys", "finger"])
def hands(request: pytest.FixtureRequest) -> Mouse:
    return request.param()


@pytest.fixture
def page(chromium: Browser, server: Serving, hands: Mouse) -> Iterator[Page]:
    """A signed-in page at Home, whose answers are short and always the same."""
    with chromium.new_context(locale="ja", **hands.context) as context:
        context.set_default_timeout(PATIENCE_MS)
        context.add_init_script(f"localStorage.setItem('llmlora.chat', {json.dumps(json.dumps(SHORT))})")
        let_in(context, server)
        with watching(context, server) as watched:
            watched.page.goto(watched.origin)
            expect(watched.page.get_by_role("heading", level=1)).to_have_text("ホーム")
            yield watched.page


def last_step(page: Page) -> int:
    """How far the curve of the loss goes."""
    curve = page.get_by_role("img", name=re.compile("^損失のグラフ"))
    curve.scroll_into_view_if_needed()  # it is drawn for those who look
    expect(curve).to_have_attribute("aria-label", re.compile(r"、1 から \d+ まで"), timeout=TRAINED_MS)
    return int(re.search(r"から (\d+) まで", curve.get_attribute("aria-label"))[1])


def test_from_rows_to_an_adapter(page: Page, hands: Mouse):
    name = f"ござる {type(hands).__name__}"
    press, button, link = hands.press, named(page, "button"), named(page, "link")
    press(page.get_by_role("navigation").get_by_role("link", name="データ"))
    press(button("データセットをアップロード"))
    with page.expect_file_chooser() as chooser:
        press(page.get_by_role("dialog").get_by_role("button", name="ファイルを選ぶ"))
    rows = "\n".join(json.dumps(row) for row in [{"instruction": "名は？", "output": HOSTILE}, *ROWS])
    chooser.value.set_files({"name": f"{name}.jsonl", "mimeType": "text/plain", "buffer": rows.encode()})

    press(page.get_by_role("listitem").filter(has_text=name).get_by_role("link", name="中身を見る"))
    expect(page.get_by_text(HOSTILE)).to_be_visible()
    press(page.get_by_role("tab", name="トークン"))
    trained = page.get_by_role("listbox", name="トークン").get_by_role("option", name=re.compile("学習する$"))
    expect(trained.last).to_have_text("<|im_end|>")
    assert "".join(trained.all_inner_texts()).translate(DRAWN) == f"{HOSTILE}<|im_end|>"

    press(link("このデータで学習"))
    press(page.get_by_role("combobox", name="ベースモデル"))
    press(page.get_by_role("option", name="sample:smollm2-135m"))
    hands.write(page.get_by_label("ステップ数"), str(STEPS))
    hands.write(page.get_by_label("最大長"), "64")
    hands.write(page.get_by_label("名前", exact=True), name)
    plan = page.locator("dl > div")
    expect(plan.filter(has_text="ステップ").first).to_contain_text(str(STEPS))
    press(button("学習を始める"))

    page.wait_for_url(re.compile(r"/training/\?id="))
    seen = last_step(page)
    expect(page.get_by_role("img", name=re.compile("^損失のグラフ"))).not_to_have_attribute(
        "aria-label", re.compile(f"1 から {seen} まで"), timeout=TRAINED_MS
    )
    page.reload()
    assert last_step(page) > seen
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    expect(page.get_by_text("完了", exact=True)).to_be_visible(timeout=TRAINED_MS)
    assert last_step(page) == STEPS

    press(page.get_by_role("tab", name="結果"))
    with page.expect_download() as download:
        press(link("adapter.zip をダウンロード"))
    assert_adapter(Path(download.value.path()).read_bytes())

    press(link("チャットで試す"))
    hands.write(page.get_by_label("メッセージ"), "名は？")
    press(button("送信"))
    tuned, base = (page.get_by_role("article", name=side) for side in ("学習後", "ベース"))
    for answer in (tuned, base):
        expect(answer).to_contain_text("トークン（毎秒", timeout=TRAINED_MS)
    assert tuned.inner_text() != base.inner_text()


def named(page: Page, role: str):
    def find(name: str) -> Locator:
        return page.get_by_role(role, name=name, exact=True)

    return find


def assert_adapter(content: bytes) -> None:
    """What PEFT wants, of the base that was asked for, and trained: no half of it is still zero."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        config = json.loads(archive.read("adapter_config.json"))
        weights = load(archive.read("adapter_model.safetensors"))
        assert "sample:smollm2-135m" in archive.read("README.md").decode()
    assert config["peft_type"] == "LORA"
    assert {weight.shape[0] for name, weight in weights.items() if "lora_A" in name} == {config["r"]}
    assert all(weight.any() for weight in weights.values())
