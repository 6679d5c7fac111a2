"""Token accounting of one conversation: checks each request against its author's daily budget and books what it cost.

It also feeds the calibration, which learns how many tokens a model really counts for one estimated token.
"""

from __future__ import annotations

from agentd.admission.spending import person_id
from agentd.context.calibration import HIGHEST, LOWEST, SAFETY
from agentd.context.tokens import estimate_tokens
from agentd.conversation.wiring import Wiring
from agentd.providers.base import Usage
from agentd.transcript.store import Session

__all__ = ["OverBudget", "UsageMeter"]


class OverBudget(Exception):
    """The day's budget does not allow a request; its text says so to the person."""


class UsageMeter:
    """Checks a request against the budget before it is made, and books its tokens after."""

    def __init__(self, wiring: Wiring, session: Session) -> None:
        """Use the factor and the name of the model that answers people (`wiring.provider`)."""
        self._calibration = wiring.calibration
        self._spending = wiring.spending
        self._provider = wiring.provider
        self._session = session

    @property
    def factor(self) -> float:
        """Return how many tokens the model counts per estimated token, as far as known, plus a safety margin."""
        return self._known * SAFETY

    @property
    def _known(self) -> float:
        learnt = self._session.view.token_factor
        if learnt is None or not LOWEST <= learnt <= HIGHEST:  # a file may be damaged, or edited
            return self._calibration.first_factor(self._provider.model)
        return learnt

    def admit(self, author: str, prompt_tokens: int, reply_tokens: int) -> None:
        """Raise OverBudget if this request, in estimated tokens, exceeds what its author may still spend today."""
        refusal = self._spending.refusal(self._payer(author), prompt_tokens + reply_tokens)
        if refusal:
            raise OverBudget(refusal)

    def book(self, author: str, prompt_tokens: int, usage: Usage, said: str) -> None:
        """Book the tokens of a request: as the provider reported them, else as estimated from prompt and answer."""
        spent = usage.input_tokens + usage.output_tokens
        self._spending.spend(self._payer(author), spent or prompt_tokens + estimate_tokens(said))

    def learn(self, prompt_tokens: int, usage: Usage) -> float:
        """Learn from the provider's count for a prompt without images; return the factor that goes on record."""
        return self._calibration.learn(self._provider.model, prompt_tokens, usage.input_tokens, self._known)

    def _payer(self, author: str) -> str:
        return person_id(self._session.key.channel, author)
