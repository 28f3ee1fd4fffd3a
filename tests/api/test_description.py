"""Every route with everything its description allows: no failure of ours, and every refusal in one shape."""

from contextlib import closing
from dataclasses import replace

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings

from llmlora.api.app import create_app, create_server
from llmlora.api.context import Context
from llmlora.settings import read_settings
from llmlora.store.database import Database
from tests.api.app import NOBODY

# streams that do not end by themselves, and the route that takes the key away
NOT_WALKED = r"/events$|^/api/session$"
DOCUMENTED = (503, 507)  # ollama_unreachable, disk_full


@pytest.mark.parametrize("database_url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.trip)], indirect=True)
def test_no_request_breaks_the_server(database_url: str):
    settings = replace(read_settings(), database_url=database_url, ollama_address=NOBODY)
    with closing(Context(settings, Database(database_url))) as context:
        schema = schemathesis.openapi.from_dict(create_app(context).openapi()).exclude(path_regex=NOT_WALKED)
        key = {"authorization": f"Bearer {context.token.value}"}
        with TestClient(create_server(context), base_url="http://localhost", raise_server_exceptions=False) as client:
            for operation in schema.get_all_operations():
                walk(operation.ok(), client, key)


def walk(operation, client: TestClient, key: dict[str, str]) -> None:
    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy())
    def send(case) -> None:
        request = case.as_transport_kwargs(base_url="http://localhost")
        request["headers"] = {**request.get("headers", {}), **key}
        request = {NAMES[name]: value for name, value in request.items() if name in NAMES}
        response = client.request(**request)
        assert response.status_code < 500 or response.status_code in DOCUMENTED, (operation.label, response.text)
        if response.status_code >= 400:
            error = response.json()["error"]
            assert error["code"]
            assert error["message"]
            assert error["hint"]

    send()


# what `requests` calls its arguments, and what our client does
NAMES = {**{name: name for name in ("method", "url", "params", "headers", "json")}, "data": "content"}
