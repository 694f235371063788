"""E-mail addresses are hidden here and nowhere else: sealing, keyed hashes, masking.

Sealed text is `<key id>.<base64url(nonce ‖ AES-256-GCM)>`, bound to what it belongs to by associated data, so a sealed
address copied to another comment does not open. Every purpose has a key of its own (HKDF-SHA-256).
"""

import base64
import hashlib
import hmac
import os
import re
import secrets
import unicodedata

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from moderation.hosts import ascii_host

_AT_SIGNS = "@\uff20\ufe6b"  # fullwidth and small forms are read as an address by people too
_STOP = frozenset(" \t\r\n<>()[]{},;:\"'«»“”‘’،؛?!؟|\\/=" + _AT_SIGNS)
_DOTS = ".\u3002\uff0e\uff61"  # IDNA reads all of them as dots (RFC 3490, section 3.1)
_LABEL = re.compile(f"(?:^|[{_DOTS}])([^{_DOTS}]*)")
_PLAIN = str.maketrans(dict.fromkeys(_AT_SIGNS, "@") | dict.fromkeys(_DOTS, "."))
HASH_KEY = "hash_key"  # the field that holds it, and what it is bound to
_LOCAL_MAX, _DOMAIN_MAX = 64, 253  # RFC 5321, section 4.5.3.1


class Sealed(ValueError):
    """The text can't be opened with any key we have."""


def _derive(master: bytes, purpose: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"moderation/" + purpose.encode()).derive(master)


class Privacy:
    """All cryptography, with key objects built once. `masters` are 32-byte keys, newest first.

    New text is sealed with the newest; every one opens. Links are signed with the newest, and right under every one. Hashes have a key
    of their own, made of the oldest at the first start and from then on kept, sealed, with the data (`adopt_hash_key`): so pseudonyms and
    look-ups stay as they are whatever keys come and go.
    """

    def __init__(self, masters: list[bytes], *, is_generated: bool = False) -> None:
        self.is_generated = is_generated  # the key is of this data directory, nobody chose it
        self._aead = {self._key_id(m): AESGCM(_derive(m, "seal")) for m in masters}
        self._newest = self._key_id(masters[0])
        self._seal_key = self._aead[self._newest]
        self._use_hash_key(_derive(masters[-1], "hash"))
        self._links = [hashlib.blake2b(digest_size=16, key=_derive(m, "link")) for m in masters]
        self._new_field()
        os.register_at_fork(after_in_child=self._new_field)  # a child must not go on with the parent's nonces

    def _use_hash_key(self, key: bytes) -> None:
        self._hash_key = key
        self._hash = hashlib.blake2b(digest_size=12, key=key)  # copied: the key is mixed in once

    def sealed_hash_key(self) -> str:
        """The key of hashes, to be kept with the data."""
        return self.seal(base64.b64encode(self._hash_key).decode(), HASH_KEY)

    def adopt_hash_key(self, sealed: str) -> None:
        """Use the one that the data was written with. Raises Sealed when no key at hand opens it."""
        self._use_hash_key(base64.b64decode(self.open(sealed, HASH_KEY)))

    @staticmethod
    def _key_id(master: bytes) -> str:
        return hashlib.sha256(b"moderation/key-id" + master).hexdigest()[:4]

    def _new_field(self) -> None:
        self._field, self._count = os.urandom(8), 0

    def _nonce(self) -> bytes:
        # A random field of 64 bits per process and a counter of 32 bits (NIST SP 800-38D, 8.2.1): no system call a comment.
        count = self._count = (self._count + 1) & 0xFFFFFFFF
        if count == 0:
            self._field = os.urandom(8)
        return self._field + count.to_bytes(4)

    def seal(self, text: str, bound_to: str) -> str:
        """Encrypt; `bound_to` (such as the comment's id) must be given again to open."""
        nonce = self._nonce()
        data = nonce + self._seal_key.encrypt(nonce, text.encode(), bound_to.encode())
        return f"{self._newest}.{base64.urlsafe_b64encode(data).decode()}"

    def open(self, sealed: str, bound_to: str) -> str:
        """Decrypt; raises Sealed when the key is gone or the text was tampered with or moved."""
        key_id, _, text = sealed.partition(".")
        try:
            data = base64.urlsafe_b64decode(text)
            return self._aead[key_id].decrypt(data[:12], data[12:], bound_to.encode()).decode()
        except (KeyError, ValueError, InvalidTag) as error:
            raise Sealed("cannot be opened with the keys at hand") from error

    def is_newest(self, sealed: str) -> bool:
        """Whether a sealed text is under the newest key; rotation re-seals those that are not."""
        return sealed.startswith(self._newest + ".")

    def keyed_hash(self, purpose: str, *parts: str) -> str:
        """96 bits of keyed BLAKE2b in hex; useless without our key. Parts hold no NUL: cleaning removes it."""
        keyed = self._hash.copy()
        keyed.update("\x00".join((purpose, *parts)).encode())
        return keyed.hexdigest()

    def author_id(self, site: str, email: str, name: str) -> str:
        """The pseudonym of one address on one site. Without an address, of the name."""
        return self.keyed_hash("author", site, normal_address(email) if email else "", "" if email else name)

    def address_id(self, email: str) -> str:
        """What stands for an address in keys and links: the same on every site, useless without our key."""
        return self.keyed_hash("address", normal_address(email))

    def sign_link(self, purpose: str, subject: str) -> str:
        """128 bits in hex that nobody else can make for this purpose and subject."""
        return _link_token(self._links[0], purpose, subject)

    def signatures(self, purpose: str, subject: str) -> list[str]:
        """What `sign_link` gives, and what it gave under older keys, newest first."""
        return [_link_token(key, purpose, subject) for key in self._links]

    def link_is_ours(self, purpose: str, subject: str, token: str) -> bool:
        """Check a token of `sign_link`, in constant time, under every key."""
        given = token.encode("utf-8", "replace")
        return any(hmac.compare_digest(one.encode(), given) for one in self.signatures(purpose, subject))


def _link_token(keyed: "hashlib.blake2b", purpose: str, subject: str) -> str:
    found = keyed.copy()
    found.update(f"{purpose}\x00{subject}".encode())
    return found.hexdigest()


def normal_address(email: str) -> str:
    """One spelling for look-ups: trimmed, in lower case, the host as it is looked up. (RFC 5321 allows case in the local part; no host uses it.)"""
    email = email.strip()
    if email.isascii():
        return email.lower()
    email = unicodedata.normalize("NFC", email)  # as submission.clean leaves it
    local, _, host = email.rpartition("@")
    try:
        return f"{local.casefold()}@{ascii_host(host)}"
    except ValueError:
        return email.casefold()


def mask_address(email: str) -> str:
    """`amal@example.com` → `a•••@e•••.com`."""
    local, _, domain = email.rpartition("@")
    if not local or not domain:
        return "•••"
    host, _, top = domain.rpartition(".")
    return f"{local[0]}•••@{(host or top)[0]}•••{'.' + top if host else ''}"


def _span(text: str, at: int, floor: int) -> tuple[int, int] | None:
    """The address around the at-sign, or None. Looks at most 64 + 253 characters far, so the whole stays linear."""
    start = at
    while start > floor and at - start < _LOCAL_MAX and text[start - 1] not in _STOP:
        start -= 1
    end = at + 1
    while end < len(text) and end - at <= _DOMAIN_MAX and text[end] not in _STOP:
        end += 1
    while start < at and text[start] == ".":
        start += 1
    length = _domain_length(text[at + 1 : end])
    if start == at or not length:
        return None
    if end == len(text) or text[end] not in _AT_SIGNS:
        return start, at + 1 + length
    # a@b.c@d: what reads as a domain may be the middle of a name, so the whole chain is hidden
    while end + 1 < len(text) and text[end] in _AT_SIGNS and text[end + 1] not in _STOP:
        end += 1
        while end < len(text) and text[end] not in _STOP:
            end += 1
    return start, end


def _domain_length(text: str) -> int:
    """How far a domain reaches, 0 if there is none: up to the last label that can be a top level. What follows it, such
    as a full stop with a direction mark or an asterisk behind it, is no part of the address and must not hide it.
    """
    length = 0
    for match in _LABEL.finditer(text):
        visible = "".join(c for c in match[1] if unicodedata.category(c) != "Cf").rstrip("-_…*~")
        if match.start() and len(visible) > 1 and visible[0].isalpha():
            length = match.start(1) + len(match[1].rstrip("-_…*~"))
    return length


def mask_addresses(text: str) -> str:
    """Mask every e-mail address inside a text; the rest stays as it is. Linear in the text's length."""
    if "@" not in text and "\uff20" not in text and "\ufe6b" not in text:
        return text
    out: list[str] = []
    done = 0
    for at, character in enumerate(text):
        if character not in _AT_SIGNS or at < done:
            continue
        span = _span(text, at, done)
        if span:
            out.append(text[done : span[0]])
            out.append(mask_address(text[span[0] : span[1]].translate(_PLAIN)))
            done = span[1]
    out.append(text[done:])
    return "".join(out)


def new_secret(prefix: str, size: int = 32) -> str:
    """A fresh secret such as `whsec_…` (base64, as Standard Webhooks wants it)."""
    return prefix + base64.b64encode(secrets.token_bytes(size)).decode()


def new_signing_key() -> tuple[str, str]:
    """A fresh ed25519 pair as Standard Webhooks writes them: `whsk_` (seed and public key) and `whpk_`."""
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    seed = private.private_bytes_raw()
    return "whsk_" + base64.b64encode(seed + public).decode(), "whpk_" + base64.b64encode(public).decode()


def new_token(prefix: str) -> str:
    """A fresh bearer token, safe in headers and shells."""
    return prefix + secrets.token_urlsafe(24)


def token_hash(token: str) -> str:
    """What is stored of a token: 256 random bits need no salt and no stretching."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
