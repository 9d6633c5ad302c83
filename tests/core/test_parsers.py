from __future__ import annotations

from io import BytesIO

import pytest
from django.test import RequestFactory
from rest_framework.exceptions import ParseError

from portal.core.parsers import BodyTooLarge, StrictJSONParser

REFUSED = {
    "malformed": b'{"a":',
    "not a number": b'{"a": NaN}',
    "overflow": b'{"a": 1e999}',
    "NUL in a value": rb'{"a": ["x\u0000"]}',
    "NUL in a name": rb'{"\u0000": 1}',
    "half a surrogate pair": rb'{"a": "\ud800"}',
    "not UTF-8": b'{"a": "\xff"}',
    "deep": b'{"a":' * 60 + b"1" + b"}" * 60,
    "endless": b"[" * 100_000,
    "number of 5000 digits": b"1" * 5000,
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_stored_is_refused(body: bytes) -> None:
    with pytest.raises(ParseError):
        StrictJSONParser().parse(BytesIO(body))


def test_the_rest_is_taken() -> None:
    assert StrictJSONParser().parse(BytesIO(rb'{"a": ["\ud83d\ude00", 1.5, null]}')) == {"a": ["😀", 1.5, None]}


def test_a_body_beyond_the_limit_is_not_read() -> None:
    request = RequestFactory().post("/", b"[]", content_type="application/json")
    request.META["CONTENT_LENGTH"] = "3000000"
    with pytest.raises(BodyTooLarge):
        StrictJSONParser().parse(BytesIO(b"[]"), parser_context={"request": request})
