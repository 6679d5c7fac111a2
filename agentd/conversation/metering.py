"""What the requests of one conversation cost: whose budget they are made from, and what is learnt of the estimate."""

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
    """Asks before a request is made, and books what it cost."""

    def __init__(self, wiring: Wiring, session: Session) -> None:
        """Learn of the model that answers people."""
        self._calibration = wiring.calibration
        self._spending = wiring.spending
        self._provider = wiring.provider
        self._session = session

    @property
    def factor(self) -> float:
        """Return how many tokens the model counts for one of the estimate's: as far as is known, and a little more."""
        return self._known * SAFETY

    @property
    def _known(self) -> float:
        learnt = self._session.view.token_factor
        if learnt is None or not LOWEST <= learnt <= HIGHEST:  # a file may be damaged, or edited
            return self._calibration.first_factor(self._provider.model)
        return learnt

    def admit(self, author: str, prompt_tokens: int, reply_tokens: int) -> None:
        """Raise OverBudget where a request, of so many tokens by estimate, is more than its author may spend."""
        refusal = self._spending.refusal(self._payer(author), prompt_tokens + reply_tokens)
        if refusal:
            raise OverBudget(refusal)

    def book(self, author: str, prompt_tokens: int, usage: Usage, said: str) -> None:
        """Count what a request cost: what its provider reports, else what is estimated of the prompt and the answer."""
        spent = usage.input_tokens + usage.output_tokens
        self._spending.spend(self._payer(author), spent or prompt_tokens + estimate_tokens(said))

    def learn(self, prompt_tokens: int, usage: Usage) -> float:
        """Learn from what the provider counted of a prompt without images; return what goes on record."""
        return self._calibration.learn(self._provider.model, prompt_tokens, usage.input_tokens, self._known)

    def _payer(self, author: str) -> str:
        return person_id(self._session.key.channel, author)
