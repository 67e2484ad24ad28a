"""What every test begins with."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import espeakng_loader
import pytest

from voicebot.speech import espeak


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests on a GPU where there is none."""
    if item.get_closest_marker("gpu") is not None:
        import torch
        from devices import need_gpu

        need_gpu(item.config.option.markexpr, torch.cuda.is_available())


@pytest.fixture(scope="session", autouse=True)
def _copies_of_the_voice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Every engine has a library of its own, and with it a state of its own."""
    library = Path(espeakng_loader.get_library_path())
    folder = tmp_path_factory.mktemp("espeak")
    numbers = itertools.count()

    def copied() -> str:
        copy = folder / f"{next(numbers)}{library.suffix}"
        shutil.copyfile(library, copy)
        return str(copy)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(espeakng_loader, "get_library_path", copied)
        yield
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module", autouse=True)
def _voice_of_a_module(_copies_of_the_voice: None) -> None:
    espeak._engine = None


@pytest.fixture(autouse=True)
def _voice_without_a_past(_voice_of_a_module: None) -> None:
    """espeak-ng's samples depend on all that its library has spoken before, which nothing resets.
    What a test hears must not depend on which tests ran before it: each has an engine of its own.
    """
    espeak._engine = None
