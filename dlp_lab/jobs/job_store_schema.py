"""Tables of the queue's database. `PRAGMA user_version` holds the version; a change of the tables raises it."""

from __future__ import annotations

SCHEMA_VERSION = 2

SCHEMA = (
    """CREATE TABLE jobs (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        uid TEXT NOT NULL UNIQUE,
        task TEXT NOT NULL,
        input_dir TEXT NOT NULL,
        params TEXT NOT NULL,
        keep_hdf5 INTEGER NOT NULL,
        read TEXT NOT NULL,
        output_form TEXT NOT NULL,
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
)

UPGRADES = {1: ("ALTER TABLE jobs ADD COLUMN output_form TEXT NOT NULL DEFAULT 'series'",)}
"""What makes the tables of a version those of the next."""
