"""This module filters proposed facts by their wording: only lasting ones about the person, without secrets, pass."""

from __future__ import annotations

import re

from memory.claims import CLAIMS, is_asking
from memory.guard import Doubt
from memory.secrets import has_secret

__all__ = ["PROPOSED_CHARS", "doubt_worth", "fits_slot"]

PROPOSED_CHARS = 300
"""The longest proposed fact; a longer text is a piece of a conversation."""

_SUBJECT = (
    r"^\W*(?:(?:the|this|our)\s+)?(?:user|person|speaker|customer|human|he|she|they|i|der nutzer|der benutzer"
    r"|el usuario|l['’]utilisateur|пользователь|用户|ユーザーは?)?\s*(?:also|has|had|have|just|hat|ha|a)?\s*"
)
_MOMENT = re.compile(
    _SUBJECT + r"(?:said|says|ask(?:s|ed|ing)|is asking|was asking|greet(?:s|ed)|thank(?:s|ed)|want(?:s|ed) to know"
    r"|wonder(?:s|ed)|"
    r"inquir(?:es|ed)|request(?:s|ed)|is talking|mention(?:s|ed) nothing|is (?:greeting|thanking"
    r"|chatting|curious|"
    r"looking for (?:help|information))|seeks? (?:help|information)|needs? (?:help|information)|"
    r"fragt\w*|gefragt|bedankt|grüßt|begrüßt|preguntó|pregunta|saludó|demandé|demande|salué|спросил\w*"
    r"|спрашивает|поздоровал\w*|"
    r"поблагодарил\w*)\b|^\W*(?:用户)?(?:询问|詢問|问|打招呼|感谢|说了?你好)|質問|尋ね|挨拶",
    re.IGNORECASE,
)
_ASSISTANT = re.compile(
    r"^\W*(?:the |my |an? )?(?:assistant|ai|bot|chatbot|language model|model|system)\b|\b(?:the|ai|an?) assistant\b|"
    r"\blanguage model\b|\bas an ai\b|^\W*(?:der|die|das) (?:assistent|ki|bot)\b|^\W*(?:el|la"
    r"|l['’])\s*(?:asistente|assistant)|"
    r"^\W*(?:ассистент|помощник|助手|アシスタント|어시스턴트)",
    re.IGNORECASE,
)
_GREETING = re.compile(
    r"^\W*(?:thanks?|thank you|thx|hello|hi|hey|good (?:morning|evening|night)|danke|hallo|guten|gracias|hola|merci"
    r"|bonjour|ciao|grazie|obrigad[oa]|спасибо|привет|здравствуйте)\b|^\W*(?:谢谢|你好|您好|ありがとう|こんにちは|감사|안녕)",
    re.IGNORECASE,
)
_NOTHING = re.compile(
    r"\bno (?:new |lasting |relevant |personal |specific )*(?:facts?|information|details|preferences?)\b|"
    r"\bnot (?:mentioned|specified|provided|stated|known)\b|\b(?:unknown|unspecified)\b|^\W*(?:none|nothing)\b|\.\.\.$",
    re.IGNORECASE,
)
_BY_NAME = {claim.name: claim.told for claim in CLAIMS}
_SLOT_WORDS = {
    "home": _BY_NAME["home"],
    "employer": _BY_NAME["work"],
    "age": _BY_NAME["age"],
    "birthday": re.compile(
        r"\b(?:birthday|born|geburtstag|geboren|cumpleaños|nac\w+|anniversaire|née?|compleanno|nat[oa])\b"
        r"|рожд|生日|誕生|생일",
        re.IGNORECASE,
    ),
    "timezone": re.compile(
        r"\b(?:time ?zone|utc|gmt|zeitzone|zona horaria|fuseau)\b|час\w+ пояс|时区|時区|시간대", re.IGNORECASE
    ),
}


def doubt_worth(text: str) -> Doubt | None:
    """Return the reason against keeping a fact that lies in its own wording; None if there is none."""
    if len(text) > PROPOSED_CHARS:
        return Doubt.LONG
    if has_secret(text):
        return Doubt.SECRET
    if _ASSISTANT.search(text):
        return Doubt.ASSISTANT
    is_empty = not any(character.isalnum() for character in text)
    if _GREETING.search(text):
        return Doubt.EMPTY
    return Doubt.EMPTY if is_empty or is_asking(text) or _MOMENT.search(text) or _NOTHING.search(text) else None


def fits_slot(slot: str, text: str) -> bool:
    """Tell whether a fact is about the slot that the model named; a wrong slot would replace another fact."""
    return bool(_SLOT_WORDS[slot].search(text))
