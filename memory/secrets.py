"""This module recognises what looks like a secret (passwords, keys, tokens, card and account numbers) and removes it.

Secrets are not learnt unless the person asks for it.
"""

from __future__ import annotations

import re
from itertools import pairwise

__all__ = ["has_secret", "without_secrets"]

LEFT_OUT = "(left out)"

LEAST_KEY_CHARS = 20
"""The least length of a mix of letters and digits that counts as a key."""

_NAMED = re.compile(
    r"\bpass(?:word|code|phrase|wd)s?\b|\bpwd\b|\bPIN\b|\bpin (?:code|number|is)\b|\bcv[vc]\b|\b(?:api|secret"
    r"|private|access)[ _-]?keys?\b"
    r"|\b(?:api|access|auth|bearer|login|bot)[ _-]?tokens?\b|\b(?:seed|recovery) (?:phrase|words|code)s?\b"
    r"|\bone[ -]time code\b|\bpasswor[td]\b|\bkennwort\b|\bcontraseña\b|\bmot de passe\b|\bsenha\b"
    r"|\bwachtwoord\b|\bhasło\b"
    r"|парол[ьяю]|密码|密碼|口令|パスワード|暗証番号|비밀번호|كلمة المرور",
    re.IGNORECASE,
)
_NAMED_CASED = re.compile(r"\bPIN\b")
_VALUE = re.compile(r"[\s:=：]*(?:\b(?:is|was|ist|es|est|it's|to)\b|是|は)?[\s:=：\"'“„]*(\S+)", re.IGNORECASE)
_NO_VALUE = frozenset(
    {"and", "or", "for", "of", "to", "the", "a", "again", "was", "is", "from", "with", "in", LEFT_OUT}
)
_KNOWN_KEY = re.compile(
    r"(?:sk|pk|rk)[-_](?:live|test|proj|ant|or)?[-_]?\w{12,200}|gh[pousr]_\w{20,200}|github_pat_\w{20,200}"
    r"|xox[abprs]-[\w-]{10,200}|"
    r"xapp-[\w-]{10,200}|AKIA[0-9A-Z]{12,200}|AIza[\w-]{30,200}|eyJ[\w-]{10,200}\.[\w-]{10,200}|glpat-[\w-]{15,200}|\d{8,10}:[\w-]{30,200}"
)
_DIGITS = re.compile(r"\d[\d -]{11,28}\d")
_ACCOUNT = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b")
_SOCIAL = re.compile(r"\b\d{3}-\d{2}-\d{4}\b")
_PEM = re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[^-]*(?:-----END [A-Z ]{0,30}-----)?")


def has_secret(text: str) -> bool:
    """Tell whether a text names a secret ("password"), or contains something that looks like one."""
    return bool(_is_named(text)) or without_secrets(text) != text


def without_secrets(text: str) -> str:
    """Return a text with a note in the place of everything that looks like a secret."""
    text = _PEM.sub(LEFT_OUT, text)
    text = _DIGITS.sub(lambda found: LEFT_OUT if _is_card(found.group()) else found.group(), text)
    text = _SOCIAL.sub(LEFT_OUT, _ACCOUNT.sub(LEFT_OUT, text))
    text = re.sub(r"\S+", lambda found: LEFT_OUT if _is_key(found.group()) else found.group(), text)
    return _without_values(text)


def _is_named(text: str) -> bool:
    return any(found.group() != "pin" for found in _NAMED.finditer(text) if _is_meant(found))


def _is_meant(found: re.Match[str]) -> bool:
    """Tell whether a match names a secret: "PIN" in capitals does, "pin" alone does not."""
    return found.group().lower() != "pin" or bool(_NAMED_CASED.fullmatch(found.group()))


def _without_values(text: str) -> str:
    """Return a text without the words that follow the name of a secret."""
    kept, place = [], 0
    for found in _NAMED.finditer(text):
        value = _VALUE.match(text, found.end())
        if not _is_meant(found) or value is None or found.start() < place:
            continue
        word = value.group(1).strip(".,;:!?\"'“”")
        if word.lower() not in _NO_VALUE and word:
            kept += [text[place : value.start(1)], LEFT_OUT]
            place = value.end(1)
    return "".join([*kept, text[place:]])


def _is_key(word: str) -> bool:
    if _KNOWN_KEY.search(word):
        return True
    bare = word.strip(".,;:!?\"'()<>“”")
    if "://" in bare or "/" in bare:
        return False
    letters, digits = sum(map(str.isalpha, bare)), sum(map(str.isdecimal, bare))
    if not (bare.isascii() and letters and digits):
        return False
    if len(bare) >= LEAST_KEY_CHARS and _changes(bare) > len(bare) // 6:
        return True
    marks = sum(character in "!#$%^&*?@~" for character in bare)
    return len(bare) >= 8 and bool(marks) and "@" not in bare and letters >= 3


def _changes(word: str) -> int:
    """Return how often a word changes between letters and digits, or from a small letter to a capital."""
    return sum((a.isdecimal() != b.isdecimal()) or (a.islower() and b.isupper()) for a, b in pairwise(word))


def _is_card(text: str) -> bool:
    """Tell whether the digits have the length of a card number and its check digit (ISO/IEC 7812)."""
    digits = [int(character) for character in text if character.isdecimal()]
    if not 13 <= len(digits) <= 19:
        return False
    doubled = [digit * 2 - 9 * (digit > 4) if place % 2 else digit for place, digit in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0
