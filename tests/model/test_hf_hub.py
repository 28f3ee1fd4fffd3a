"""Models of the hub, by the real huggingface_hub against a hub of our own: found, pinned, refused, and kept."""

import shutil
from pathlib import Path

import pytest

from llmlora.model.hf import digest_of_directory
from llmlora.model.hf_hub import HubName
from tests.model.hub import COMMIT, TOKEN, ask, serving
from tests.tiny_hf import edit_json, tiny_hf

CARD = "---\nlicense: mit\ntags: [x]\n---\n# A model\n"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory):
    """Four repositories: a good one, one that is gated, one of pickles, one with code."""
    root = tmp_path_factory.mktemp("repositories")
    good = tiny_hf(root / "good", "gpt2")
    (good / "README.md").write_text(CARD, "utf-8")
    (good / "pytorch_model.bin").write_bytes(b"not read")
    (good / "original").mkdir()
    (good / "original" / "consolidated.safetensors").write_bytes(b"not read")
    for name in ("gated", "pickled", "coded"):
        shutil.copytree(good, root / name)
    (root / "pickled" / "model.safetensors").unlink()
    edit_json(root / "coded" / "config.json", auto_map={"AutoModelForCausalLM": "modeling_evil.Evil"})
    (root / "coded" / "modeling_evil.py").write_text("from pathlib import Path\nPath('canary').touch()\n", "utf-8")
    repositories = {f"org/{name}": root / name for name in ("good", "gated", "pickled", "coded")}
    with serving(repositories=repositories, gated=frozenset({"org/gated"})) as running:
        yield running


def test_a_name_becomes_a_commit_and_then_needs_no_hub(hub, tmp_path: Path):
    pinned = f"hf:org/good@{COMMIT}"

    found, cached = ask(tmp_path, "hf:org/good", HF_ENDPOINT=hub.address)

    # only what a model needs has been fetched
    small = {"config.json", "generation_config.json", "README.md", "chat_template.jinja"}
    fetched = {line.split()[2] for line in hub.asked}
    assert fetched == {*small, "tokenizer.json", "tokenizer_config.json", "model.safetensors"}
    assert (found["name"], found["license"], found["reason"], cached) == (pinned, "mit", None, [pinned])
    assert Path(found["path"]).parent.name == "snapshots"
    assert (
        found["digest"] == digest_of_directory(Path(found["path"])) == digest_of_directory(hub.repositories["org/good"])
    )
    # with the network gone, by commit, by what main was, and where nothing may be fetched
    again = ask(tmp_path, pinned, "hf:org/good", HF_ENDPOINT="http://127.0.0.1:9", HF_HUB_OFFLINE="1")
    assert again == [found, found, [pinned]]
    assert ask(tmp_path, pinned, "hf:org/good", fetch=False) == [found, found, [pinned]]
    # pinned and here: the hub, which answers, is not even asked
    before = len(hub.asked)
    assert ask(tmp_path, pinned, HF_ENDPOINT=hub.address)[0] == found
    assert len(hub.asked) == before


def test_what_cannot_be_trained_is_refused_before_its_weights_move(hub, tmp_path: Path):
    hub.asked.clear()

    pickled, coded, _ = ask(tmp_path, "hf:org/pickled", "hf:org/coded", HF_ENDPOINT=hub.address)

    assert (pickled["code"], coded["code"]) == ("not_trainable", "not_trainable")
    assert "only as .bin (pickle)" in pickled["message"]
    assert "auto_map" in coded["message"]
    assert not [line for line in hub.asked if line.endswith((".safetensors", ".bin", ".py"))]
    assert not (tmp_path / "canary").exists()


def test_a_gated_model_says_how_to_log_in_and_opens_to_the_token(hub, tmp_path: Path):
    stranger, _ = ask(tmp_path, "hf:org/gated", HF_ENDPOINT=hub.address, HF_TOKEN=COMMIT)
    friend, _ = ask(tmp_path, "hf:org/gated", HF_ENDPOINT=hub.address, HF_TOKEN=TOKEN)

    assert stranger["code"] == "hub_gated"
    assert f"{hub.address}/org/gated" in stranger["hint"] and "hf auth login" in stranger["hint"]
    assert friend["name"] == f"hf:org/gated@{COMMIT}"


def test_what_the_hub_does_not_give_says_what_to_check(hub, tmp_path: Path):
    names = ("hf:org/nothing", "hf:org/good@nowhere", "hf:org/gated")

    missing, revision, gated, cached = ask(tmp_path, *names, HF_ENDPOINT=hub.address)

    assert [one["code"] for one in (missing, revision, gated)] == ["hub_not_found", "hub_not_found", "hub_gated"]
    assert "Available" not in missing["message"]
    assert all(word in missing["hint"] for word in ("spelling", "revision", "HF_ENDPOINT", "HF_TOKEN"))
    assert cached == []


def test_with_nothing_cached_it_says_that_it_is_offline(tmp_path: Path):
    told, _ = ask(tmp_path, "hf:org/good", HF_HUB_OFFLINE="1")
    refused, _ = ask(tmp_path, "hf:org/good", HF_ENDPOINT="http://127.0.0.1:9")
    still, _ = ask(tmp_path, "hf:org/good@v1", fetch=False)

    assert (told["code"], refused["code"]) == ("hub_unreachable", "hub_unreachable")
    assert "HF_HUB_OFFLINE" in told["message"] and "127.0.0.1:9" in refused["message"]
    assert (still["code"], still["hint"]) == (
        "not_downloaded",
        "Download it first: hf download org/good --revision v1",
    )


def test_a_download_that_broke_off_is_not_taken_for_a_model(hub, tmp_path: Path):
    found, _ = ask(tmp_path, "hf:org/good", HF_ENDPOINT=hub.address)
    (Path(found["path"]) / "model.safetensors").unlink()

    offline, _ = ask(tmp_path, found["name"], HF_HUB_OFFLINE="1")
    mended, _ = ask(tmp_path, found["name"], HF_ENDPOINT=hub.address)

    assert offline["code"] == "hub_unreachable"
    assert mended == found


@pytest.mark.parametrize(
    "text", ["org", "org/../x", "a/b/c", "/etc/x", "http://x/y", "org/n@re v", "org/n@a..b", "org/é"]
)
def test_other_names_are_none_of_the_hubs(text: str):
    assert HubName.parse(text) is None


def test_a_revision_is_part_of_the_name():
    assert HubName.parse("org/n.a-me_2@refs/pr/3") == HubName("org/n.a-me_2", "refs/pr/3")
