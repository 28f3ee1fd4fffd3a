"""Models of the Hugging Face hub, in the cache they share with everything else that is Hugging Face's.

`huggingface_hub` finds and fills it, so `HF_HOME`, `HF_TOKEN`, `HF_ENDPOINT` and `HF_HUB_OFFLINE` mean here what they
mean everywhere. Of a repository only the files that a model needs are fetched, the small ones first: one that cannot
be trained is refused before its gigabytes move, and weights that are there were not left alone by a broken download.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from llmlora.data.hf_text import CONFIG, TEXT_FILES
from llmlora.errors import HfError, HubGated, HubNotFound, HubUnreachable, NotDownloaded, NotTrainable
from llmlora.files import full_disk_as_error
from llmlora.model.hf import INDEX, WEIGHTS, HfDirectory
from llmlora.text.catalogue import Words

NAME = re.compile(r"(?P<repo>[A-Za-z0-9][\w.-]{0,95}/[\w.-]{1,96})(?:@(?P<revision>[\w./-]{1,200}))?", re.ASCII)
COMMIT = re.compile("[0-9a-f]{40}")
SMALL = [CONFIG, INDEX, "generation_config.json", "README.md", *TEXT_FILES]
LARGE = [WEIGHTS, "model-*-of-*.safetensors"]


@dataclass(frozen=True)
class HubName:
    """`ORG/NAME[@REVISION]`; without a revision, what the repository calls `main` today."""

    repo: str
    revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> "HubName | None":
        found = NAME.fullmatch(text)
        return cls(found["repo"], found["revision"]) if found and ".." not in text else None

    def __str__(self) -> str:
        return f"hf:{self.repo}" + (f"@{self.revision}" if self.revision else "")


def snapshot(name: HubName, *, fetch: bool) -> tuple[HubName, Path]:
    """The name with the commit it means, and the directory of that commit; downloaded where `fetch` allows it.

    Raises:
        NotDownloaded: it is not here, and `fetch` does not allow to get it.
        HubNotFound, HubGated, HubUnreachable: the hub does not give it.
        NotTrainable, UnsupportedArchitecture, HfError: it could not be trained, so its weights are not fetched.
    """
    if not fetch or COMMIT.fullmatch(name.revision or ""):
        with suppress(NotDownloaded):
            return _cached(name)
    if not fetch:
        revision = f" --revision {name.revision}" if name.revision else ""
        raise NotDownloaded(str(name), f"hf download {name.repo}{revision}")
    return _fetched(name)


def cached_names() -> Iterator[HubName]:
    """Every commit of every model in the cache that has a config."""
    with suppress(OSError):
        for config in sorted(cache_directory().glob(f"models--*--*/snapshots/*/{CONFIG}")):
            folder, commit = config.parents[2].name, config.parent.name
            name = HubName.parse(f"{folder.removeprefix('models--').replace('--', '/', 1)}@{commit}")
            if name and COMMIT.fullmatch(commit):
                yield name


def cache_directory() -> Path:
    """Where the models of the hub are."""
    from huggingface_hub.constants import HF_HUB_CACHE  # noqa: PLC0415 - a tenth of a second, and not for everyone

    return Path(HF_HUB_CACHE)


def _cached(name: HubName) -> tuple[HubName, Path]:
    """Raises NotDownloaded when it is not here, or not all of it."""
    from huggingface_hub import snapshot_download  # noqa: PLC0415
    from huggingface_hub.errors import LocalEntryNotFoundError  # noqa: PLC0415

    try:
        path = Path(
            snapshot_download(name.repo, revision=name.revision, allow_patterns=SMALL + LARGE, local_files_only=True)
        )
        if HfDirectory.open(path).weights:  # an older library cannot tell a download that broke off
            return replace(name, revision=path.name), path
    except (LocalEntryNotFoundError, HfError):
        pass
    raise NotDownloaded(str(name), "")


def _fetched(name: HubName) -> tuple[HubName, Path]:
    import httpx2  # noqa: PLC0415 - the errors of what huggingface_hub speaks HTTP with
    from huggingface_hub import constants, errors  # noqa: PLC0415

    try:
        return _downloaded(name, cache_directory())
    except errors.GatedRepoError:
        raise HubGated(str(name), f"{constants.ENDPOINT}/{name.repo}") from None
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError):
        raise HubNotFound(str(name), constants.ENDPOINT) from None
    except (httpx2.HTTPError, errors.RevisionResolutionError, OSError) as error:
        with suppress(NotDownloaded):
            return _cached(name)
        problem = "HF_HUB_OFFLINE" if constants.is_offline_mode() else type(error).__name__
        raise HubUnreachable(str(name), constants.ENDPOINT, problem) from None


def _downloaded(name: HubName, cache: Path) -> tuple[HubName, Path]:
    from huggingface_hub import HfApi, snapshot_download  # noqa: PLC0415

    api = HfApi()
    cache.mkdir(parents=True, exist_ok=True)
    with full_disk_as_error(cache):
        revision = api.resolve_revision(name.repo, revision=name.revision)
        pinned = replace(name, revision=revision.resolved)
        files = set(api.list_repo_files(name.repo, revision=revision.resolved))
        if not files & {WEIGHTS, INDEX}:
            pickled = any(file.endswith(".bin") for file in files)
            raise NotTrainable(str(pinned), Words("hf.only_pickle" if pickled else "hf.no_weights"))
        path = Path(snapshot_download(name.repo, revision=revision, allow_patterns=SMALL))
        if obstacle := HfDirectory.open(path).obstacle_of_config(str(pinned)):
            raise obstacle
        snapshot_download(name.repo, revision=revision, allow_patterns=LARGE)
    return pinned, path
