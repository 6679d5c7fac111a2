"""This module recognises clauses about other people: "my brother lives in Oslo" is no fact about its author."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["is_about_another", "named_relations"]

_RELATIONS = (
    r"(?:(?:best |late |former |oldest |youngest |older |younger |little |big |ex[- ]?|step[- ]?|grand-?"
    r"|great-?)*(?:brother|sister|mother"
    r"|father|mom|mum|dad"
    r"|son|daughter|wife|husband|friend|boss|colleague|coworker|neighbou?r|cousin|uncle|aunt|girlfriend|boyfriend"
    r"|partner"
    r"|roommate|flatmate|kid|child|children|parents?|family|niece|nephew|teacher|doctor|grandma|grandpa"
    r"|fianc[eé]e?)s?\b"
    r"|(?:groß)?(?:bruder|schwester|mutter|vater|sohn|tochter|frau|mann|freund(?:in)?|chef(?:in)?|kolleg(?:e|in)"
    r"|nachbar(?:in)?|eltern|kinder|oma|opa)\b|(?:herman|hij|espos|novi|amig|prim|tí|abuel)[oa]s?\b|(?:madre|padre"
    r"|jefe|mujer|marido)\b"
    r"|(?:frère|sœur|soeur|mère|père|fils|fille|mari|femme|amie?|copain|copine|chef)s?\b|(?:fratello|sorella"
    r"|figli[oa]|moglie"
    r"|marito|amic[oa])\b|(?:irmão|irmã|mãe|pai|filh[oa]|amig[oa])\b|(?:broer|zus|moeder|vader|zoon|dochter"
    r"|vriend(?:in)?)\b"
    r"|(?:брат|сестра|мама|папа|мать|отец|сын|дочь|дочка|муж|жена|друг|подруга|бабушка|дедушка)\b"
    r"|(?:哥哥?|弟弟?|姐姐?|妹妹?|妈妈?|爸爸?|儿子|女儿|丈夫|妻子|老公|老婆|太太|朋友|同事|父母|母亲|父亲)"
    r"|(?:兄|弟|姉|妹|母|父|息子|娘|夫|妻|友達|上司|同僚)|(?:형|오빠|누나|언니|동생|엄마|아빠|아들|딸|남편|아내|친구))"
)
_MINE = (
    r"(?:my|our|his|her|their|mein\w*|unser\w*|mis?|mon|ma|mes|notre|(?:il |la )?mi[oa]|[oa] ?(?:meu|minha)|meu|minha"
    r"|mijn|мой|моя|мои|наш\w*|我们?的?|私の|うちの|僕の|제|내|우리)"
)
_ANOTHER = re.compile(
    rf"^\W*(?:(?:and|but|so|also|und|y|et|e|и|а|well|oh)\s+)?(?:{_MINE}\s*{_RELATIONS}"
    rf"|(?:an?|one|some|ein|eine|un|una|um|uma|een|один|одна)\s+(?:of\s+)?(?:\w+\s+){{0,2}}?{_RELATIONS}"
    r"|(?:友達|友人|朋友|친구|同事|同僚)(?:は|が|는|은|이|가)?"
    r"|(?:(?:someone|somebody) i (?:know|met)|someone|somebody|everyone|everybody|people|you|jemand|alguien"
    r"|quelqu['’]un|кто-то)\b(?!.{0,300}\b(?:my|our|mine|mein\w*|mis?|mon|ma|mes|мой|моя|мою)\b)"
    r"|(?:he|she|they|er|él|ella|elle|lui|lei|ele|ela|hij|zij|он|она|они)\b|他们?|她们?|彼女?(?:は|が))",
    re.IGNORECASE,
)
_FIRST = re.compile(
    r"\b(?:i|we|us|me|ich|wir|uns|yo|je|nous|moi|io|noi|eu|nós|ik|wij|я|мы|мне)\b|\bj['’]|我|私|僕|나|저", re.IGNORECASE
)
_RELATION = re.compile(rf"(?<![^\W_]){_RELATIONS}", re.IGNORECASE)
_PROFESSION = re.compile(
    r"(?:boss|colleague|coworker|neighbou?r|teacher|doctor|partner|friend|family|chef(?:in)?|kolleg(?:e|in)|mann"
    r"|frau|jefe|mujer"
    r"|femme)s?",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"^\W*([A-ZÀ-ÖØ-ÞА-Я][\w-]+)(?:\s+[A-ZÀ-ÖØ-ÞА-Я][\w-]+)?\s+(?:lives|works|has|likes|loves|hates|plays|owns"
    r"|smokes|studies|speaks"
    r"|drinks|eats|wants|is (?:an?|allergic|married|vegan|vegetarian)|wohnt|arbeitet|hat|mag|vive|trabaja|tiene|habite"
    r"|travaille|живёт|живет|работает)\b"
)
_NO_NAMES = frozenset(
    (
        "This",
        "That",
        "It",
        "There",
        "Here",
        "What",
        "Who",
        "Work",
        "Job",
        "Home",
        "Life",
        "Today",
        "Mine",
        "I",
        "Nobody",
        "Also",
    )
)
_SPOUSE = re.compile(
    r"wife|husband|partner|frau|mann|espos|mujer|marido|mari\b|femme|moglie|marito|муж|жена|丈夫|妻|老公|老婆|太太|夫|남편|아내",
    re.I,
)
_MARRIED = re.compile(
    r"\b(?:marri\w+|spouse|verheiratet|casad[ao]|marié\w*|sposat[ao])\b|женат|замужем|结婚|結婚|결혼", re.IGNORECASE
)


def is_about_another(clause: str, fact: str, name: str = "") -> bool:
    """Tell whether a clause is about somebody whom the fact does not name; `name` is the clause's author's."""
    if _is_of_a_name(clause, fact, name):
        return True
    found = _ANOTHER.match(clause)
    if found is None or _FIRST.search(clause, found.end()) or _RELATION.search(fact):
        return False
    if _MARRIED.search(fact) and _SPOUSE.search(found.group()):
        return False
    return not _is_named(fact, clause)


def named_relations(fact: str) -> Iterator[str]:
    """Yield the relations of the person that a fact names, each as one word: "brother", "boss".

    A word that is a profession or a role as well counts only at the beginning of the fact (not in "is a doctor").
    """
    for found in _RELATION.finditer(fact):
        word = re.split(r"[\s-]", found.group())[-1]
        if not _PROFESSION.fullmatch(word) or not re.search(r"\w", fact[: found.start()]):
            yield word


def _is_of_a_name(clause: str, fact: str, author: str) -> bool:
    """Tell whether a clause begins with somebody else's name and a verb: "Peter lives in Oslo"."""
    found = _NAMED.match(clause)
    if found is None or found[1] in _NO_NAMES or _FIRST.search(clause):
        return False
    return found[1].casefold() not in f"{fact} {author}".casefold()


def _is_named(fact: str, clause: str) -> bool:
    """Tell whether the fact's first word occurs in the clause."""
    first = re.match(r"\w+", fact)
    return first is not None and bool(re.search(rf"\b{re.escape(first.group())}\b", clause))
