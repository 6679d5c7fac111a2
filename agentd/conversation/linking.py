"""Obeys `/link`: links two accounts of one person, by a code issued on one account and entered on the other.

Codes are issued in private chats only; one that is written where others can read is withdrawn.
"""

from __future__ import annotations

from datetime import datetime

import structlog

from agentd.conversation.remembrance import author_id
from agentd.conversation.wiring import Wiring
from agentd.delivery.telling import Teller
from agentd.errors import StorageError
from agentd.state.people import Burnt, People, Redeemed
from agentd.transcript.key import SessionKey
from agentd.transcript.records import Command
from channels.base import Address

__all__ = ["answer_link"]

log = structlog.get_logger()

PRIVATE_ONLY = "Write that to me in private: a code for linking is nobody else's business."
BURNT_HERE = f"{PRIVATE_ONLY} A code that you wrote here is worth nothing any more."
UNAVAILABLE = "Accounts cannot be linked here."
OPENS = (
    "What I remember from private talk with one of them I now also know in private talk with the others. "
    "/link off takes this account out again."
)
ALONE = "This account is linked with no other."
OWN = (
    "That is the code of this very account: write it to me from the other one. "
    "Codes come from the account that is to be linked, and go in on another."
)
UNKNOWN = (
    "I know no such code: it may be mistyped, older than an hour, or used already. "
    "Write /link on the other account for a new one."
)


async def answer_link(command: Command, key: SessionKey, wiring: Wiring) -> str:
    """Issue a code, redeem one, or unlink (`off`); return the answer."""
    people, sender = wiring.people, author_id(key, command.source)
    if people is None:
        return UNAVAILABLE
    try:
        if command.source.direct is not True:
            return await _refuse_openly(command.args, people)
        match command.args.lower():
            case "":
                here = Address(key.channel, key.account, key.chat, key.thread)
                return offer_text(await people.offer(sender, here), people.senders_of(sender) - {sender})
            case "off":
                left = await people.unlink(sender)
                log.info("person_unlinked", channel=key.channel)
                return off_text(left)
            case _:
                return await _redeem(command.args, sender, people, wiring)
    except StorageError as fault:
        return f"I could not keep that: {fault}."


async def _refuse_openly(args: str, people: People) -> str:
    if args in ("", "off"):
        return PRIVATE_ONLY
    await people.withdraw(args)
    return BURNT_HERE


async def _redeem(words: str, sender: str, people: People, wiring: Wiring) -> str:
    outcome = await people.redeem(sender, words)
    if isinstance(outcome, Burnt):
        return burnt_text(outcome)
    if outcome.by not in outcome.senders:
        return UNKNOWN  # this sender used it, and that link was undone since
    log.info("person_linked", channel=sender.partition(":")[0], senders=len(outcome.senders))
    if outcome.is_news and outcome.place is not None:
        await Teller(wiring.front, wiring.new_id).tell(outcome.place, linked_text(outcome, outcome.by))
    return linked_text(outcome, sender)


def offer_text(code: str, linked: frozenset[str]) -> str:
    """Say what to do with a code, and what that does."""
    also = f" It is linked with {_list(linked)} already." if linked else ""
    return (
        f"Write this to me within an hour from the other account: /link {code}\n"
        "Both accounts are then one person: what I remember from private talk with one of them I know with the other "
        f"too. Show the code to nobody.{also}"
    )


def linked_text(outcome: Redeemed, sender: str) -> str:
    """Tell one of the linked accounts which accounts are one person now."""
    return f"This account ({sender}) is now one person with {_list(outcome.senders - {sender})}. {OPENS}"


def off_text(left: frozenset[str]) -> str:
    """Say that an account is no longer linked."""
    if not left:
        return ALONE
    return f"This account is not linked with {_list(left)} any more: what I remember of one stays with that one."


def burnt_text(outcome: Burnt) -> str:
    """Say why a code did nothing."""
    if outcome.until is not None:
        return f"Too many wrong codes: I take none from this account until {_minute(outcome.until)} UTC."
    return OWN if outcome.is_own else UNKNOWN


def _list(senders: frozenset[str]) -> str:
    return ", ".join(sorted(senders))


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"
