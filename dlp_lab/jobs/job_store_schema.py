"""Tables of the queue's database, as the steps that made them what they are.

`PRAGMA user_version` counts the steps that a file has taken. A step is never changed once it is released: a change of
the tables is a new step at the end.
"""

from __future__ import annotations

STEPS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE jobs (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            uid TEXT NOT NULL UNIQUE,
            task TEXT NOT NULL,
            input_dir TEXT NOT NULL,
            params TEXT NOT NULL,
            keep_hdf5 INTEGER NOT NULL,
            read TEXT NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
            submitted_at TEXT NOT NULL,
            progress REAL NOT NULL DEFAULT 0,
            message TEXT NOT NULL DEFAULT '',
            error_code TEXT,
            output_dir TEXT,
            warnings TEXT NOT NULL DEFAULT '[]',
            started_at TEXT,
            ended_at TEXT,
            attempts INTEGER NOT NULL DEFAULT 0,
            crashes INTEGER NOT NULL DEFAULT 0,
            cancel_requested INTEGER NOT NULL DEFAULT 0,
            revision INTEGER NOT NULL
        ) STRICT""",
        "CREATE INDEX jobs_by_state ON jobs (state, seq)",
        "CREATE INDEX jobs_by_revision ON jobs (revision)",
        "CREATE TABLE counter (revision INTEGER NOT NULL) STRICT",
        "INSERT INTO counter VALUES (0)",
    ),
    (
        "ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE jobs ADD COLUMN output_form TEXT NOT NULL DEFAULT 'series'",
        "ALTER TABLE jobs ADD COLUMN idempotency_key TEXT",
        "ALTER TABLE jobs ADD COLUMN request_sha256 TEXT",
        "CREATE UNIQUE INDEX jobs_by_key ON jobs (idempotency_key)",
        "DROP INDEX jobs_by_state",
        "CREATE INDEX jobs_by_turn ON jobs (state, priority DESC, seq)",
    ),
    (
        "ALTER TABLE jobs ADD COLUMN owner TEXT",
        # a key is its owner's: what another user sends by chance, or guesses, is another key
        "DROP INDEX jobs_by_key",
        "CREATE UNIQUE INDEX jobs_by_key ON jobs (idempotency_key, ifnull(owner, ''))",
        "CREATE INDEX jobs_by_owner ON jobs (owner, state)",
    ),
    # attempts that failed through no fault of the job, and the moment before which it is not tried again
    (
        "ALTER TABLE jobs ADD COLUMN hindrances INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE jobs ADD COLUMN not_before TEXT",
    ),
    # what a job is one of, such as a cohort
    (
        'ALTER TABLE jobs ADD COLUMN "group" TEXT',
        'CREATE INDEX jobs_by_group ON jobs ("group", seq)',
    ),
    # how many jobs there are, kept as they come, change and go, so that a listing of some looks at no others; an index
    # takes one NULL for another than the next, and an owner without a name is not nobody
    (
        "DROP INDEX jobs_by_owner",
        """CREATE TABLE job_counts (
            state TEXT NOT NULL, priority INTEGER NOT NULL, owner TEXT, jobs INTEGER NOT NULL CHECK (jobs >= 0)
        ) STRICT""",
        "CREATE UNIQUE INDEX job_counts_of ON job_counts (state, priority, owner IS NULL, ifnull(owner, ''))",
        """CREATE TABLE group_counts (
            "group" TEXT NOT NULL, state TEXT NOT NULL, owner TEXT, jobs INTEGER NOT NULL CHECK (jobs >= 0)
        ) STRICT""",
        "CREATE UNIQUE INDEX group_counts_of ON group_counts (\"group\", state, owner IS NULL, ifnull(owner, ''))",
        "INSERT INTO job_counts SELECT state, priority, owner, count(*) FROM jobs GROUP BY state, priority, owner",
        'INSERT INTO group_counts SELECT "group", state, owner, count(*) FROM jobs WHERE "group" IS NOT NULL'
        ' GROUP BY "group", state, owner',
        """CREATE TRIGGER job_comes AFTER INSERT ON jobs BEGIN
            INSERT INTO job_counts VALUES (new.state, new.priority, new.owner, 1)
                ON CONFLICT (state, priority, owner IS NULL, ifnull(owner, '')) DO UPDATE SET jobs = jobs + 1;
        END""",
        """CREATE TRIGGER job_changes AFTER UPDATE OF state, priority, owner ON jobs BEGIN
            UPDATE job_counts SET jobs = jobs - 1
                WHERE state = old.state AND priority = old.priority AND owner IS old.owner;
            INSERT INTO job_counts VALUES (new.state, new.priority, new.owner, 1)
                ON CONFLICT (state, priority, owner IS NULL, ifnull(owner, '')) DO UPDATE SET jobs = jobs + 1;
        END""",
        """CREATE TRIGGER job_goes AFTER DELETE ON jobs BEGIN
            UPDATE job_counts SET jobs = jobs - 1
                WHERE state = old.state AND priority = old.priority AND owner IS old.owner;
        END""",
        """CREATE TRIGGER job_of_group_comes AFTER INSERT ON jobs WHEN new."group" IS NOT NULL BEGIN
            INSERT INTO group_counts VALUES (new."group", new.state, new.owner, 1)
                ON CONFLICT ("group", state, owner IS NULL, ifnull(owner, '')) DO UPDATE SET jobs = jobs + 1;
        END""",
        """CREATE TRIGGER job_of_group_changes AFTER UPDATE OF state, owner ON jobs WHEN new."group" IS NOT NULL BEGIN
            UPDATE group_counts SET jobs = jobs - 1
                WHERE "group" = old."group" AND state = old.state AND owner IS old.owner;
            INSERT INTO group_counts VALUES (new."group", new.state, new.owner, 1)
                ON CONFLICT ("group", state, owner IS NULL, ifnull(owner, '')) DO UPDATE SET jobs = jobs + 1;
        END""",
        """CREATE TRIGGER job_of_group_goes AFTER DELETE ON jobs WHEN old."group" IS NOT NULL BEGIN
            UPDATE group_counts SET jobs = jobs - 1
                WHERE "group" = old."group" AND state = old.state AND owner IS old.owner;
            DELETE FROM group_counts WHERE "group" = old."group" AND jobs = 0;
        END""",
    ),
    # attempts during which the server ended without a word
    ("ALTER TABLE jobs ADD COLUMN server_stops INTEGER NOT NULL DEFAULT 0",),
)
SCHEMA_VERSION = len(STEPS)

MISCOUNTED = """
    SELECT 1 FROM (
        SELECT state, priority, owner, count(*) FROM jobs GROUP BY state, priority, owner
        EXCEPT SELECT * FROM job_counts)
    UNION ALL SELECT 1 FROM (
        SELECT "group", state, owner, count(*) FROM jobs WHERE "group" IS NOT NULL GROUP BY "group", state, owner
        EXCEPT SELECT * FROM group_counts)
    UNION ALL SELECT 1 WHERE
        (SELECT total(jobs) FROM job_counts) <> (SELECT count(*) FROM jobs)
        OR (SELECT total(jobs) FROM group_counts) <> (SELECT count(*) FROM jobs WHERE "group" IS NOT NULL)
    LIMIT 1"""
"""Has a row where jobs and counts do not agree, which SQLite cannot see."""
