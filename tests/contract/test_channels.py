"""These tests check what every channel promises by the protocol of `channels.base`, over a real socket for each."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from channels.base import InboundMessage
from channels.errors import ChannelError, NotSent, RateLimited, SendFailed, Unreachable
from channels.markup.rich import RichText, Span, plain
from tests.contract.stands import STANDS, Stand

NETWORKED = [name for name in STANDS if name != "console"]


@pytest.fixture(params=STANDS)
async def stand(request: pytest.FixtureRequest) -> AsyncIterator[Stand]:
    async with STANDS[request.param]() as opened:
        yield opened


@pytest.fixture(params=NETWORKED)
async def platform(request: pytest.FixtureRequest) -> AsyncIterator[Stand]:
    async with STANDS[request.param]() as opened:
        yield opened


async def fault_of(stand: Stand) -> ChannelError:
    with pytest.raises(ChannelError) as caught:
        await stand.channel.send(stand.here, plain("hello"), "n")
    return caught.value


async def test_what_is_written_is_taken_in_as_it_was_written(stand: Stand) -> None:
    async with stand.running():
        stand.write("hello 😀")
        await stand.until(lambda: stand.texts())

    message = stand.took[0]

    assert isinstance(message, InboundMessage)
    assert (message.address, message.text) == (stand.here, "hello 😀")
    assert message.address.channel == stand.channel.name
    assert message.is_direct
    assert message.message_id
    assert message.author.id
    assert message.sent_at.utcoffset() is not None


async def test_what_comes_one_after_the_other_is_taken_in_that_order(stand: Stand) -> None:
    async with stand.running():
        for number in range(10):
            stand.write(f"m{number}")
        await stand.until(lambda: len(stand.texts()) == 10)

    assert stand.texts() == [f"m{number}" for number in range(10)]
    assert len({message.message_id for message in stand.took if isinstance(message, InboundMessage)}) == 10


async def test_what_could_not_be_put_on_disk_is_offered_again_before_what_comes_after_it(platform: Stand) -> None:
    platform.refuse(3)
    async with platform.running():
        platform.write("first")
        platform.write("second")
        await platform.until(lambda: len(platform.texts()) == 2)

    assert platform.texts() == ["first", "second"]


async def test_what_is_sent_is_shown_with_an_id_of_its_own(stand: Stand) -> None:
    ids = [await stand.channel.send(stand.here, plain(text), text) for text in ("one", "two")]
    await stand.until(lambda: len(stand.shown()) == 2)

    assert stand.shown() == ["one", "two"]
    assert len(set(ids)) == 2


async def test_marks_cost_no_word(stand: Stand) -> None:
    rich = RichText("bold and 2*3*4 <b> & _so_", (Span(0, 4, "bold"),))
    await stand.channel.send(stand.here, rich, "n")
    await stand.until(lambda: stand.shown())
    [shown] = stand.shown()

    for word in ("bold", "and", "2", "3", "4", "so"):
        assert word in shown


async def test_what_was_sent_can_be_changed_and_removed_and_removing_it_again_is_no_fault(platform: Stand) -> None:
    number = await platform.channel.send(platform.here, plain("one"), "n")
    await platform.channel.edit(platform.here, number, plain("two"))
    changed = platform.shown()
    await platform.channel.delete(platform.here, number)
    await platform.channel.delete(platform.here, number)

    assert (changed, platform.shown()) == (["two"], [])


async def test_a_text_that_is_shown_already_can_be_shown_again(platform: Stand) -> None:
    number = await platform.channel.send(platform.here, plain("one"), "n")
    await platform.channel.edit(platform.here, number, plain("one"))

    assert platform.shown() == ["one"]


async def test_a_message_that_is_gone_cannot_be_changed_which_is_said(platform: Stand) -> None:
    number = await platform.channel.send(platform.here, plain("one"), "n")
    await platform.channel.delete(platform.here, number)
    with pytest.raises(SendFailed):
        await platform.channel.edit(platform.here, number, plain("two"))


async def test_a_call_whose_answer_is_lost_may_have_arrived(platform: Stand) -> None:
    platform.misbehave(platform.behaviours.drop_after_effect())
    fault = await fault_of(platform)

    assert isinstance(fault, Unreachable)
    assert not isinstance(fault, NotSent)
    assert platform.shown() == ["hello"]


@pytest.mark.parametrize("kind", ["drop_before_effect", "failing", "html", "malformed"])
async def test_a_platform_that_is_ill_is_unreachable_for_now(platform: Stand, kind: str) -> None:
    platform.misbehave(getattr(platform.behaviours, kind)())

    assert isinstance(await fault_of(platform), Unreachable)


async def test_too_many_calls_have_shown_nothing_and_say_how_long_to_wait(platform: Stand) -> None:
    platform.misbehave(platform.behaviours.too_many_requests(7))
    fault = await fault_of(platform)

    assert isinstance(fault, RateLimited)
    assert fault.retry_after_seconds == pytest.approx(7)
    assert platform.shown() == []


async def test_a_sign_of_life_is_noticed(platform: Stand) -> None:
    async with platform.running():
        platform.write("hello")
        await platform.until(lambda: platform.texts())
        seconds = platform.channel.health.silent_seconds

    assert seconds is not None
    assert seconds < 20
    assert platform.channel.health.fault == ""
