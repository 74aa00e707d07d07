"""The queue as it is listed and counted: which jobs there are, in what states, and whose turn is when.

What a listing costs does not depend on how many jobs it leaves out: the database keeps counts, by triggers.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from datetime import UTC, datetime

import msgspec

from dlp_lab.jobs.job import JOB_STATES, GroupCounts, Job, JobState
from dlp_lab.jobs.job_filter import ALL_JOBS, JobFilter
from dlp_lab.jobs.job_rows import JobRows, job_of
from dlp_lab.jobs.job_times import with_times


class JobListings(JobRows):
    """What doors ask that show many jobs."""

    def newest(self, limit: int, wanted: JobFilter = ALL_JOBS, before: str | None = None) -> list[Job]:
        """The jobs last submitted, newest first.

        Args:
            limit: How many at most.
            wanted: Which jobs.
            before: Only jobs that were submitted before the one of this uid.

        Raises:
            NoSuchJob: There is no job of the uid `before`.
        """
        condition, values = self._condition(wanted, before)
        # places first: what is sorted, where no index has them in order, are numbers and not whole records
        rows = self._rows(
            f"SELECT * FROM jobs WHERE seq IN (SELECT seq FROM jobs WHERE {condition} ORDER BY seq DESC LIMIT ?)"
            " ORDER BY seq DESC",
            (*values, limit),
        )
        moment = datetime.now(UTC)
        positions = self._positions(rows)
        return [
            msgspec.structs.replace(with_times(job_of(row), moment), position=positions.get(row["uid"])) for row in rows
        ]

    def _positions(self, rows: Sequence[sqlite3.Row]) -> dict[str, int]:
        """The places in the queue of those of some jobs that wait.

        They are counted from the end of the queue, where the newest are: of the jobs of a priority, or a higher one,
        there are so many, and so many of these were submitted later.
        """
        waiting = [row for row in rows if row["state"] == "queued"]
        if not waiting:
            return {}
        priorities = sorted({row["priority"] for row in waiting})
        places = [row["seq"] for row in waiting]
        found = self._rows(
            "WITH lines AS MATERIALIZED ("
            "  SELECT value AS priority,"
            "    (SELECT sum(jobs) FROM job_counts WHERE state = 'queued' AND priority >= value)"
            "    - (SELECT count(*) FROM jobs WHERE state = 'queued' AND priority = value AND seq > ?1) AS last"
            f"  FROM ({' UNION ALL '.join(f'SELECT {int(priority)} AS value' for priority in priorities)}))"
            " SELECT uid, 1 + last - row_number() OVER (PARTITION BY priority ORDER BY seq DESC) AS position"
            " FROM lines CROSS JOIN jobs USING (priority) WHERE state = 'queued' AND seq BETWEEN ?2 AND ?1",
            (max(places), min(places)),
        )
        return {row["uid"]: row["position"] for row in found}

    def count(self, wanted: JobFilter = ALL_JOBS, before: str | None = None) -> int:
        """How many jobs there are that `newest` would list without a limit."""
        if not wanted.is_of_kept_counts:
            condition, values = self._condition(wanted, before)
            return int(self._rows(f"SELECT count(*) FROM jobs WHERE {condition}", values)[0][0])
        condition, values = wanted.condition()
        kept = f"SELECT ifnull(sum(jobs), 0) FROM job_counts WHERE {condition}"
        if before is None:
            return int(self._rows(kept, values)[0][0])
        # all but the newer ones, which are few where a listing begins
        newer = f"SELECT count(*) FROM jobs NOT INDEXED WHERE {condition} AND seq >= ?"
        place = self._existing(before, "seq")["seq"]
        return int(self._rows(f"SELECT ({kept}) - ({newer})", (*values, *values, place))[0][0])

    def count_by_state(self) -> dict[JobState, int]:
        """How many jobs there are in each state."""
        counts: dict[JobState, int] = dict.fromkeys(JOB_STATES, 0)
        for row in self._rows("SELECT state, sum(jobs) AS jobs FROM job_counts GROUP BY state"):
            counts[row["state"]] = row["jobs"]
        return counts

    def count_groups(self, groups: Collection[str], visible_to: str | None = None) -> list[GroupCounts]:
        """How many of the jobs that a user may see are in each state, for each of some groups that has any."""
        if not groups:
            return []
        condition, values = JobFilter(visible_to=visible_to).condition()
        rows = self._rows(
            f'SELECT "group", state, sum(jobs) AS jobs FROM group_counts WHERE "group" IN'
            f' ({", ".join("?" * len(groups))}) AND {condition} GROUP BY "group", state',
            (*groups, *values),
        )
        counts: dict[str, dict[str, int]] = {}
        for row in rows:
            counts.setdefault(row["group"], {})[row["state"]] = row["jobs"]
        return [GroupCounts(group=group, **states) for group, states in counts.items()]

    def _condition(self, wanted: JobFilter, before: str | None) -> tuple[str, list[object]]:
        condition, values = wanted.condition()
        if before is not None:
            condition += " AND seq < ?"
            values += self._existing(before, "seq")
        return condition, values
