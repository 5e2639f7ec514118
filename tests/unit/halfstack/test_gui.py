"""The GUI is put in place once, however many ask for it at a time."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from backendai.halfstack.gui import SOURCES, TARGET, build_gui, compute_digest, is_built

FILES = 300


def test_two_that_start_from_one_checkout_find_it_whole(tmp_path: Path) -> None:
    checkout, cache = tmp_path / "checkout", tmp_path / "cache"
    (checkout / SOURCES).mkdir(parents=True)
    (checkout / SOURCES / "package.json").write_text("{}")
    kept = cache / "gui" / compute_digest(checkout / SOURCES)
    kept.mkdir(parents=True)
    for number in range(FILES):
        (kept / f"{number}.js").write_text("x")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: build_gui(checkout, cache, print), range(4)))
    assert is_built(checkout)
    assert len(list((checkout / TARGET).glob("*.js"))) == FILES
