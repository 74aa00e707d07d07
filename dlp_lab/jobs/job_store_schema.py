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
    # attempts during which the server ended without a word
    ("ALTER TABLE jobs ADD COLUMN server_stops INTEGER NOT NULL DEFAULT 0",),
)
SCHEMA_VERSION = len(STEPS)
