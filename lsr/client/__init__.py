"""A client of the service, synchronous and asynchronous, over httpx.

client = lsr.Client("http://127.0.0.1:8080")
client.collection("my-index").search("rotate a key", limit=10).hits
"""

from lsr.client.answers import (
    Collapsed,
    Encoded,
    Explained,
    Explanation,
    FacetCounts,
    FacetRange,
    FacetValue,
    FoundPassage,
    Hit,
    Mark,
    Notice,
    PrfReport,
    SearchAnswer,
    Suggestion,
)
from lsr.client.async_client import AsyncClient, AsyncRemoteCollection
from lsr.client.client import Client, RemoteCollection
from lsr.client.resources import (
    Added,
    CollectionInfo,
    Deleted,
    DocumentPage,
    Key,
    Snapshot,
    StoredDocument,
    Task,
    Verified,
    Written,
)
from lsr.client.retry import Retry
from lsr.client.search_request import SearchRequest

__all__ = [
    "Added",
    "AsyncClient",
    "AsyncRemoteCollection",
    "Client",
    "Collapsed",
    "CollectionInfo",
    "Deleted",
    "DocumentPage",
    "Encoded",
    "Explained",
    "Explanation",
    "FacetCounts",
    "FacetRange",
    "FacetValue",
    "FoundPassage",
    "Hit",
    "Key",
    "Mark",
    "Notice",
    "PrfReport",
    "RemoteCollection",
    "Retry",
    "SearchAnswer",
    "SearchRequest",
    "Snapshot",
    "StoredDocument",
    "Suggestion",
    "Task",
    "Verified",
    "Written",
]
