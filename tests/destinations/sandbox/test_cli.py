"""`tailrace sandbox serve|calls|profile`."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys

from click.testing import CliRunner

from orchestration.cli.sandbox import sandbox

SERVE = "from orchestration.cli.sandbox import sandbox; sandbox()"


def test_calls_and_profile_print_json_and_tables(client) -> None:
    client.update(email="ada@example.com", dataFields={"note": "[bold]not markup[/bold]"})
    client.track(email="ada@example.com", eventName="Came", id="e1")
    state = ["--state", str(client.state)]
    run = CliRunner().invoke
    found = json.loads(run(sandbox, ["calls", "--limit", "1", "--json", *state]).stdout)
    assert [call["path"] for call in found["calls"]] == ["/api/events/track"]
    found = json.loads(run(sandbox, ["profile", "ada@example.com", "--json", *state]).stdout)
    assert found["profile"]["dataFields"]["note"] == "[bold]not markup[/bold]"
    assert [event["id"] for event in found["events"]] == ["e1"]
    shown = run(sandbox, ["profile", "ada@example.com", *state])
    assert shown.exit_code == 0
    assert "[bold]not markup[/bold]" in shown.stdout
    assert "Came" in shown.stdout
    assert "/api/users/update" in run(sandbox, ["calls", *state]).stdout
    assert "no profile" in run(sandbox, ["profile", "nobody", *state]).stdout


def test_state_is_in_the_state_directory(client, monkeypatch) -> None:
    monkeypatch.setenv("TAILRACE_STATE_DIR", str(client.state.parent))
    assert json.loads(CliRunner().invoke(sandbox, ["calls", "--json"]).stdout) == {"calls": []}


def test_serve_says_where_and_stops_when_interrupted(tmp_path) -> None:
    state = tmp_path / "made" / "s.sqlite"
    command = [sys.executable, "-c", SERVE, "serve", "--port", "0", "--json"]
    with subprocess.Popen(
        [*command, "--state", str(state), "--api-key", "k"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
        body = b'{"email":"ada@example.com"}'
        connection.request("POST", "/api/users/update", body, {"Api-Key": "k"})
        assert connection.getresponse().status == 200
        connection.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
    assert state.exists()
