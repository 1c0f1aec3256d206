"""The tests of this folder run DVC and processes for real: `make check` leaves them out."""

from pathlib import Path

import pytest

from tests.support.servers import SERVERS, missing


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder as slow; pytest hands over all that it collected."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="module", params=SERVERS)
def kind(request) -> str:
    """A kind of server that can be started here."""
    if reason := missing(request.param):
        pytest.skip(reason)
    return request.param
