"""schemathesis reads the OpenAPI document and asks a real server, for each method, what it allows and what it does not.

It looks for 500s, statuses and headers that the document does not name, and bodies that are not as it says.
"""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from dlp_lab.server.extension import ROUTES
from dlp_lab.server.openapi import openapi
from tests.patience import PATIENCE_S
from tests.server.test_standalone import Backend, backend  # noqa: F401

_EXAMPLES = 10
OPERATIONS = [(path, verb) for path, verbs in openapi(ROUTES, "/")["paths"].items() for verb in verbs]


@pytest.fixture(scope="module")
def document(backend: Backend) -> Any:  # noqa: F811
    """As the server gives it out."""
    assert backend.ask("dlp-lab/api/v1/jobs", {"task": "3dblur", "input_dir": "dicom_data"})[0] == 201
    return schemathesis.openapi.from_url(
        f"{backend.address}dlp-lab/api/v1/openapi.json", headers={"Authorization": f"token {backend.token}"}
    )


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize(("path", "verb"), OPERATIONS)
def test_the_server_keeps_to_its_document(
    document: Any,
    backend: Backend,  # noqa: F811
    path: str,
    verb: str,
    mode: GenerationMode,
) -> None:
    if mode is GenerationMode.NEGATIVE and not document[path][verb].definition.raw["parameters"]:
        return  # there is nothing to be wrong about

    @settings(
        max_examples=_EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=document[path][verb].as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        answer = case.call(headers={"Authorization": f"token {backend.token}"}, timeout=PATIENCE_S)
        if answer.status_code == 400 and not answer.content:
            return  # no HTTP to the web server, before any route is asked
        # whether a folder exists is not a matter of the schema: 422 is an answer to what is well-formed, 400 is not
        case.validate_response(answer, excluded_checks=[positive_data_acceptance])
        if mode is GenerationMode.POSITIVE and "got `float`" not in answer.text:  # 1.0 is a whole number to JSON alone
            assert answer.status_code != 400, answer.text

    ask()
