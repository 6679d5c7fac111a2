"""This module lists, in a dozen languages, the words with which people make claims (living, working), ask and deny.

In "lives in Lisbon", "lives" is a claim and Lisbon its subject. The person's words support a claim by any word of its
kind in any language ("live", "moved", "flat"); they support a subject only by the subject itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = [
    "ALLERGY",
    "CLAIMS",
    "FILLERS",
    "FIRST_PERSON",
    "LOOSE",
    "SMALL_CHARACTERS",
    "SPEECH",
    "Claim",
    "is_asking",
    "is_denied",
    "is_telling",
]


@dataclass(frozen=True, slots=True)
class Claim:
    """A kind of claim: `told` matches its wording in facts, `said` the words of a person that support it."""

    name: str
    told: re.Pattern[str]
    said: re.Pattern[str]


def _claim(name: str, told: str, said: str) -> Claim:
    return Claim(name, re.compile(told, re.IGNORECASE), re.compile(f"{told}|{said}", re.IGNORECASE))


CLAIMS = (
    _claim(
        "home",
        r"\b(?:lives?|living|lived|resid\w+|based|home|hometown|moved?|moving|relocat\w+)\b|\b(?:wohn\w+"
        r"|leb(?:t|e|en|te)"
        r"|(?:um)?gezogen|zog|zieht)\b|\b(?:viv[eoi]\w*|resid\w+|mud(?:ó|ado|é|o|ou))\b|\b(?:habit\w+|vit"
        r"|déménag\w+|emménag\w+)\b"
        r"|\b(?:abit\w+|vive|trasferit\w+)\b|\b(?:mor[aoe]|morando)\b|\b(?:woont|woon|verhuis\w+)\b|\bmieszka\w*"
        r"|\b(?:жив[её]\w*|прожива\w+|пере(?:ехал|езжа)\w*)|住在|住了?|居住|定居|搬到?|引っ越し?|暮ら|住んで|"
        r"산다|살고|살아|거주\w*|이사\w*|يعيش|يسكن|انتقل\w*",
        r"\b(?:from|flat|apartment|house|rent\w*|settl\w+|neighbou?r\w*|place)\b|\b(?:zieh\w*|umzug|wohnung"
        r"|komme aus)\b"
        r"|\b(?:piso|casa|vivo)\b|\b(?:vis|appartement|vivo)\b|\bжил\w*|生活|家|살|أعيش|أسكن",
    ),
    _claim(
        "work",
        r"\b(?:works?|working|worked|employ\w*|job|profession\w*|occupation|career)\b|\b(?:arbeit\w*|beruf\w*)\b"
        r"|\b(?:trabaj\w*|trabalh\w*|travaill\w*|lavor\w*|werkt?|pracuj\w*)\b|\bработа\w+|工作|上班|任职|仕事"
        r"|働\w?|勤務|勤め|"
        r"일(?:한다|해요|하고|하는)|직업\w?|근무\w*|يعمل",
        r"\b(?:i['’]?m|i am|as) an? |\b(?:boss|office|colleagues?|coworkers?|hired|shifts?|clients?|compan(?:y"
        r"|ies)|staff)\b"
        r"|\b(?:ich bin|chef|büro|firma|soy|je suis|sono|sou|jestem|ben|bin)\b|\bя\b|是|です|だ|이에요|입니다|أعمل|أنا",
    ),
    _claim(
        "allergy",
        r"\b(?:aller[gj]\w*|alérg\w*|intoleran\w*)\b|аллерги\w*|过敏|過敏|アレルギー|알레르기|حساسية",
        r"\b(?:react\w*|rash|swell\w*|anaphyla\w*|epipen|vertrage)\b",
    ),
    _claim(
        "dislike",
        r"\b(?:dislik\w+|hat(?:e|es|ed)|detest\w*|loath\w+)\b|\b(?:hasst|hasse|odi[ao]\w*|déteste\w*)\b"
        r"|ненави\w+|讨厌|嫌い|싫어\w*",
        r"n['’]t\b|\b(?:not|never|no|awful|disgusting|terrible|nicht|kein\w*|ne|pas|non|não)\b|\bне\b|不|没|ない|안 ",
    ),
    _claim(
        "stopping",
        r"\b(?:stopp(?:ed|ing)|quit|gave up|given up|no longer|former(?:ly)?|aufgehört)\b|戒了?|やめた",
        r"n['’]t\b|\b(?:not|never|used to|left|nicht mehr|ya no|plus)\b|不再",
    ),
    _claim(
        "age",
        r"\b(?:\d+ years? old|aged?|years of age|jahre alt|años|ans|anni|anos|лет|года?)\b|[岁歲歳]|\d살",
        r"\b(?:turn(?:ed|ing|s)?|i['’]?m \d+|i am \d+|birthday|born|\w+ years? old|ich bin \d+|tengo \d+"
        r"|j['’]ai \d+|ho \d+|мне \d+)\b",
    ),
    _claim(
        "marriage",
        r"\b(?:marri\w+|wife|husband|spouse|verheiratet|ehefrau|ehemann|casad[ao]|marié\w*|sposat[ao])\b|женат"
        r"|замужем|结婚|結婚|결혼",
        r"\b(?:partner|wedding|anniversary|frau|mann|esposa|esposo|mari|femme|moglie|marito)\b|жен[аыу]|муж|妻"
        r"|夫|老婆|老公|丈夫|太太",
    ),
)  # fmt: skip
"""The claims that a person must have made themselves; their words do not count as subjects of a fact."""

ALLERGY = next(claim for claim in CLAIMS if claim.name == "allergy")

LOOSE = re.compile(
    r"\b(?:likes?|liked|loves?|enjoys?|prefers?|favou?rites?|fond|keen|has|have|had|owns?|named?|called"
    r"|interested|wants?|"
    r"plans?|planning|user|users|person|currently|they|their|"
    r"mag|liebt|liebe|mögen|gern|gerne|hat|habe|haben|heißt|heisst|namens|nutzer\w*|benutzer\w*|person|"
    r"gusta|encanta|tiene|tengo|llama|usuari[oa]|aime|adore|a|ai|appelle|utilisat\w+|l'utilisat\w+|piace|ama|ha"
    r"|ho|chiama|utente|"
    r"gosta|tem|tenho|chama|heeft|heb|houdt|lubi|"
    r"любит|люблю|нравится|зовут|есть|пользовател\w+|обожа\w+)\b|"
    r"用户|养了?|喜欢|喜歡|喜爱|爱好|拥有|名叫|叫做|ユーザー|好き|大好き|趣味|사용자\w?|좋아\w*|있다|있어요"
    r"|있습니다|있음|يحب|أحب|لديه|لدي|المستخدم",
    re.IGNORECASE,
)
"""Words that people mostly replace by others: having, liking, being called, and the words for the person."""

_FILLERS = """
    der die das ein eine einen einem einer und oder in im ist bin sind war als am an auf aus bei mit nach seit von
    vom zu zum zur fur sein seine seinen ihr ihre mein meine meinen nicht kein keine er sie es ich wir sich auch el
    la los las un una unos y o en soy son de del al con por para su sus mi mis como que se lo desde le les des du
    et ou est suis sont dans au aux avec pour sa ses mon ma mes je il elle qui depuis comme ne pas gli uno e di da
    per suo sua mio mia come che non sono os as um uma em no na nos nas do dos com seu meu minha eu ele ela nao het
    een is op met voor zijn haar mijn niet geen ik hij zij van bij i w z jest nie od jako jego jej moj moja и в во
    на с со к по из за от для у о об не он она я мои моя мое его ее мне меня как это что есть был была في من الى
    إلى على مع هو هي انا أنا كان و عن year old lot thing very really new one also since now still
"""
FILLERS = frozenset(_FILLERS.split())
"""Stop words of other languages, and the words of ages; without accents, as words are compared."""

SMALL_CHARACTERS = frozenset(
    "的了在我是有他她它也和与就都而及着或一个這这那不没很为被把从到会要能可以对住个过吗呢吧啊您你们去来上下里们家人说当只条"
    "은는이가을를에의도로와과으서다요습니고한하해었았겠음인저제나내"
)
"""Characters of Han and Hangul that mostly are grammar, as all of hiragana is."""

FIRST_PERSON = re.compile(
    r"\b(?:i|i['’][md]|i['’]ve|my|mine|we|our|ich|mein\w*|mir|mich|wir|unser\w*|yo|mi|mis|soy|estoy|tengo|vivo"
    r"|je|mon|ma|mes|moi|"
    r"nous|suis|io|mio|mia|sono|ho|eu|meu|minha|sou|ik|mijn|jestem|mój|moja|я|мне|меня|мой|моя|моё|мою|моей"
    r"|моего|мы|наш\w*)\b"
    r"|\bj['’]|我|咱|私|僕|俺|나는|내\b|내가|저는|제가|제\b|우리|أنا",
    re.IGNORECASE,
)
_TURNED = re.compile(
    r"\b(?:do|did|does|am|was|were|have|had|should|could|can|would|will|shall|may|might|must|where|what|who"
    r"|when) +(?:i|we)\b"
    r"|\b(?:bin|habe|mag|soll|sollte|kann|könnte|muss|wohne|war) +(?:ich|wir)\b|\b(?:ai|suis|dois|puis|peux)-je\b"
    r"|\b(?:you|du|sie|tú|usted|tu|vous) (?:think|believe|say|guess|glaubst|denkst|crees"
    r"|crois),? (?:(?:that|if|whether|where|what|when|dass|ob|wo|que|si) )*(?:i|we|ich|wir|yo|je"
    r"|nous)(?:['’]\w+)?\b",
    re.IGNORECASE,
)
_ASKING = re.compile(
    r"\W*(?:please\W+|can you\W+|could you\W+|bitte\W+|请|請)?(?:give|tell|show|write|explain|recommend|suggest"
    r"|find|help|make|"
    r"create|translate|summari[sz]e|list|describe|draft|compare|generate|what|how|why|who|when|where|which"
    r"|imagine|pretend|"
    r"erklär\w*|gib|zeig\w*|schreib\w*|übersetz\w*|empfiehl|nenne?|was|wie|warum|wer|wann|wo|"
    r"explica|dame|escribe|recomienda|qué|cómo|explique|donne|écris|напиши|расскажи|объясни|посоветуй|переведи"
    r"|какой|какие|что|как)\b"
    r"|\W*(?:am|are|is|was|were|do|does|did|can|could|should|would|will|have|has) "
    r"(?:i|we|you|he|she|it|they|there|this|that|someone|anyone)\b"
    r"|\W*(?:帮|幫|告诉|告訴|写|寫|推荐|推薦|解释|翻译|给我|什么|怎么|为什么)",
    re.IGNORECASE,
)
SPEECH = re.compile(
    r"\"[^\"\n]{0,300}\"|“[^”\n]{0,300}”|„[^“\n]{0,300}“|«[^»\n]{0,300}»|「[^」\n]{0,300}」"
    r"|(?<!\w)['‘][^'’\n]{0,300}['’](?!\w)"
)
_QUESTION_ENDS = ("?", "？", "؟")


def is_asking(sentence: str) -> bool:
    """Tell whether a sentence is a question or an order."""
    return sentence.rstrip("\"'”’) ").endswith(_QUESTION_ENDS) or bool(_ASKING.match(sentence))


def is_telling(sentence: str) -> bool:
    """Tell whether a sentence tells something: it is no question and no order, or it speaks in the first person."""
    return not is_asking(sentence) or bool(FIRST_PERSON.search(_TURNED.sub(" ", SPEECH.sub(" ", sentence))))


_NO_DENIAL = re.compile(
    r"\b(?:don['’]?t|do not|never) (?:forget|worry|mind|hesitate)\b|\bno (?:problem|worries|doubt)\b"
    r"|\bnot (?:only|just)\b|"
    r"\bwhy don['’]?t\b|\b(?:can['’]?t|cannot) wait\b|\bcan['’]?t (?:live|do) without\b|\bnicht nur\b|\bkein problem\b|"
    r"\bnão só\b|\bне только\b|不错|不但|不仅|没问题",
    re.IGNORECASE,
)
_PORTUGUESE = re.compile(
    r"\b(?:eu|meu|minha|moro|mora|trabalho|trabalha|estou|está|uma|um|em|da|do|nasci)\b", re.IGNORECASE
)
_DENIAL = re.compile(
    r"\b(?:no|not|never|neither|nor|hardly|barely|false|cannot|without|stopped|quit|gave up|given up|avoids?"
    r"|avoiding|refuses?|former|formerly"
    r"|dislikes?|"
    r"hates?|hated|detests?|loathes?|\w+n['’]t|dont|doesnt|cant|isnt|nicht|kein\w*|nie|niemals|ohne|aufgehört|hass[te]|"
    r"nunca|sin|tampoco|ne|pas|jamais|sans|non|mai|senza|não|sem|niet|geen|nooit|zonder|nie|не|нет|никогда|без"
    r"|бросил[аи]?)\b"
    r"|\bn['’](?=[aeiouhéè])|不|没|戒|讨厌|ない|ません|嫌い|ずに|안 |않|못|없|싫|\bلا\b|ليس",
    re.IGNORECASE,
)


def is_denied(text: str) -> bool:
    """Tell whether a text denies something ("not", "never", "stopped")."""
    plain = _NO_DENIAL.sub(" ", text)
    if _PORTUGUESE.search(plain):  # "no" is "in the" there
        plain = re.sub(r"\bno\b", " ", plain, flags=re.IGNORECASE)
    return bool(_DENIAL.search(plain))
