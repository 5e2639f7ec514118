"""Notebooks of a running stack: the image with Jupyter Lab in it, built once by its own recipe."""

import pytest

from tests.running.stack import Stack

NOTEBOOKS = "bai/jupyter:4"


@pytest.fixture(scope="session")
def notebook_image(shared_stack: Stack) -> str:
    """Its name. What was built before is taken as it is."""
    done = shared_stack.cli("images", "build", "jupyter", who="admin", seconds=1200)
    assert done.code == 0, done.both
    return NOTEBOOKS
