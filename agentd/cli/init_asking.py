"""Asks a person questions, one line each, on a terminal or from a pipe; the wizard's input and output.

A wrong answer is explained and the question asked again. A secret is neither shown while typed nor repeated. Raises
`AskingEnded` when the input ends.
"""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TextIO, TypeVar

from agentd.cli.screen import clean, print_lines

__all__ = ["AskingEnded", "NotThat", "Talk"]

T = TypeVar("T")


class AskingEnded(Exception):
    """There are no more answers."""


class NotThat(Exception):
    """An answer cannot be used; the text says why, without quoting the answer."""


class Talk:
    """The dialogue with one person."""

    def __init__(self, source: TextIO) -> None:
        """Read answers from `source`, and write to stdout."""
        self._source = source
        self._is_terminal = source.isatty()

    def say(self, *lines: str) -> None:
        """Show lines."""
        print_lines(clean(line) for line in lines)
        sys.stdout.flush()

    def ask(self, question: str, parse: Callable[[str], T]) -> T:
        """Ask until the answer can be used; `parse` raises NotThat for one that cannot."""
        return self._until(lambda: self._read(f"{question}: "), parse)

    def ask_secret(self, question: str, parse: Callable[[str], T]) -> T:
        """Ask for a secret."""
        return self._until(lambda: self._read_hidden(f"{question}: "), parse)

    def choose(self, question: str, options: Sequence[str]) -> int:
        """Let the person choose one option; Enter alone takes the first. Return its index."""
        self._list(options)
        [chosen] = self.ask(f"{question} [1]", lambda answer: _chosen(answer or "1", len(options), most=1))
        return chosen

    def choose_some(self, question: str, options: Sequence[str]) -> tuple[int, ...]:
        """Let the person choose one or more options; Enter alone takes the first. Return their indices, in order."""
        self._list(options)
        return self.ask(f"{question} [1]", lambda answer: _chosen(answer or "1", len(options), most=len(options)))

    def agrees(self, question: str) -> bool:
        """Ask yes or no; Enter alone is no."""
        return self.ask(f"{question} [y/N]", _parse_agreement)

    def _list(self, options: Iterable[str]) -> None:
        self.say(*(f"  {number}  {option}" for number, option in enumerate(options, 1)))

    def _until(self, read: Callable[[], str], parse: Callable[[str], T]) -> T:
        while True:
            try:
                return parse(_seen(read()))
            except NotThat as fault:
                self.say(f"  {fault}")

    def _read(self, question: str) -> str:
        sys.stdout.write(clean(question))
        sys.stdout.flush()
        line = self._source.readline()
        if not (self._is_terminal and line.endswith("\n")):
            self.say("")  # Enter was not pressed by a person, so end the line
        if not line:
            raise AskingEnded
        return line.strip()

    def _read_hidden(self, question: str) -> str:
        if not self._is_terminal:
            return self._read(question)
        try:
            return getpass.getpass(clean(question), stream=sys.stdout).strip()
        except EOFError:
            raise AskingEnded from None
        except UnicodeDecodeError:
            self.say("")  # getpass did not end the line
            raise _unseen() from None


def _seen(answer: str) -> str:
    """Return an answer. Raises NotThat for invisible characters, such as bytes outside the terminal's encoding."""
    if not answer.isprintable():
        raise _unseen()
    return answer


def _unseen() -> NotThat:
    return NotThat("that has characters which cannot be seen: type it, or paste it, again")


def _chosen(answer: str, count: int, *, most: int) -> tuple[int, ...]:
    words, numbers = answer.replace(",", " ").split(), [str(number) for number in range(1, count + 1)]
    if not set(words) <= set(numbers):
        raise NotThat(f"write a number from 1 to {count}" + (", or several with commas" if most > 1 else ""))
    chosen = tuple(sorted({numbers.index(word) for word in words}))
    if len(chosen) > most:
        raise NotThat("write one number")
    return chosen


def _parse_agreement(answer: str) -> bool:
    if answer.lower() in ("y", "yes"):
        return True
    if answer.lower() in ("", "n", "no"):
        return False
    raise NotThat("write y or n")
