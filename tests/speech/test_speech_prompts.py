"""Prompts are rendered once, kept, bounded, and survive what happens to files."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from voicebot.events import PhraseEnd, Say
from voicebot.speech.prompts import Prompts
from voicebot.speech.voices import EspeakVoice, Rendering

pytestmark = pytest.mark.unit


class CountingVoice:
    """A tone per text, and how often each text was synthesised."""

    def __init__(self, name: str = "tone", version: str = "1") -> None:
        self.name = name
        self.version = version
        self.rendered: list[str] = []

    def render(self, text: str) -> Rendering:
        self.rendered.append(text)
        samples = (5000 * np.sin(np.arange(8000) * (0.1 + 0.01 * len(text)))).astype(np.int16)
        return Rendering(samples, 8000, (PhraseEnd(8000, len(text)),))


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


def test_rendered_once_in_memory_and_once_on_disk(tmp_path: Path) -> None:
    voice = CountingVoice()
    prompts = Prompts(voice, tmp_path / "prompts")
    parts = ("Hello", "world .")
    assert not prompts.is_ready(parts)
    first = prompts.render(parts)
    assert first.text == "Hello world."
    assert prompts.is_ready(parts)
    assert prompts.render(parts) is first
    later = Prompts(voice, tmp_path / "prompts")
    assert later.is_ready(parts)
    assert later.render(parts) == first
    assert voice.rendered == ["Hello world."]
    assert len(files(tmp_path / "prompts")) == 1


def test_another_voice_or_version_is_another_prompt(tmp_path: Path) -> None:
    for voice in (CountingVoice(), CountingVoice("other"), CountingVoice(version="2")):
        Prompts(voice, tmp_path).render(("Hello.",))
        assert voice.rendered == ["Hello."]
    assert len(files(tmp_path)) == 3


def test_values_of_a_caller_stay_off_the_disk(tmp_path: Path) -> None:
    prompts = Prompts(CountingVoice(), tmp_path / "p")
    parts = ("Your balance is", Say("12.50", "money"), ".")
    assert prompts.render(parts).text == "Your balance is twelve dollars and fifty cents."
    assert prompts.is_ready(parts)
    assert files(tmp_path) == []
    Prompts(CountingVoice(), tmp_path / "p", keep_values=True).render(parts)
    assert len(files(tmp_path / "p")) == 1


def damage_cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def damage_flip(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize(
    "damage",
    [
        damage_cut,
        damage_flip,
        lambda data: b"",
        lambda data: b"\xff\xfe\x00 not json\n",
        lambda data: b"[1, 2]\n" + data,
        lambda data: data.replace(b"Hello", b"Jello"),
        lambda data: data.replace(b'"word_ends": [[', b'"word_ends": [["x", '),
    ],
)
def test_a_corrupt_file_is_rendered_again(tmp_path: Path, damage: object) -> None:
    voice = CountingVoice()
    good = Prompts(voice, tmp_path).render(("Hello.",))
    (path,) = files(tmp_path)
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    assert Prompts(voice, tmp_path).render(("Hello.",)) == good
    assert len(voice.rendered) == 2
    assert Prompts(voice, tmp_path).render(("Hello.",)) == good
    assert len(voice.rendered) == 2


def test_a_folder_that_cannot_be_written_means_memory_only(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    voice = CountingVoice()
    prompts = Prompts(voice, blocked / "prompts")
    first = prompts.render(("Hello.",))
    assert prompts.render(("Hello.",)) is first
    assert voice.rendered == ["Hello."]
    assert Prompts(voice).render(("Hello.",)) == first


def test_disk_stays_bounded_and_keeps_what_is_used(tmp_path: Path) -> None:
    voice = CountingVoice()
    prompts = Prompts(voice, tmp_path, disk_bytes=60_000)
    prompts.render(("Welcome.",))
    for number in range(12):
        for index, path in enumerate(files(tmp_path)):  # mtimes far apart, oldest first
            if path.stat().st_mtime_ns > 10**15:
                os.utime(path, ns=(number * 10**9 + index, number * 10**9 + index))
        Prompts(voice, tmp_path).render(("Welcome.",))  # read from disk: recently used
        prompts.render((f"Prompt number {number}.",))
    assert sum(path.stat().st_size for path in files(tmp_path)) <= 60_000
    assert len(files(tmp_path)) >= 5
    assert voice.rendered.count("Welcome.") == 1


def test_memory_stays_bounded() -> None:
    voice = CountingVoice()
    prompts = Prompts(voice, memory_bytes=20_000)
    for text in ("One.", "Two two.", "One.", "Three three three.", "One.", "Two two."):
        prompts.render((text,))
    # About 8 kB each, so two fit: "One." is used again and stays, "Two two." went.
    assert voice.rendered == ["One.", "Two two.", "Three three three.", "Two two."]


def test_threads_get_the_same_prompt(tmp_path: Path) -> None:
    prompts = Prompts(EspeakVoice(), tmp_path)
    texts = [("Hello there.",), ("Please hold the line.",), ("Your code is", Say("42", "digits"))]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(prompts.render, texts * 10))
    assert len({prompt.mulaw for prompt in found}) == 3


def test_nothing_to_say_and_far_too_much() -> None:
    prompts = Prompts(EspeakVoice())
    assert prompts.render(()).mulaw == b""
    assert prompts.render(("",)).word_ends == ()
    prompt = Prompts(CountingVoice()).render(("word " * 5000,))
    assert 3900 < len(prompt.text) <= 4000
    assert prompt.text.endswith("word")
    assert prompt.word_ends[-1].chars == len(prompt.text)
