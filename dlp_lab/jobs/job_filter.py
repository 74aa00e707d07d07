"""Which jobs a listing is about: the same words at every door."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from dlp_lab.errors import MalformedRequest
from dlp_lab.jobs.job import JOB_STATES, JobState

_LONGEST_TEXT = 1000


class JobFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What the jobs of a listing have in common; by default nothing.

    Attributes:
        states: In one of these; any if empty.
        task: Of the task of this name.
        group: One of this group.
        about: With each of these words in the name of the input folder or the group, or in the name or title of the
            task; lower and upper case of ASCII letters are the same.
        submitted_after, submitted_before: Later, or earlier, than this moment.
        visible_to: That this user may see: their own, and those without an owner. None sees all.
    """

    states: tuple[JobState, ...] = ()
    task: str | None = None
    group: str | None = None
    about: tuple[str, ...] = ()
    submitted_after: datetime | None = None
    submitted_before: datetime | None = None
    visible_to: str | None = None

    def condition(self) -> tuple[str, list[object]]:
        """As a condition of SQL on the table of jobs, and its values."""
        conditions, values = ["TRUE"], list[object]()
        if self.states:
            conditions.append(f"state IN ({', '.join('?' * len(self.states))})")
            values += self.states
        for word in self.about:
            from dlp_lab.tasks import all_tasks  # which loads numpy, for a server that has just been started

            tasks = [task.name for task in all_tasks().values() if word.lower() in task.title.lower()]
            conditions.append(
                "(instr(lower(input_dir || ' ' || task || ' ' || coalesce(\"group\", '')), lower(?)) > 0"
                f" OR task IN ({', '.join('?' * len(tasks))}))"
            )
            values += [word, *tasks]
        for text, value in (
            ("task = ?", self.task),
            ('"group" = ?', self.group),
            ("submitted_at > ?", self.submitted_after and utc_text(self.submitted_after)),
            ("submitted_at < ?", self.submitted_before and utc_text(self.submitted_before)),
        ):
            if value is not None:
                conditions.append(text)
                values.append(value)
        if self.visible_to is not None:
            # not as two comparisons: SQLite would look up both in an index and then sort all that it found
            conditions.append("ifnull(owner, ?) = ?")
            values += [self.visible_to, self.visible_to]
        return " AND ".join(conditions), values

    @property
    def is_of_kept_counts(self) -> bool:
        """Whether the queue keeps count of such jobs, by their state and owner; then the condition fits its counts."""
        return msgspec.structs.replace(self, states=(), visible_to=None) == ALL_JOBS


ALL_JOBS = JobFilter()


def job_filter(
    *,
    states: Iterable[str] = (),
    task: str | None = None,
    group: str | None = None,
    about: str | None = None,
    submitted_after: str | None = None,
    submitted_before: str | None = None,
) -> JobFilter:
    """A filter from what a user typed.

    Raises:
        MalformedRequest: A state is none, a moment is none, or a text is longer than any name.
    """
    for text in filter(None, (task, group, about)):
        if len(text) > _LONGEST_TEXT or "\0" in text:
            raise MalformedRequest(f"a text to look for has at most {_LONGEST_TEXT} characters, none of them NUL")
    return JobFilter(
        states=tuple(states_named(states)),
        task=task,
        group=group,
        about=tuple(dict.fromkeys((about or "").split())),
        submitted_after=_moment(submitted_after),
        submitted_before=_moment(submitted_before),
    )


def states_named(names: Iterable[str]) -> list[JobState]:
    """States by their names.

    Raises:
        MalformedRequest: One is no state.
    """
    states: list[JobState] = []
    for name in names:
        known = next((state for state in JOB_STATES if state == name), None)
        if known is None:
            raise MalformedRequest(f"no job is in the state {name[:20]!r}; the states are {', '.join(JOB_STATES)}")
        states.append(known)
    return states


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.upper())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise MalformedRequest(
            f"a moment is such as 2026-11-28 or 2026-11-28T14:30:00Z (UTC where it does not say); got {text[:30]!r}"
        ) from None


def utc_text(when: datetime) -> str:
    """A moment as the queue writes it: ISO 8601 with milliseconds, which sorts as the moments do."""
    return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
