import hashlib

from shared.records import request_hash


def test_the_hash_is_that_of_the_canonical_json_in_utf_8() -> None:
    expected = hashlib.sha256('{"fields":{"a":"ü","b":"1"},"title":"Deploy?"}'.encode()).hexdigest()

    assert request_hash({"title": "Deploy?", "fields": {"b": "1", "a": "ü"}}) == expected


def test_another_request_has_another_hash() -> None:
    assert request_hash({"title": "Deploy v1?"}) != request_hash({"title": "Deploy v2?"})
