"""What servers of several modules share: weights are converted once a session."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder, empty at first: the first server converts the weights into it."""
    return tmp_path_factory.mktemp("cache")
