"""What the desk shows and reads, without a desk: marks, forms of policies, charts, cells, keys."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from moderation.policy import Block, Named, Policy, Rate, Rates, ThreadPolicy, WordList
from moderation.screening.highlight import spans
from moderation.store.sessions import Seat
from moderation.web.desk import chart, policy_form, shortcuts, shown, table


@pytest.mark.parametrize(
    ("text", "reason", "marked"),
    [
        ("العب في كـازينـو الأحلام", ("word_lists", "قمار: كازينو"), ["كـازينـو"]),
        ("play at my CASINO now", ("word_lists", "scams: casino"), ["CASINO"]),
        ("a cas\u200bino", ("word_lists", "scams: casino"), ["cas\u200bino"]),
        ("free c4sino", ("word_lists", "scams: casino"), ["c4sino"]),
        ("see https://a.example/x and www.b.example!", ("links", "2 links, 0 are usual"), ["https://a.example/x", "www.b.example!"]),
        ("call 555-1234", ("word_lists", r"phones: /\d{3}-\d{4}/"), ["555-1234"]),
        ("nothing here", ("word_lists", "scams: casino"), []),
        ("casino", ("shouting", "casino"), []),
    ],
)  # fmt: skip
def test_what_a_rule_found_is_marked_where_it_stands(text: str, reason: tuple[str, str], marked: list[str]) -> None:
    assert [text[start:end] for start, end in spans(text, [reason])] == marked


@given(
    st.text(),
    st.lists(st.tuples(st.sampled_from(["word_lists", "links", "learned"]), st.text(max_size=40)), max_size=3),
)
def test_marks_never_overlap_and_lose_no_text(text: str, reasons: list[tuple[str, str]]) -> None:
    found = spans(text, reasons)
    assert all(0 <= start < end <= len(text) for start, end in found)
    assert all(one[1] < other[0] for one, other in pairwise(found))
    plain = shown.text(text, reasons).replace("<mark>", "").replace("</mark>", "")
    assert "<" not in plain.replace('<span class="unseen"', "").replace("</span>", "") or "&lt;" in plain


def test_hidden_characters_are_named_and_joiners_are_left_alone() -> None:
    html = shown.text("a\u202eb\u200bc می\u200cخواهم 👩\u200d💻")
    assert 'title="U+202E RIGHT-TO-LEFT OVERRIDE">RLO</span>' in html
    assert ">ZWSP</span>" in html
    assert "\u202e" not in html
    assert "می\u200cخواهم 👩\u200d💻" in html


def test_hostile_text_stays_text() -> None:
    html = str(shown.text("<img src=x onerror=alert(1)> & <b hx-get=/x>", [("word_lists", "x: img")]))
    assert "<img" not in html
    assert "<b " not in html
    assert html.startswith("&lt;<mark>img</mark>")


POLICY = Policy(
    mode="trust", trust_after=3, max_links=None, repetition=None, close_after_days=30, trap_field="homepage", learning=True, spam_above=0.95,
    words=(WordList(name="قمار", outcome="spam", entries=("كازينو", "/\\d{9}/")), WordList(name="b", entries=("x",))), allow_words=("essex",),
    blocks=(Block(kind="domain", value="spam.example", outcome="reject", until="2027-01-01T00:00:00Z", note="often"), Block(kind="author", value="a" * 24)),
    allow=(Named(kind="network", value="192.0.2.0/24"),), languages=("ar", "pt-BR"),
    rates=Rates(address=None, thread=Rate(count=5, seconds=10)), threads={"page one": ThreadPolicy(mode="closed", close_at=None)},
)  # fmt: skip


def typed(policy: Policy) -> dict[str, str]:
    fields = {}
    for name, value in policy_form.values(policy).items():
        if name == "words":
            for index, one in enumerate(value):
                fields |= {f"words-{index}-{key}": text for key, text in one.items()}
        elif value is True:
            fields[name] = "1"
        elif value:
            fields[name] = value
    return fields


@pytest.mark.parametrize("policy", [Policy(), POLICY], ids=["usual", "everything"])
def test_a_policy_survives_its_form(policy: Policy) -> None:
    assert Policy.model_validate(policy_form.read(typed(policy))) == policy


def test_every_field_of_a_policy_stands_in_the_form() -> None:
    controls = [control.name for group in policy_form.GROUPS.values() for control in group]
    assert sorted(controls) == sorted(Policy.model_fields)
    assert set(policy_form.LABELS) == set(controls)
    assert set(policy_form.HELP) <= set(controls)


@pytest.mark.parametrize(
    ("field", "text"),
    [("blocks", "planet mars"), ("blocks", "domain spam.example tomorrow"), ("rates", "address many"), ("threads", "closed never 41"), ("max_links", "-1"), ("mode", "anything")],
)  # fmt: skip
def test_what_a_form_says_wrong_is_refused(field: str, text: str) -> None:
    with pytest.raises(ValidationError):
        Policy.model_validate(policy_form.read(typed(Policy()) | {field: text}))


def test_bars_stand_on_each_other_and_fit() -> None:
    bars = chart.stacked([[1, 0, 7], [2, 0, 0], [0, 0, 3], [0, 0, 0]])
    assert bars.top == 10
    assert [(part.kind, part.height) for part in bars.parts] == [
        ("approved", 18),
        ("pending", 36),
        ("approved", 126),
        ("rejected", 54),
    ]
    assert all(part.y >= 0 and part.y + part.height <= chart.HEIGHT for part in bars.parts)
    assert chart.stacked([[0], [0], [0], [0]]).parts == []


@pytest.mark.parametrize(("cell", "written"), [("=1+1", "'=1+1"), ("@x", "'@x"), ("-5", "-5"), ("-5.5", "-5.5"), ("+cmd", "'+cmd"), ("ليلى", "ليلى"), (None, "")])  # fmt: skip
def test_a_spreadsheet_runs_nothing(cell: object, written: str) -> None:
    assert table.lines([[cell]]).decode().strip("\r\n").strip('"') == written


def test_keys_are_kept_where_they_differ_and_none_is_used_twice() -> None:
    assert shortcuts.chosen({"approve": "KeyF", "reject": "KeyR", "spam": "", "hold": "Escape"}) == {
        "approve": "KeyF",
        "spam": "",
    }
    assert shortcuts.twice({"approve": "KeyR"}) == {"approve", "reject"}
    seat = Seat.__new__(Seat)
    object.__setattr__(seat, "keys", {"approve": "KeyF"})
    assert shortcuts.of(seat)["approve"] == "KeyF"
    assert set(shortcuts.ACTIONS) == set(shortcuts.USUAL)
