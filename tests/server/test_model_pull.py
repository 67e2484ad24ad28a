"""Recognisers from a server that publishes checksums as Hugging Face does, and misbehaves."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from file_server import Answers, serving

from voicebot.errors import ModelUnavailable
from voicebot.server import models
from voicebot.server.model_pull import ModelFile
from voicebot.server.models import Model

pytestmark = pytest.mark.unit

WEIGHTS = np.random.default_rng(3).bytes(300_000)
SUM = hashlib.sha256(WEIGHTS).hexdigest()
NAME = "small.nemo"


@dataclass
class Hub:
    """What it has, and what it was asked for."""

    content: bytes = WEIGHTS
    published: str | None = SUM
    breaks_after: int | None = None
    moves: bool = False
    is_lost: bool = False
    size: str = ""
    asked: list[str] = field(default_factory=list)
    url: str = ""


def handler(hub: Hub) -> type[Answers]:
    class Handler(Answers):
        def do_HEAD(self) -> None:
            hub.asked.append(f"HEAD {self.path}")
            if hub.is_lost:
                return self.answer(302, b"")
            if hub.moves and not self.path.startswith("/moved"):
                return self.answer(307, b"", Location=f"/moved{self.path}")
            linked = {"X-Linked-ETag": f'"{hub.published}"'} if hub.published else {}
            linked |= {"X-Linked-Size": hub.size or str(len(hub.content))}
            return self.answer(302, b"", Location="/files/1", **linked)

        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            hub.asked.append(f"GET {self.path} {wanted or ''}".strip())
            if not self.path.startswith("/files"):
                return self.answer(302, b"", Location="/files/1")
            start = self.begin()
            found = hub.content[start:]
            return self.answer(206 if start else 200, found, breaks_after=hub.breaks_after)

    return Handler


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    found = Hub()
    with serving(handler(found)) as address:
        found.url = f"{address}/small/resolve/main/{NAME}"
        known(found, monkeypatch)
        yield found


def known(hub: Hub, monkeypatch: pytest.MonkeyPatch, size: int = 0, sha256: str = "") -> None:
    """What the catalogue says of the file beforehand."""
    file = ModelFile(NAME, size, sha256, hub.url)
    monkeypatch.setattr(models, "HUB", (Model("small", "a recogniser", "free", (file,)),))


def refusal(cache: Path) -> str:
    with pytest.raises(ModelUnavailable) as told:
        models.pull("small", cache)
    assert "\n" not in str(told.value)
    return str(told.value)


def test_what_the_server_publishes_is_trusted_once_and_kept(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = models.pull("small", tmp_path)
    assert path.read_bytes() == WEIGHTS
    assert models.fastconformer_file("small", tmp_path) == path
    assert [item.state for item in models.list_models(tmp_path) if item.name == "small"] == [
        "pulled"
    ]
    assert SUM in models.card("small", tmp_path)
    hub.asked.clear()
    models.pull("small", tmp_path)
    assert hub.asked == []
    path.unlink()  # and what the server has later is another file
    hub.content, hub.published = WEIGHTS[::-1], hashlib.sha256(WEIGHTS[::-1]).hexdigest()
    assert "is not the file it should be" in refusal(tmp_path)
    assert not path.exists()
    assert not [asked for asked in hub.asked if asked.startswith("HEAD")]


def test_a_redirect_to_nowhere_and_a_size_without_end_are_refused(hub: Hub, tmp_path: Path) -> None:
    hub.is_lost = True
    assert refusal(tmp_path)
    hub.is_lost, hub.size = False, "9" * 5000
    assert refusal(tmp_path)
    hub.size = ""
    assert models.pull("small", tmp_path)


def test_a_download_that_broke_off_is_taken_up(hub: Hub, tmp_path: Path) -> None:
    hub.breaks_after = 100_000
    assert "cannot be downloaded" in refusal(tmp_path)
    part = tmp_path / "models" / f"{NAME}.part"
    have = part.stat().st_size
    assert 0 < have <= 100_000
    hub.breaks_after = None
    (path,) = models.pull("small", tmp_path)
    assert path.read_bytes() == WEIGHTS
    assert hub.asked[-1] == f"GET /files/1 bytes={have}-"


@pytest.mark.parametrize(
    "content",
    [WEIGHTS[:-1] + b"!", WEIGHTS[:-7], WEIGHTS + b"more"],
    ids=["altered", "cut", "long"],
)
@pytest.mark.parametrize("is_known", [True, False])
def test_another_file_than_was_promised_is_not_kept(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, is_known: bool
) -> None:
    if is_known:
        known(hub, monkeypatch, len(WEIGHTS), SUM)
    hub.content = content
    assert "is not the file it should be" in refusal(tmp_path)
    assert not list((tmp_path / "models").glob("*.part"))
    assert not (tmp_path / "models" / NAME).exists()


def test_a_checksum_that_is_known_is_not_asked_for_and_one_that_differs_is_told(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(hub, monkeypatch, 0, "0" * 64)  # its size is not known: the server is asked
    assert "has another file now" in refusal(tmp_path)
    assert hub.asked == [f"HEAD /small/resolve/main/{NAME}"]


def test_a_server_that_publishes_nothing_is_not_trusted(hub: Hub, tmp_path: Path) -> None:
    for published in (None, "5d41402abc4b2a76b9719d911017c592"):
        hub.published = published
        assert "publishes no checksum" in refusal(tmp_path)


def test_a_repository_that_moved_is_followed(hub: Hub, tmp_path: Path) -> None:
    hub.moves = True
    (path,) = models.pull("small", tmp_path)
    assert path.read_bytes() == WEIGHTS


def test_one_that_was_not_pulled_is_told(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"run `voicebot models pull small`"):
        models.fastconformer_file("Small", tmp_path)
    assert models.fastconformer_file("telephone", tmp_path) is None


def test_the_catalogue_names_files_of_documented_repositories() -> None:
    from voicebot.server.models import HUB

    for model in HUB:
        (file,) = model.files
        assert file.url.startswith("https://huggingface.co/nvidia/")
        assert file.url.endswith(file.name)
        assert len(file.sha256) in {0, 64}
        assert file.sha256 or "/resolve/main/" in file.url  # a checksum belongs to a revision
