"""What a sync has to do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendai.client.faults import BadUsage
from backendai.client.vfolders.plan import SyncPlan, plan_sync, to_compare
from backendai.client.vfolders.trees import Entry, Kind, Tree

DIRECTORY = Entry(Kind.DIRECTORY)
LINK = Entry(Kind.OTHER)


def file(size: int = 1, mtime: float = 100.0) -> Entry:
    return Entry(Kind.FILE, size, mtime)


def test_what_is_missing_is_copied_and_directories_are_made() -> None:
    source = {"a": DIRECTORY, "a/b": file(3), "empty": DIRECTORY, "c": file(4)}
    plan = plan_sync(source, {})
    assert plan == SyncPlan(directories=("a", "empty"), copies=("a/b", "c"), size_bytes=7)


@pytest.mark.parametrize(
    ("here", "there", "is_copied"),
    [
        (file(1, 100), file(1, 100), False),
        (file(1, 100), file(1, 200), False),
        (file(1, 100.0005), file(1, 100), False),
        (file(1, 200), file(1, 100), True),
        (file(2, 100), file(1, 200), True),
        (file(1, 100), LINK, True),
    ],
)
def test_a_file_is_copied_when_its_size_differs_or_it_is_newer(
    here: Entry, there: Entry, is_copied: bool
) -> None:
    assert (plan_sync({"a": here}, {"a": there}).copies == ("a",)) is is_copied


def test_by_content_times_say_nothing() -> None:
    source = {"same": file(1, 300), "other": file(1, 1), "longer": file(2), "new": file()}
    target = {"same": file(1, 1), "other": file(1, 300), "longer": file(1)}
    assert to_compare(source, target) == ["same", "other"]
    plan = plan_sync(source, target, same={"same"})
    assert plan.copies == ("other", "longer", "new")


def test_only_deletes_when_told_and_a_directory_stands_for_all_in_it() -> None:
    target = {"old": DIRECTORY, "old/x": file(), "older": file(), "kept": file()}
    assert plan_sync({"kept": file()}, target).is_empty
    plan = plan_sync({"kept": file()}, target, deletes=True)
    assert plan == SyncPlan(deletions=("old", "older"))


def test_links_are_told_of_and_what_is_in_their_place_stays() -> None:
    plan = plan_sync({"a": LINK}, {"a": DIRECTORY, "a/b": file()}, deletes=True)
    assert plan == SyncPlan(skipped=("a",))


def test_a_file_in_the_place_of_a_directory_is_replaced_only_when_it_may() -> None:
    source, target = {"a": DIRECTORY, "a/b": file()}, {"a": file()}
    for one, other in ((source, target), (target, source)):
        with pytest.raises(BadUsage, match="a is a directory on one side"):
            plan_sync(one, other)
    assert plan_sync(source, target, deletes=True) == SyncPlan(
        replaced=("a",), directories=("a",), copies=("a/b",), size_bytes=1
    )
    assert plan_sync(target, source, deletes=True) == SyncPlan(
        replaced=("a",), copies=("a",), size_bytes=1
    )


ENTRIES = st.one_of(
    st.just(DIRECTORY),
    st.builds(file, st.integers(0, 2), st.floats(0, 9, allow_nan=False)),
)


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    """Whatever is below something is in a directory."""
    tree: dict[str, Entry] = {}
    for above in ("", "a/", "b/", "a/a/"):
        if above and tree.get(above[:-1]) != DIRECTORY:
            continue
        for name, entry in draw(st.dictionaries(st.sampled_from("abc"), ENTRIES)).items():
            tree[above + name] = entry
    return tree


def carry_out(plan: SyncPlan, source: Tree, target: Tree) -> Tree:
    def without(tree: Tree, gone: tuple[str, ...]) -> dict[str, Entry]:
        return {
            path: entry
            for path, entry in tree.items()
            if not any(path == one or path.startswith(f"{one}/") for one in gone)
        }

    result = without(target, plan.replaced)
    result |= {path: source[path] for path in (*plan.directories, *plan.copies)}
    return without(result, plan.deletions)


@given(trees(), trees())
def test_after_a_sync_that_deletes_both_have_the_same_and_nothing_is_left_to_do(
    source: Tree, target: Tree
) -> None:
    result = carry_out(plan_sync(source, target, deletes=True), source, target)
    assert result.keys() == source.keys()
    assert all(result[path].size == source[path].size for path in source)
    assert plan_sync(source, result, deletes=True).is_empty
