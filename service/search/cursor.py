"""`Cursor`: where a list was read up to, as text that a client hands back unread.

It holds the state of the collection that the list was of. On the same state the next page begins
exactly where the last ended. On another it begins after the last hit, wherever that would be now:
nothing that stayed is told twice or left out, as long as scores stay.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass

import orjson

from lsr.errors import QueryError
from lsr.retrieval.asked import LastHit
from lsr.service.search.request import Search

__all__ = ["Cursor", "digest"]

_VERSION = 1


@dataclass(frozen=True)
class Cursor:
    """Place that a list was read up to.

    Attributes:
        state: what the collection was: its generation and the number of its last write.
        place: hits before the next one.
        digest: of the request; a cursor fits no other.
        last: the last hit.
    """

    state: tuple[int, int]
    place: int
    digest: str
    last: LastHit

    def text(self) -> str:
        """The cursor as text."""
        value = [_VERSION, *self.state, self.place, self.digest, self.last.score, self.last.doc_id]
        return base64.urlsafe_b64encode(orjson.dumps(value)).rstrip(b"=").decode()

    @classmethod
    def read(cls, text: str, expected: str) -> Cursor:
        """The cursor that a text is.

        Raises:
            QueryError: it is none, or belongs to another request than that of digest `expected`.
        """
        try:
            padded = text.encode("ascii") + b"=" * (-len(text) % 4)
            value = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
            version, generation, seq, place, digest_, score, doc_id = value
            numbers = (version, generation, seq, place)
            if not all(type(each) is int and each >= 0 for each in numbers):
                raise ValueError("a number is wrong")
            if not (type(score) is float and type(doc_id) is type(digest_) is str):
                raise ValueError("a part is of another type")
            if version != _VERSION:
                raise ValueError("another version")
        except (ValueError, TypeError, binascii.Error) as error:
            raise QueryError(
                "the cursor cannot be read; give one as it came in an answer, or none"
            ) from error
        if digest_ != expected:
            raise QueryError(
                "the cursor belongs to another request; repeat the one it came from, or give none"
            )
        return cls((generation, seq), place, digest_, LastHit(score, doc_id))


def digest(name: str, search: Search) -> str:
    """Digest of what decides a list: collection, query, filter, plan and least score."""
    vectors = search.vectors
    given = [
        name,
        search.text,
        search.where,
        search.within.as_json() if search.within else None,
        (search.sort, search.collapse),
        search.plan,
        (vectors.sparse, vectors.dense) if vectors else None,
        search.min_score,
    ]
    try:
        content = orjson.dumps(given, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # integers above 64 bits
        content = json.dumps(given, sort_keys=True).encode()
    return hashlib.blake2b(content, digest_size=12).hexdigest()
