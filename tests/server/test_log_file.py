from __future__ import annotations

import logging
import stat
from pathlib import Path

import pytest

from dlp_lab.errors import PathRefused
from dlp_lab.server.log_file import write_log_to


def test_what_a_client_sends_cannot_look_like_a_line_of_the_log(tmp_path: Path) -> None:
    logger = logging.getLogger("test-log-file")
    write_log_to(tmp_path / "debug.log", [logger], logging.INFO)
    write_log_to(tmp_path / "debug.log", [logger], logging.INFO)
    logger.warning("asked for %s", "x\r\n2024-01-02 ERROR FORGED\x1b[2J\x85\u2028\x00\ud800")
    logger.debug("not noted")
    text = (tmp_path / "debug.log").read_text()
    first, second = text.splitlines()
    assert first.endswith("WARNING test-log-file asked for x\\r")
    assert second == "    2024-01-02 ERROR FORGED\\x1b[2J\\x85\\u2028\\x00\\ud800"
    assert stat.S_IMODE((tmp_path / "debug.log").stat().st_mode) == 0o600


def test_a_log_file_that_cannot_be_written_is_refused_with_the_name_of_the_option(tmp_path: Path) -> None:
    with pytest.raises(PathRefused, match="--log-file"):
        write_log_to(tmp_path / "absent" / "x.log", [], logging.INFO)
