"""Who answers: shares beside the weights. The requests themselves are tests/cluster's: they need a gateway."""

from collections import Counter

import pytest

from canari.errors import UsageError
from canari.release.verifying import Address, judge, parse_address


def _right(counts: dict[str, int], weights: dict[str, float], nameless: tuple[float, ...] = ()) -> bool:
    return all(share.within for share in judge(Counter(counts), weights, nameless))


@pytest.mark.parametrize(
    ("counts", "weights", "right"),
    [
        ({"1": 400}, {"1": 100.0}, True),
        ({"1": 399, "2": 1}, {"1": 100.0, "2": 0.0}, False),  # nobody may reach a version without weight
        ({"1": 365, "2": 35}, {"1": 90.0, "2": 10.0}, True),
        ({"1": 300, "2": 100}, {"1": 90.0, "2": 10.0}, False),
        ({"1": 9000, "2": 1000}, {"1": 50.0, "2": 50.0}, False),
        ({"1": 4900, "2": 5100}, {"1": 50.0, "2": 50.0}, True),  # within two points
        ({"1": 7, "2": 3}, {"1": 90.0, "2": 10.0}, True),  # ten answers cannot tell
        ({"2": 400}, {"1": 100.0}, False),  # another version than the one that is known to be stable
        ({"1": 400}, {"1": 90.0, "2": 10.0}, False),  # nobody reaches the candidate
        ({}, {"1": 100.0}, False),
    ],
)
def test_shares_beside_weights(counts: dict[str, int], weights: dict[str, float], right: bool) -> None:
    assert _right(counts, weights) is right


def test_versions_that_no_gate_has_named_yet() -> None:
    assert _right({"7": 400}, {}, (100.0,))
    assert _right({"7": 360, "8": 40}, {}, (10.0, 90.0))
    assert _right({"7": 360, "8": 40}, {"7": 90.0}, (10.0,))
    assert not _right({"7": 360, "8": 40}, {}, (100.0,))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("198.51.100.2", Address(host="198.51.100.2", port=80)),
        ("gateway.example.com:8080", Address(host="gateway.example.com", port=8080)),
        ("https://gateway.example.com", Address(host="gateway.example.com", port=443, tls=True)),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "ftp://host", "http://host/path", "host:port", "host:99999999"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(UsageError, match="expected HOST:PORT"):
        parse_address(text)
