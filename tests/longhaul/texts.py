"""This module generates what people and models write: several languages, emoji and code, from "ok" to a pasted log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

__all__ = ["LANGUAGES", "Writer"]

SENTENCES: Mapping[str, tuple[str, ...]] = {
    "english": (
        "Could you look over the plan for {place} again before {day}?",
        "I spoke to {name} yesterday, and she thinks that {number} euros would be too much for it.",
        "The train to {place} was {number} minutes late, so we missed the beginning of the concert.",
        "What would you cook for {number} people when half of them don't eat meat?",
        "I'd rather not decide that today; let's come back to it on {day}.",
        "My landlord still hasn't answered about the heating, it's been {number} days now.",
        "Honestly, {name}'s idea isn't bad: rent a van, drive to {place}, come back on {day}.",
        "Is there a shorter way to say this without sounding rude?",
        "We could also repaint the kitchen first and leave the hallway for the autumn.",
        "Remind me why we didn't take the cheaper insurance, the one that {name} has.",
    ),
    "german": (
        "Kannst du mir bis {day} eine Packliste für {place} zusammenstellen?",
        "{name} hat gestern angerufen und gefragt, ob wir die {number} Stühle noch brauchen.",
        "Die Heizungsabrechnung stimmt schon wieder nicht: {number} Euro Nachzahlung, das kann nicht sein.",
        "Ich überlege, ob ich am {day} überhaupt ins Büro fahre oder lieber zu Hause arbeite.",
        "Wie schreibt man höflich, dass man an der Gesellschafterversammlung nicht teilnehmen möchte?",
        "Für den Geburtstagskuchen brauche ich noch Zartbitterschokolade, Äpfel und {number} Eier.",
        "In {place} soll es übers Wochenende regnen, vielleicht verschieben wir die Wanderung.",
        "Außerdem müsste man die Fahrradbremsen nachstellen, bevor {name} damit losfährt.",
    ),
    "chinese": (
        "你能不能帮我看看去{place}的行程，{day}之前要定下来。",
        "昨天{name}打电话来，说那套房子的租金涨到了{number}块，我觉得有点贵。",
        "今天地铁又晚点了{number}分钟，差点错过开会。",
        "晚饭想做点清淡的，家里只剩豆腐、西红柿和鸡蛋，你有什么建议？",
        "这件事我想再考虑一下，等{day}再决定吧。",
        "医生说最近要少吃甜的，多走路，每天至少{number}步。",
        "帮我把这段话改得客气一点，但是意思不要变。",
        "孩子的作业里有一道题我也不会，麻烦你一步一步讲给我听。",
    ),
    "emoji": (
        "😂😂😂 {name} 🤦🏽‍♀️ omg",
        "🎉🎂🥳 {number} 🎈🎈",
        "☕️➡️🚲➡️🏢 … 😴",
        "👍🏻 👨‍👩‍👧‍👦 ❤️‍🔥 see you {day} 🚆",
        "🌧️⛈️🌧️ in {place} 😭💔",
        "🍜🥟🍣🍕 ❓🤔",
    ),
    "code": (
        "def load_{number}(path: Path) -> dict[str, int]:\n    with path.open(encoding='utf-8') as file:\n"
        "        return {{row['id']: int(row['amount']) for row in csv.DictReader(file)}}",
        "SELECT c.name, SUM(o.total) AS spent FROM customers c JOIN orders o ON o.customer_id = c.id\n"
        "WHERE o.created_at >= '2026-01-{number}' GROUP BY c.name ORDER BY spent DESC LIMIT 20;",
        "for (const [key, value] of Object.entries(items)) {{\n  if (value === null) continue;\n"
        "  result[key] = (await fetch(`https://api.example.org/v{number}/${{key}}`)).status;\n}}",
        "curl -sS -H 'Authorization: Bearer $TOKEN' https://example.org/api/{number}/items?limit=50 | jq '.[].id'",
        'Traceback (most recent call last):\n  File "/srv/app/worker.py", line {number}, in run\n'
        "    job.result(timeout=30)\nTimeoutError: deadline exceeded",
    ),
}

LANGUAGES = tuple(SENTENCES)

TINY: Mapping[str, tuple[str, ...]] = {
    "english": ("ok", "thanks!", "yes", "no, the other one", "hm", "go on"),
    "german": ("ok", "ja", "danke dir", "passt so", "nee, lieber nicht"),
    "chinese": ("好的", "谢谢", "嗯", "对", "不用了"),
    "emoji": ("👍", "😂", "❤️", "🤷🏻‍♂️", "🙏🙏🙏"),
    "code": ("ls -la", "git status", "y", "ok, runs", "exit 1"),
}

NAMES = ("Anna", "Jörg", "Li Wei", "Fatima", "Óscar", "Mrs Okafor", "小明", "Zoë")
PLACES = ("Lisbon", "München", "上海", "Aarhus", "Kraków", "the lake")
DAYS = ("Monday", "Freitag", "the 14th", "星期三", "next week")


class Writer:
    """Writes texts by chance, the same ones from the same dice."""

    def __init__(self, dice: Random) -> None:
        """Draw everything from these dice."""
        self._dice = dice

    def tiny(self, language: str) -> str:
        """Return a word or a sign."""
        return self._dice.choice(TINY[language])

    def chat(self, language: str, most_sentences: int) -> str:
        """Return one message as people type them."""
        return self._joined(language, self._dice.randint(1, most_sentences))

    def paste(self, language: str, characters: int) -> str:
        """Return something long that was made elsewhere, of about so many characters: prose, a log, or a table."""
        kind = self._dice.random()
        if kind < 0.25:
            return self._lines(self._log_line, characters)
        if kind < 0.4:
            return self._lines(self._table_line, characters)
        return self._lines(lambda: self._joined(language, 4), characters)

    def giant(self, language: str, tokens: int, count: Callable[[str], int]) -> str:
        """Return a text of at least so many tokens."""
        text = self.paste(language, 4_000)
        while (size := count(text)) < tokens:
            text += "\n\n" + self.paste(language, max((tokens - size) * 2, 500))
        return text

    def _joined(self, language: str, sentences: int) -> str:
        between = {"code": "\n\n", "chinese": ""}.get(language, " ")
        return between.join(self._sentence(language) for _ in range(sentences))

    def _sentence(self, language: str) -> str:
        pick = self._dice.choice
        return pick(SENTENCES[language]).format(
            name=pick(NAMES), place=pick(PLACES), day=pick(DAYS), number=self._dice.randint(10, 990)
        )

    def _lines(self, make: Callable[[], str], characters: int) -> str:
        lines: list[str] = []
        while characters > 0:
            lines.append(make())
            characters -= len(lines[-1]) + 1
        return "\n".join(lines)

    def _log_line(self) -> str:
        number = self._dice.getrandbits
        return (
            f"2026-03-{number(4) + 10}T0{number(3)}:{number(5) + 10}:{number(5) + 10}.{number(9):03}Z INFO "
            f"request_id={number(64):016x} path=/api/v1/orders/{number(20)} status=20{number(1)} ms={number(8)}"
        )

    def _table_line(self) -> str:
        number = self._dice.randint
        return f"| {self._dice.choice(NAMES)} | {number(1, 99)}.{number(10, 99)} € | {number(1_000, 99_999)} | ✓ |"
