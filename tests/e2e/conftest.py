"""What servers of several modules share."""

from pathlib import Path

import pytest

from voicebot.asr.checkpoint import load_weights


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder with the recogniser's weights, converted once a session."""
    folder = tmp_path_factory.mktemp("cache")
    load_weights(folder)
    return folder
