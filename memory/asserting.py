"""This module recognises words that state nothing true of their author now: suppositions, wishes, the past, quotes."""

from __future__ import annotations

import re

from memory.claims import FIRST_PERSON, SPEECH, is_denied

__all__ = ["asserted", "is_over", "is_supposed", "is_wish", "states_a_wish_as_true", "states_the_past_as_present"]

_GIVEN = re.compile(
    r"(?:^|(?<=[.!?\n]))[^\w\n]{0,9}(?:(?:please|can you|could you|now|hey|hi|bitte)[^\w\n]{1,9}){0,3}"
    r"(?:translate|fix|correct|proofread|rephrase|rewrite|paraphrase|improve|polish|summari[sz]e|draft|write|compose"
    r"|übersetz\w*|korrigier\w*|formulier\w*|schreib\w*|traduce\w*|corrige\w*|escribe|traduis\w*|écris"
    r"|переведи\w*|исправь\w*|напиши\w*|翻译|翻訳|校正)[^:：\n]{0,80}[:：].*?(?:\n[ \t]*\n|\Z)",
    re.IGNORECASE | re.DOTALL,
)
"""An order to work on a text ("translate: ..."), with that text up to the end of its paragraph."""

_SUPPOSED = re.compile(
    r"\b(?:i|we) wish\b|\bif (?:i|we) (?:had|were|was|lived|worked|owned|won|moved|ever|did)\b|\bas (?:if|though) you\b"
    r"|^\W*(?:(?:please|can you|could you|now|so|ok)\W{1,9}){0,3}"
    r"(?:suppose|supposing|imagine|pretend|let['’]?s (?:say|pretend|assume)|let us say|assume|assuming|what if"
    r"|hypothetically|stell dir vor|angenommen|imagina|imagine que|представь)\b"
    r"|\bwenn (?:ich|wir)\b.{0,200}\b(?:würden?|wären?|hätten?|könnten?)\b|\bsi (?:yo )?(?:viviera|tuviera|fuera"
    r"|pudiera)\b"
    r"|\bsi (?:j['’]|je |nous )\w+(?:ais|ions)\b|\bse (?:eu )?(?:morasse|tivesse|fosse)\b|\bесли бы\b"
    r"|如果我|要是我|假如|假设|もし|만약",
    re.IGNORECASE,
)

_WISH = re.compile(
    r"\b(?:wants?|hope|hoping|plan(?:ning)? (?:to|on)|intend|consider(?:ing)?|dream(?:ing)? (?:of|about)"
    r"|would (?:like|love)"
    r"|['’]d (?:like|love)|thinking (?:of|about)|might|maybe|perhaps|möchten?|vielleicht|hätten? gern\w*|wären? gern\w*"
    r"|quiero|quisiera|me gustaría|tal vez|quizás?|voudrais|aimerais|peut-être|vorrei|gostaria|хочу|хотел\w*"
    r"|может быть)\b"
    r"|我想|也许|たい(?:です)?$|고 싶",
    re.IGNORECASE,
)
_BESIDE_A_WISH = re.compile(
    r"\b(?:my|our|mein\w*|unser\w*|mis?|mon|ma|mes|mio|mia|meu|minha|мой|моя|мою|моей|моего)\b|我的|私の"
    r"|\bi (?:have|own|live|work)\b|\bi(?:['’]m| am) (?!thinking|planning|considering|hoping|going|looking)",
    re.IGNORECASE,
)
"""What a wish states besides: who wants a vet for "my dog" has a dog."""

_TRUE_NOW = re.compile(
    r"^\W*(?:the )?(?:user |person |he |she |they )?(?:also |currently )?(?:lives?|resides?|based|works?|employed"
    r"|has|have"
    r"|owns?|is (?:an?|married|living|working|employed)|married|hat|wohnt|lebt|arbeitet|besitzt|ist|vive|tiene|trabaja"
    r"|es|habite|possède|est|abita|mora|живёт|живет|работает)\b|住在|居住|有|住んで|산다|살고",
    re.IGNORECASE,
)

_OVER = re.compile(
    r"(?<!\bam )(?<!['’]m )(?<!\bget )(?<!\bgot )(?<!\bgetting )\bused to\b|\b(?:formerly|previously|back when"
    r"|back then)\b"
    r"|\bi lived\b|\b(?:lived|worked|studied|was|had|owned)\b.{0,99}\buntil\b|\bi worked\b.{0,99}\b(?:years|before"
    r"|retired)\b"
    r"|\bfrüher\b|\bantes (?:viv|trabaj|ten)\w+|\bj['’]habitais\b|\bje (?:travaillais|vivais)\b|\bраньше\b|以前|예전에"
    r"|\b(?:died|passed away|sold (?:my|our|the)|lost (?:my|our) job|broke up with|divorced|moved away from"
    r"|gestorben|verstorben|verkauft|job\b.{0,40}\bverloren)\b",
    re.IGNORECASE,
)
_TOLD_AS_OVER = re.compile(
    r"\b(?:died|dead|late|deceased|passed|sold|lost|broke|divorced|gestorben|verstorben|tot|verkauft|verloren|lived|worked|studied|was|were|had|owned|grew|former|ex|retired|moved|left|stopped|quit|wohnte|lebte"
    r"|arbeitete"
    r"|vivía|vivió|trabajaba|habitait|жил[аи]?|работал[аи]?)\b|曾|でした|ました|ていた|었|았",
    re.IGNORECASE,
)


def asserted(message: str) -> str:
    """Return a message without a text that it asks to have worked on, and without quoted speech."""
    plain = _GIVEN.sub("\n", message)
    return SPEECH.sub(lambda found: " " if FIRST_PERSON.search(found.group()) else found.group(), plain)


def is_supposed(sentence: str) -> bool:
    """Tell whether a sentence is a supposition ("if I lived ...", "imagine ...")."""
    return bool(_SUPPOSED.search(sentence))


def is_wish(clause: str) -> bool:
    """Tell whether a clause states only a wish or a plan of its author, and nothing else about them."""
    return bool(_WISH.search(clause)) and not _BESIDE_A_WISH.search(clause)


def is_over(clause: str) -> bool:
    """Tell whether a clause speaks of something that is over ("used to", "sold my ...")."""
    return bool(_OVER.search(clause))


def states_a_wish_as_true(fact: str) -> bool:
    """Tell whether a fact is worded as true now and not as a wish ("lives in ...")."""
    return bool(_TRUE_NOW.search(fact)) and not _WISH.search(fact)


def states_the_past_as_present(fact: str) -> bool:
    """Tell whether a fact is not worded as past or as denied."""
    return not (is_over(fact) or is_denied(fact) or _TOLD_AS_OVER.search(fact))
