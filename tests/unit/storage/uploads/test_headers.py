"""Headers of the upload protocol: read strictly, written as they are told."""

import base64
import hashlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from backendai.common.storage_faults import StorageInvalidParams
from backendai.common.upload_faults import UploadVersionRefused
from backendai.storage.uploads.headers import (
    CHECKSUMS,
    Checksum,
    check_version,
    http_date,
    read_checksum,
    read_metadata,
    read_offset,
)


@given(st.integers(0, 10**18 - 1))
def test_offsets(offset: int) -> None:
    assert read_offset(CIMultiDict({"upload-offset": str(offset)})) == offset


@pytest.mark.parametrize(
    "text", ["", " ", "-1", "+1", "1e3", "0x10", "1.0", "1 ", "٣", "9" * 19, "1,2"]
)
def test_offsets_that_are_none(text: str) -> None:
    with pytest.raises(StorageInvalidParams):
        read_offset(CIMultiDict({"Upload-Offset": text}))


def test_a_header_given_twice_is_refused() -> None:
    headers = CIMultiDict([("Upload-Offset", "1"), ("upload-offset", "1")])
    with pytest.raises(StorageInvalidParams):
        read_offset(headers)


@pytest.mark.parametrize("given", ["0.2.2", "1.0.1", "", None])
def test_versions_that_are_refused(given: str | None) -> None:
    headers = CIMultiDict({"Tus-Resumable": given} if given is not None else {})
    with pytest.raises(UploadVersionRefused):
        check_version(headers)


@given(st.sampled_from(sorted(CHECKSUMS)), st.binary(max_size=50))
def test_checksums(algorithm: str, data: bytes) -> None:
    digest = hashlib.new(algorithm, data).digest()
    text = f"{algorithm} {base64.b64encode(digest).decode()}"
    assert read_checksum(CIMultiDict({"Upload-Checksum": text})) == Checksum(algorithm, digest)


@given(st.text(max_size=60))
def test_checksums_that_are_none(text: str) -> None:
    with pytest.raises(StorageInvalidParams):
        read_checksum(CIMultiDict({"Upload-Checksum": text}))


@given(st.dictionaries(st.from_regex(r"[a-zA-Z]{1,10}", fullmatch=True), st.text(), max_size=4))
def test_metadata(pairs: dict[str, str]) -> None:
    text = ",".join(f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in pairs.items())
    assert read_metadata(CIMultiDict({"Upload-Metadata": text})) == pairs


@pytest.mark.parametrize("text", ["a !", "a Zg==,a Zg==", "a /w=="])
def test_metadata_that_is_none(text: str) -> None:
    with pytest.raises(StorageInvalidParams):
        read_metadata(CIMultiDict({"Upload-Metadata": text}))


def test_dates_of_headers() -> None:
    at = datetime(2026, 11, 22, 8, 9, 10, tzinfo=UTC)
    assert http_date(at) == "Sun, 22 Nov 2026 08:09:10 GMT"
