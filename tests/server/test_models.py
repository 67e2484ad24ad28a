"""`voicebot models`: against a small HTTP server that misbehaves as real ones do."""

from __future__ import annotations

import errno
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from file_server import Answers, serving

from voicebot.errors import ModelUnavailable
from voicebot.server import model_pull, models
from voicebot.server.model_pull import ModelFile
from voicebot.server.models import Model

pytestmark = pytest.mark.unit

CONTENT = {
    name: np.random.default_rng(size).bytes(size)
    for name, size in (("mel.onnx", 300_000), ("embedding.onnx", 200_000), ("hello.onnx", 250_000))
}


@dataclass
class Release:
    """What the server does, and what it was asked for."""

    files: dict[str, bytes] = field(default_factory=lambda: dict(CONTENT))
    breaks_after: int | None = None
    takes_ranges: bool = True
    status: int | None = None
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""


def handler(release: Release) -> type[Answers]:
    class Handler(Answers):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            name = self.path.lstrip("/")
            release.asked.append((name, wanted))
            if name.startswith("old/"):  # as GitHub, which redirects to where files lie
                return self.answer(302, b"", Location=f"/{name[4:]}")
            content = release.files.get(name)
            if release.status or content is None:
                return self.answer(release.status or 404, b"no")
            start = self.begin() if release.takes_ranges else 0
            found = content[start:]
            return self.answer(206 if start else 200, found, breaks_after=release.breaks_after)

    return Handler


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch) -> Iterator[Release]:
    def file(name: str) -> ModelFile:
        content = CONTENT[name]
        return ModelFile(name, len(content), hashlib.sha256(content).hexdigest())

    features = Model(
        "features", "needed by all", "free", (file("mel.onnx"), file("embedding.onnx"))
    )
    word = Model("hello", "hot word 'hello'", "free", (file("hello.onnx"),))
    monkeypatch.setattr(models, "FEATURES", features)
    monkeypatch.setattr(models, "MODELS", (features, word))
    found = Release()
    with serving(handler(found)) as found.url:
        yield found


def refusal(release: Release, cache: Path, name: str = "hello") -> str:
    with pytest.raises(ModelUnavailable) as told:
        models.pull(name, cache, release=release.url)
    message = str(told.value)
    assert "\n" not in message
    return message


def folder(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "models").iterdir())


def test_a_word_comes_with_the_features_it_needs(release: Release, tmp_path: Path) -> None:
    paths = models.pull("hello", tmp_path, release=release.url)
    assert {path.name: path.read_bytes() for path in paths} == CONTENT
    assert folder(tmp_path) == sorted(CONTENT)


def test_follows_the_redirect_to_where_files_lie(release: Release, tmp_path: Path) -> None:
    models.pull("hello", tmp_path, release=f"{release.url}/old")
    assert folder(tmp_path) == sorted(CONTENT)


def test_what_is_there_and_sound_is_not_fetched_again(release: Release, tmp_path: Path) -> None:
    models.pull("features", tmp_path, release=release.url)
    release.asked.clear()
    models.pull("hello", tmp_path, release=release.url)
    assert [name for name, _ in release.asked] == ["hello.onnx"]


def test_a_damaged_file_is_fetched_again(release: Release, tmp_path: Path) -> None:
    (path,) = [p for p in models.pull("hello", tmp_path, release=release.url) if "hello" in p.name]
    path.write_bytes(b"x" * len(CONTENT["hello.onnx"]))
    assert [item.state for item in models.list_models(tmp_path)][-1] == "damaged"
    models.pull("hello", tmp_path, release=release.url)
    assert path.read_bytes() == CONTENT["hello.onnx"]


def test_tells_progress(release: Release, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    models.pull("hello", tmp_path, release=release.url, progress=lambda *now: seen.append(now))
    of_word = [(done, size) for name, done, size in seen if name == "hello.onnx"]
    assert of_word == sorted(of_word)
    assert len(of_word) > 1
    assert of_word[-1] == (250_000, 250_000)


@pytest.mark.parametrize("takes_ranges", [True, False])
def test_a_download_that_broke_off_is_taken_up(
    release: Release, tmp_path: Path, takes_ranges: bool
) -> None:
    release.breaks_after, release.takes_ranges = 100_000, takes_ranges
    assert "cannot be downloaded" in refusal(release, tmp_path, "features")
    assert folder(tmp_path) == ["mel.onnx.part"]
    have = (tmp_path / "models" / "mel.onnx.part").stat().st_size
    assert 0 < have <= 100_000
    release.breaks_after = None
    models.pull("features", tmp_path, release=release.url)
    assert release.asked[1] == ("mel.onnx", f"bytes={have}-")
    assert folder(tmp_path) == ["embedding.onnx", "mel.onnx"]


def test_a_wrong_beginning_is_not_kept(release: Release, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mel.onnx.part").write_bytes(b"something else")
    assert "is not the file it should be" in refusal(release, tmp_path, "features")
    models.pull("features", tmp_path, release=release.url)
    assert folder(tmp_path) == ["embedding.onnx", "mel.onnx"]


@pytest.mark.parametrize(
    "content",
    [CONTENT["mel.onnx"][:-1] + b"!", CONTENT["mel.onnx"] + b"more", b"<html>sign in</html>"],
    ids=["altered", "longer", "a portal's page"],
)
def test_another_file_than_expected_is_not_kept(
    release: Release, tmp_path: Path, content: bytes
) -> None:
    release.files["mel.onnx"] = content
    assert "is not the file it should be" in refusal(release, tmp_path, "features")
    assert folder(tmp_path) == []


@pytest.mark.parametrize(("status", "says"), [(404, "404"), (503, "503"), (416, "416")])
def test_a_server_that_refuses_is_told(
    release: Release, tmp_path: Path, status: int, says: str
) -> None:
    release.status = status
    message = refusal(release, tmp_path)
    assert f"the server answered {says}" in message
    assert str(tmp_path / "models" / "hello.onnx") in message


def test_no_network_is_told(tmp_path: Path, release: Release) -> None:
    release.url = "http://127.0.0.1:1"
    assert "check the network" in refusal(release, tmp_path)


def test_a_full_disk_is_told(
    release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(model_pull, "_write", full)
    assert "the disk is full" in refusal(release, tmp_path)


def test_a_folder_that_cannot_be_made_is_told(release: Release, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert "VOICEBOT_ASR__CACHE_DIR" in refusal(release, tmp_path / "file")


def test_an_unknown_name_is_told_with_those_there_are(release: Release, tmp_path: Path) -> None:
    assert "have features, hello" in refusal(release, tmp_path, "goodbye")
    assert release.asked == []


def test_names_may_be_written_as_they_are_spoken() -> None:
    assert models.find("Hey Jarvis").files[0].name == "hey_jarvis_v0.1.onnx"


def test_lists_what_is_shipped_what_can_be_pulled_and_what_was(
    release: Release, tmp_path: Path
) -> None:
    models.pull("features", tmp_path, release=release.url)
    listed = {item.name: item for item in models.list_models(tmp_path)}
    assert listed["operator"].state == "shipped"
    assert listed["features"].state == "pulled"
    assert listed["features"].where == tmp_path / "models"
    assert listed["hello"].state == "can be pulled"
    lines = models.table(list(listed.values())).splitlines()
    assert len(lines) == len(listed)
    unknown = [line for line in lines if "size ?" in line]
    assert len(unknown) == sum(not item.size for item in listed.values())
    assert not any(" 0.0 MB" in line for line in lines)
    shipped = [line for line in lines if "  shipped  " in line]
    assert all(
        re.search(r"; Apache-2.0\b.* \(data: .*CC BY-SA 4.0.*\); /", line) for line in shipped
    )


def test_the_addresses_are_those_of_the_installed_package() -> None:
    source = find_spec("openwakeword")
    if source is None:
        pytest.skip("openWakeWord is not installed: it cannot be from Python 3.12 on")
    text = Path(str(source.origin)).read_text()
    for model in models.MODELS:
        for file in model.files:
            assert f"{models.RELEASE}/{file.name}".replace(".onnx", ".tflite") in text
            assert len(file.sha256) == 64
