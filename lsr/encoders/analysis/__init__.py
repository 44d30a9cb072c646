"""Text to index terms for the lexical side, for documents, queries and marks alike."""

from lsr.encoders.analysis.analyzer import LATEST, Analyzer
from lsr.encoders.analysis.characters import (
    BLANK,
    IN_WORD,
    STANDS_ALONE,
    WORD_LIKE,
    character_kinds,
)
from lsr.encoders.analysis.stop_words import ENGLISH_STOP_WORDS
from lsr.encoders.analysis.token import Token

__all__ = [
    "BLANK",
    "ENGLISH_STOP_WORDS",
    "IN_WORD",
    "LATEST",
    "STANDS_ALONE",
    "WORD_LIKE",
    "Analyzer",
    "Token",
    "character_kinds",
]
