"""Mail: one message (.eml), or a box of them (.mbox)."""

from __future__ import annotations

import re
from email import policy
from email.message import EmailMessage, MIMEPart
from email.parser import BytesParser
from email.utils import parsedate_to_datetime

from lsr.datasets.files.content import DAMAGE, Content, Extracted, Unreadable
from lsr.datasets.files.html import html_text

__all__ = ["BOX_SUFFIXES", "MAIL_SUFFIXES", "read_box", "read_mail"]

MAIL_SUFFIXES = (".eml",)
BOX_SUFFIXES = (".mbox",)
_MESSAGE = re.compile(rb"(?:\A|(?<=\n\n)|(?<=\r\n\r\n))From [^\r\n]*\r?\n")
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)


def read_mail(content: Content) -> list[Extracted]:
    """One text: the body; title is the subject, metadata from, to and date (ISO 8601).

    Attachments are left out and named.

    Raises:
        Unreadable: it has no headers of mail, or its HTML needs a library.
    """
    return [_message(content, content.data, "")]


def read_box(content: Content) -> list[Extracted]:
    """A text a message; parts are numbered from 1 in file order.

    Raises:
        Unreadable: it does not start as a box does.
    """
    starts = list(_MESSAGE.finditer(content.data))
    if not starts or starts[0].start():
        raise Unreadable("is no box of mail")
    ends = [*(start.start() for start in starts[1:]), len(content.data)]
    found = []
    for number, (start, end) in enumerate(zip(starts, ends, strict=True), start=1):
        message = _QUOTED.sub(rb"\1", content.data[start.end() : end])
        try:
            found.append(_message(content, message, str(number)))
        except Unreadable as error:
            content.left_out.append((f"message {number}", f"the message {error.reason}"))
    return found


def _message(content: Content, data: bytes, part: str) -> Extracted:
    try:
        message = BytesParser(policy=policy.default).parsebytes(data)
        if not isinstance(message, EmailMessage) or not message.keys():
            raise Unreadable("has no headers of mail")
        body = message.get_body(("plain", "html"))
        text = "" if body is None else _body(body)
        for attachment in message.iter_attachments():
            name = attachment.get_filename() or attachment.get_content_type()
            where = f"message {part}, {name}" if part else name
            content.left_out.append((where, "attachments are not read"))
        title = " ".join(str(message["subject"] or "").split())
        metadata = {name: str(message[name]) for name in ("from", "to") if message[name]}
        if message["date"]:
            metadata["date"] = _date(str(message["date"]))
    except DAMAGE as error:
        raise Unreadable("is damaged") from error
    return Extracted(text.replace("\r\n", "\n").strip("\n"), title, metadata, part)


def _body(body: MIMEPart) -> str:
    payload = body.get_content()
    if not isinstance(payload, str):
        return ""
    return html_text(payload).text if body.get_content_subtype() == "html" else payload


def _date(text: str) -> str:
    try:
        return parsedate_to_datetime(text).isoformat()
    except (ValueError, TypeError):
        return text
