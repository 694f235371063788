"""Keys of the desk, by their place on the keyboard (KeyboardEvent.code), whatever letters a layout has there."""

from moderation.store.sessions import Seat

ACTIONS = {
    "next": "Next comment",
    "previous": "Previous comment",
    "approve": "Approve",
    "reject": "Reject",
    "spam": "Mark as spam",
    "hold": "Back to waiting",
    "open": "Open the comment",
    "choose": "Choose for an action on many",
    "take": "Take or give back",
    "undo": "Undo",
    "search": "Search",
    "help": "Show these keys",
}
USUAL = {
    "next": "KeyJ", "previous": "KeyK", "approve": "KeyA", "reject": "KeyR", "spam": "KeyS", "hold": "KeyH", "open": "KeyE", "choose": "KeyX",
    "take": "KeyT", "undo": "KeyZ", "search": "Slash", "help": "Shift+Slash",
}  # fmt: skip
_SIGNS = {"Slash": "/", "Shift+Slash": "?", "Comma": ",", "Period": ".", "Semicolon": ";"}
CODES = (*(f"Key{letter}" for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"), *_SIGNS)


def of(seat: Seat) -> dict[str, str]:
    """action → code; '' where somebody wants none."""
    return {action: seat.keys.get(action, code) for action, code in USUAL.items()}


def label(code: str) -> str:
    """What a key is called where Latin letters are on it."""
    return _SIGNS.get(code) or code.removeprefix("Key").lower()


def chosen(fields: dict[str, str]) -> dict[str, str]:
    """What a form sets; only what differs from the usual is kept."""
    picked = {action: fields.get(action, usual) for action, usual in USUAL.items()}
    return {a: c for a, c in picked.items() if c != USUAL[a] and (c == "" or c in CODES)}


def twice(keys: dict[str, str]) -> set[str]:
    """Actions that share a key with another."""
    full = {**USUAL, **keys}
    used = [code for code in full.values() if code]
    return {action for action, code in full.items() if code and used.count(code) > 1}
