"""Addresses: sealed, hashed, masked."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.privacy import Privacy, Sealed, mask_address, mask_addresses, normal_address, token_hash

OLD, NEW = os.urandom(32), os.urandom(32)
LOCAL = "someone.private"


def test_a_sealed_text_opens_only_for_what_it_belongs_to() -> None:
    privacy = Privacy([NEW])
    sealed = privacy.seal("amal@example.com", "comment-1")
    assert privacy.open(sealed, "comment-1") == "amal@example.com"
    with pytest.raises(Sealed):
        privacy.open(sealed, "comment-2")


@pytest.mark.parametrize("broken", ["", "x", "abcd.", "abcd.%%%", "0000.AAAA", "نص"])
def test_what_is_not_sealed_is_refused_and_never_crashes(broken: str) -> None:
    with pytest.raises(Sealed):
        Privacy([NEW]).open(broken, "x")


def test_every_byte_of_a_sealed_text_is_authenticated() -> None:
    privacy = Privacy([NEW])
    sealed = privacy.seal("amal@example.com", "c")
    for at in (7, len(sealed) // 2, len(sealed) - 6):
        tampered = sealed[:at] + ("A" if sealed[at] != "A" else "B") + sealed[at + 1 :]
        with pytest.raises(Sealed):
            privacy.open(tampered, "c")


def test_two_seals_of_one_address_differ_and_do_not_contain_it() -> None:
    privacy = Privacy([NEW])
    seals = {privacy.seal("amal@example.com", "c") for _ in range(600)}
    assert len(seals) == 600
    assert not any("amal" in sealed for sealed in seals)


def test_rotation_opens_the_old_seals_with_the_new_and_keeps_pseudonyms() -> None:
    before, after = Privacy([OLD]), Privacy([NEW, OLD])
    sealed = before.seal("amal@example.com", "c")
    assert after.open(sealed, "c") == "amal@example.com"
    assert not after.is_newest(sealed)
    assert after.is_newest(after.seal("amal@example.com", "c"))
    assert before.author_id("news", "amal@example.com", "") == after.author_id("news", "amal@example.com", "")
    assert after.link_is_ours("status", "c", before.sign_link("status", "c"))
    with pytest.raises(Sealed):
        Privacy([NEW]).open(sealed, "c")


def test_a_pseudonym_is_one_per_address_and_site() -> None:
    privacy = Privacy([NEW])
    amal = privacy.author_id("news", "Amal@Example.com ", "A")
    assert amal == privacy.author_id("news", "amal@example.com", "B")
    assert amal != privacy.author_id("other", "amal@example.com", "A")
    assert amal != privacy.author_id("news", "amal@example.net", "A")
    assert amal != Privacy([OLD]).author_id("news", "amal@example.com", "A")


def test_a_link_is_bound_to_purpose_and_subject() -> None:
    privacy = Privacy([NEW])
    token = privacy.sign_link("status", "c1")
    assert privacy.link_is_ours("status", "c1", token)
    for purpose, subject, given_token in [
        ("desk", "c1", token), ("status", "c2", token), ("status", "c1", ""), ("status", "c1", "رمز"), ("status", "c1", "\ud800"),
    ]:  # fmt: skip
        assert not privacy.link_is_ours(purpose, subject, given_token)


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("amal@example.com", "a•••@e•••.com"), ("a@b.co.uk", "a•••@b•••.uk"), ("أمل@مثال.إختبار", "أ•••@م•••.إختبار"),
        ("x@localhost", "x•••@l•••"), ("", "•••"), ("@b.com", "•••"), ("amal@", "•••"),
    ],
)  # fmt: skip
def test_a_mask_shows_first_letters_and_the_top_level(address: str, masked: str) -> None:
    assert mask_address(address) == masked


@pytest.mark.parametrize(
    "around",
    [
        "{}", "write to {}.", "({})", "<{}>", "mailto:{}?subject=x", "راسلوني {}، شكراً", "البريد:{}؟", "«{}»", "a,{},b", "**{}**", "**{}.**",
        "{}.\u200f", "\u2068{}\u2069", "\u200f{}.\u2069", "{}.1", "{}…", "{}!\n", "_{}_", "x@{}", "{}@x", "{0};{0}", "\u200b{}\u200b",
        "https://u:{}/", "=?{}?=",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "address",
    [f"{LOCAL}@example.com", f"{LOCAL}＠example.com", f"{LOCAL}﹫example.com", f"{LOCAL}@example。com", f"{LOCAL}@example．com",
     f"{LOCAL}@EXAMPLE.CO.UK", f"{LOCAL}@مثال.إختبار", f"{LOCAL}@xn--mgbh0fb.xn--kgbechtv", f"{LOCAL}+tag@sub.example.com", f"{LOCAL}@exa\u200bmple.com"],
)  # fmt: skip
def test_an_address_is_masked_whatever_stands_around_it(around: str, address: str) -> None:
    masked = mask_addresses(around.format(address))
    assert "omeone" not in masked
    assert "xample" not in masked.lower()
    assert "•••" in masked


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no address",
        "شكراً جزيلاً",
        "@amal hello",
        "meet @ 5.30",
        "user@localhost",
        "a @ b.com",
        "price@9.99",
        "package@1.2rc1",
        "@@@...",
        "me@.com",
    ],
)
def test_what_is_no_address_stays_as_it_is(text: str) -> None:
    assert mask_addresses(text) == text


def test_the_text_around_an_address_stays_as_it_is() -> None:
    assert mask_addresses("قبل amal@example.com، بعد.\nb@c.org.") == "قبل a•••@e•••.com، بعد.\nb•••@c•••.org."


@given(st.text(alphabet="ab.@＠ -_م\u200f\n", max_size=200))
def test_masking_twice_changes_nothing_more(text: str) -> None:
    once = mask_addresses(text)
    assert mask_addresses(once) == once


@pytest.mark.parametrize(
    "text", ["@" * 65_000, "a@" * 32_000, "a" * 65_000 + "@", "a@b." * 16_000, "@" + "a." * 32_000]
)
def test_hostile_texts_end(text: str) -> None:
    assert len(mask_addresses(text)) < 10 * len(text)


def test_addresses_are_looked_up_in_one_spelling_and_tokens_are_stored_hashed() -> None:
    assert normal_address(" Amal@Example.COM ") == "amal@example.com"
    assert "mod_x" not in token_hash("mod_x")
    assert len(token_hash("\udce9")) == 64
