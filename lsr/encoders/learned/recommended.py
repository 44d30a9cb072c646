"""Search defaults of a model, as its authors recommend them: a small file in its folder."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

from lsr.encoders.learned.lexical_terms import LexicalTerms
from lsr.errors import DataError, InputError

__all__ = ["DEFAULTS_FILE", "IDF_SOURCES", "OLD_DEFAULTS_FILE", "IdfSource", "SearchDefaults"]

IdfSource = Literal["model", "corpus"]
IDF_SOURCES: tuple[IdfSource, ...] = get_args(IdfSource)

DEFAULTS_FILE = "search_defaults.json"
OLD_DEFAULTS_FILE = "use.json"
"""Its name in version 0.1, which is still read; so is `own_terms`."""


@dataclass(frozen=True)
class SearchDefaults:
    """Defaults of search with a model, used unless something else is asked for.

    Attributes:
        idf: whose table weighs queries: the model's own, or the collection's.
        min_idf: tokens of a query that weigh less by the table are left out: they are in most
            documents, so that they cost much and tell little.
        lexical_terms: how a document's own words join its vector, or None.

    Raises:
        InputError: there is no such source of the table, or the minimum is not a number from 0.
    """

    idf: IdfSource = "model"
    min_idf: float = 0.0
    lexical_terms: LexicalTerms | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.min_idf < math.inf:
            raise InputError(f"min_idf is {self.min_idf}; give a number from 0 on")
        if self.idf not in ("model", "corpus"):
            raise InputError(f"there is no idf of {self.idf!r}; choose model or corpus")

    @classmethod
    def read(cls, folder: Path) -> SearchDefaults:
        """Search defaults that the model in this folder names; those of the class if it names none.

        Raises:
            DataError: the file is damaged.
        """
        path = folder / DEFAULTS_FILE
        if not path.is_file():
            path = folder / OLD_DEFAULTS_FILE
        if not path.is_file():
            return cls()
        try:
            said = json.loads(path.read_text("utf-8"))
            if "own_terms" in said:
                if "lexical_terms" in said:
                    raise ValueError("own_terms is the former name of lexical_terms; keep one")
                said["lexical_terms"] = said.pop("own_terms")
            terms = said.get("lexical_terms")
            return cls(**(said | {"lexical_terms": terms and LexicalTerms(**terms)}))
        except (OSError, ValueError, TypeError, AttributeError, InputError) as error:
            raise DataError(
                f"does not say how the model is used ({error}); put it right, or take it away to "
                "use the model without",
                path=path,
            ) from error

    def write(self, folder: Path) -> None:
        """Write the file that `read` reads."""
        terms = self.lexical_terms
        fields = asdict(self) | {"lexical_terms": terms and terms.to_dict()}
        (folder / DEFAULTS_FILE).write_text(json.dumps(fields, indent=2) + "\n", "utf-8")
        (folder / OLD_DEFAULTS_FILE).unlink(missing_ok=True)
