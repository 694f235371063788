"""Letter + envelope → the bytes of one mail. Pure. One message for one recipient."""

from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr

from moderation.letters import Rendered, header_line

_CRLF = "\r\n"


@dataclass(frozen=True, slots=True)
class Envelope:
    """Everything about a mail but what it says. Ids are written without their angle brackets."""

    message_id: str
    sender: str
    sender_name: str
    recipient: str  # as it goes over the wire, see smtp.wire_address
    sent_at: datetime
    list_id: str = ""
    unsubscribe: str = ""
    thread: str = ""  # id of the first message of its thread


def compose(envelope: Envelope, letter: Rendered) -> bytes:
    """RFC 5322, text and HTML. Ids and links stand in lines of their own that no mail library folds or encodes:
    one of 78 characters or more would come out as an encoded word, and no mail program reads that.
    """
    message = EmailMessage(policy=SMTP)
    message["Date"] = format_datetime(envelope.sent_at)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content(letter.text, cte="base64")
    message.add_alternative(letter.html, subtype="html", cte="base64")
    raw = {"To": envelope.recipient, "Message-ID": f"<{envelope.message_id}>"}
    if envelope.thread:
        raw |= {"In-Reply-To": f"<{envelope.thread}>", "References": f"<{envelope.thread}>"}
    if envelope.list_id:
        raw["List-ID"] = f"<{envelope.list_id}>"
    if envelope.unsubscribe:  # RFC 8058
        raw |= {"List-Unsubscribe": f"<{envelope.unsubscribe}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    return _from(envelope) + _phrase("Subject", letter.subject) + _raw_lines(raw) + message.as_bytes()


def _from(envelope: Envelope) -> bytes:
    name = header_line(envelope.sender_name)
    if name.isascii():
        return _raw_lines({"From": formataddr((name, envelope.sender))})
    return _phrase("From", name).removesuffix(_CRLF.encode()) + f"{_CRLF} <{envelope.sender}>{_CRLF}".encode()


def _phrase(header: str, text: str) -> bytes:
    """Words for people, encoded as a whole (RFC 2047): EmailMessage encodes some of the words and loses spaces between them."""
    charset = "us-ascii" if text.isascii() else "utf-8"
    return f"{header}: {Header(text, charset, maxlinelen=75, header_name=header).encode(linesep=_CRLF)}{_CRLF}".encode()


def _raw_lines(headers: dict[str, str]) -> bytes:
    """Raises ValueError for what would be more than one line, or longer than a line may be (RFC 5322, section 2.1.1)."""
    for value in headers.values():
        if not value.isprintable() or len(value.encode()) > 900:
            raise ValueError("not fit for a header")
    return "".join(f"{name}: {value}{_CRLF}" for name, value in headers.items()).encode()
