"""These tests check what is kept of the reason why a task failed."""

from __future__ import annotations

import json
import logging

import pytest
from structlog.testing import capture_logs

from agentd.errors import StorageError
from agentd.tasks.engine_log import discreet
from agentd.tasks.faults import describe
from agentd.tasks.queue import TaskFault
from channels.backoff import Growing


def raised(fault: Exception) -> Exception:
    try:
        raise fault
    except type(fault) as caught:
        return caught


@pytest.mark.parametrize("fault", [TaskFault("the model did not answer"), StorageError("the model did not answer")])
def test_of_our_own_errors_the_text_is_kept(fault: Exception) -> None:
    assert describe(raised(fault)) == "the model did not answer"


def test_of_others_only_the_kind_and_our_line() -> None:
    with pytest.raises(json.JSONDecodeError) as raised:
        json.loads("her words")
    with pytest.raises(TypeError) as deeper:
        Growing(1, 30).after(None)  # type: ignore[arg-type]

    assert describe(raised.value) == "JSONDecodeError"
    assert describe(deeper.value).startswith("TypeError at channels/backoff.py:")


def test_an_errors_text_has_a_bound() -> None:
    assert len(describe(TaskFault("x" * 10_000))) == 500


def test_the_engine_says_what_kind_of_thing_went_wrong_and_never_with_which_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = logging.getLogger("procrastinate.worker.worker")
    with capture_logs() as logs, discreet():
        engine.info("Starting job note[1](words='her words')")
        engine.error("Job note[1](words='her words') failed", extra={"action": "job_error"})
        engine.error("listener died: her words", extra={"action": "side_task_failed"}, exc_info=ValueError("her words"))
    told = [{key: said[key] for key in ("event", "action", "fault")} for said in logs]

    assert told == [{"event": "tasks_engine_warned", "action": "side_task_failed", "fault": "ValueError"}]
    assert "her words" not in str(logs) + caplog.text
