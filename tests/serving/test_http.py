"""One server and what it says to good and bad requests."""

from __future__ import annotations

import json
import re
import socket
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pyarrow.parquet as pq
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.configuration import set_hypothesis_home_dir
from schemathesis import GenerationMode

from noria.feedback.names import opened
from noria.feedback.store import Store

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="session")
def api(served, tmp_path_factory):
    set_hypothesis_home_dir(tmp_path_factory.mktemp("hypothesis"))
    return schemathesis.openapi.from_url(f"{served.url}/openapi.json")


def texts_of(reviews: Path, ids: list[str]) -> list[str]:
    import csv

    rows = list(csv.DictReader(reviews.open()))
    return [rows[int(name.rsplit(":", 1)[1]) - 1]["text"] for name in ids]


def predict(client: httpx.Client, text: object) -> dict:
    reply = client.post("/predict", json={"text": text})
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_it_says_what_evaluation_recorded(client, fitted, reviews):
    recorded = pq.read_table(fitted / "predictions.parquet").to_pylist()
    assert len(recorded) > 10
    texts = texts_of(reviews, [row["id"] for row in recorded])
    with ThreadPoolExecutor(8) as pool:  # so that requests meet in a batch
        one_by_one = list(pool.map(lambda text: predict(client, text)["predictions"][0], texts))
    parts = [texts[first : first + 50] for first in range(0, len(texts), 50)]
    at_once = [answer for part in parts for answer in predict(client, part)["predictions"]]
    for row, *answers in zip(recorded, one_by_one, at_once, strict=True):
        for answer in answers:
            assert answer["label"] == row["prediction"]
            assert list(answer["probabilities"].values()) == pytest.approx(row["probabilities"], abs=2e-6)
            assert not answer["truncated"]


def test_where_it_is_and_what_it_serves(served, client, fitted):
    said = served.said()
    assert f"Serving {fitted.name} at http://127.0.0.1:" in said and "feedback.db" in said
    assert f"curl {served.url}/predict" in said
    assert "texts: kept without what is found of e-mail addresses, web addresses," in said and "dates of birth" in said
    assert ("Names of people STAY in them: make names" if opened() is None else "and of names of people") in said
    assert client.get("/health").json() == {"status": "alive", "version": fitted.name}
    assert client.get("/ready").json() == {"status": "ready", "version": fitted.name}
    info = client.get("/info").json()
    assert info["version"] == fitted.name and info["labels"] == ["bad", "good"] and info["limits"]["texts"] == 64
    assert predict(client, "fun")["version"] == fitted.name


def test_a_text_that_is_too_long_is_cut_and_that_is_said(client):
    words = "fun " * 29  # with the first and the last token of the model 31
    short, exact, long = predict(client, ["fun", words + "fun", words + "fun fun"])["predictions"]
    assert (short["truncated"], exact["truncated"], long["truncated"]) == (False, False, True)
    assert long["probabilities"] == exact["probabilities"], "what is cut off does not count"


def test_texts_of_all_kinds(client):
    texts = ["x" * 20_000, "\u00ad", "\u202eright to left", "<script>alert(1)</script>", "a\tb\nc\r\n"]
    texts += ["“Ünïcode” \u65e5\u672c \U0001f3ac\U0001f3f4\u200d\u2620\ufe0f"]
    assert len(predict(client, texts)["predictions"]) == len(texts)


def test_a_text_on_which_a_pattern_could_try_for_years(client):
    """The server goes on while it is scrubbed, and it is kept."""
    text = ("+" + "1" * 60 + " ") * 2000
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(predict, client, [text, "+" + "1" * 60_000, "1 (1) " * 10_000])
        while not asked.done():
            assert client.get("/health").status_code == 200
        assert len(asked.result()["predictions"]) == 3


NOT_JSON = {
    "half": (b'{"text": "fun"', 400, "not JSON"),
    "nothing": (b"", 400, "not JSON"),
    "NaN": (b'{"text": NaN}', 400, "NaN is no JSON"),
    "Latin-1": ('{"text": "café"}'.encode("latin-1"), 400, "not UTF-8: byte 13"),
    "UTF-16": ('{"text": "fun"}'.encode("utf-16"), 400, "not UTF-8"),
    "BOM": ('{"text": "fun"}'.encode("utf-8-sig"), 400, "not JSON"),
    "deep": (b"[" * 200_000, 400, "nested too deeply"),
    "deep inside": (b'{"text": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400, "nested too deeply"),
    "digits": (b'{"text": ' + b"9" * 10_000 + b"}", 400, "not JSON: a number has 10,000 digits"),
    "some digits": (b'{"text": ' + b"9" * 401 + b"}", 422, "text must be a string"),
    "a huge exponent": (b'{"text": 1e999999999}', 422, "text must be a string"),
    "Infinity": (b'{"text": -Infinity}', 400, "-Infinity is no JSON"),
    "a key twice": (b'{"text": "fun", "text": "no fun"}', 400, 'the key "text" comes twice'),
    "many keys": (b"{" + b",".join(b'"%d": 1' % n for n in range(50_000)) + b"}", 422, "is no key"),
    "half a pair in a key": (b'{"\\ud83d": "fun"}', 422, '"\\ud83d" is no key'),
    "a list": (b"[]", 422, "must be an object"),
    "a string": (b'"fun"', 422, "must be an object"),
    "null": (b"null", 422, "must be an object"),
    "no text": (b"{}", 422, "text is missing"),
    "another key": (b'{"text": "fun", "model": "mine"}', 422, '"model" is no key'),
    "a number": (b'{"text": 3}', 422, "text must be a string"),
    "null for a text": (b'{"text": null}', 422, "text must be a string"),
    "an object": (b'{"text": {"text": "fun"}}', 422, "text must be a string"),
    "a list of lists": (b'{"text": ["fun", ["fun"]]}', 422, "text 2 must be a string"),
    "an empty text": (b'{"text": ""}', 422, "text is empty"),
    "a blank text": (b'{"text": ["fun", " \\n\\u2003"]}', 422, "text 2 is empty"),
    "no texts": (b'{"text": []}', 422, "empty list"),
    "many texts": (json.dumps({"text": ["fun"] * 65}).encode(), 422, "65 texts are too many"),
    "NUL": (b'{"text": "fun\\u0000"}', 422, "NUL"),
    "half a pair": (b'{"text": "fun \\ud83d"}', 422, "surrogate"),
    "long": (b'{"text": "' + b"x" * (1 << 20) + b'"}', 413, "1,048,576 bytes"),
}


@pytest.mark.parametrize("name", NOT_JSON)
def test_bad_bodies(name, client):
    body, status, said = NOT_JSON[name]
    reply = client.post("/predict", content=body, headers=JSON)
    assert (reply.status_code, reply.headers["content-type"]) == (status, "application/json")
    assert list(reply.json()) == ["error"] and said in reply.json()["error"]
    assert predict(client, "fun")["predictions"], "it goes on"


@pytest.mark.parametrize(
    "kind", [None, "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1", "☃".encode()]
)
def test_other_content_types(kind, client):
    reply = client.post("/predict", content=b'{"text": "fun"}', headers={} if kind is None else {"Content-Type": kind})
    assert reply.status_code == 415 and "application/json" in reply.json()["error"]
    zipped = client.post("/predict", content=b"\x1f\x8b", headers={**JSON, "Content-Encoding": "gzip"})
    assert zipped.status_code == 415 and "Content-Encoding" in zipped.json()["error"]


def test_a_long_body_in_pieces_is_not_read_to_its_end(client):
    def pieces():
        yield b'{"text": "'
        for _ in range(40):
            yield b"x" * 50_000

    assert client.post("/predict", content=pieces(), headers=JSON).status_code == 413


def test_no_http_at_all(served, client):
    place = urlsplit(served.url)
    with socket.create_connection((place.hostname, place.port), timeout=10) as raw:
        raw.sendall(b"\x16\x03\x01\x02\x00 hello\r\n\r\n")
        assert b" 400 " in raw.recv(1000)
    assert client.get("/health").status_code == 200


def test_a_head_is_what_a_get_is_without_its_body(client):
    for path in ("/", "/health", "/ready", "/info", "/metrics", "/openapi.json"):
        got, head = client.get(path), client.head(path)
        assert (head.status_code, head.content) == (200, b"") and got.content
        assert head.headers["content-type"] == got.headers["content-type"]
    assert client.head("/nothing").status_code == 404
    assert client.head("/predict").status_code == 405 and client.head("/predict").headers["allow"] == "POST"
    posted = client.post("/health")
    assert posted.status_code == 405 and posted.headers["allow"] == "GET, HEAD" and "POST" in posted.json()["error"]


def test_a_client_that_leaves_is_no_fault(served, client):
    place = urlsplit(served.url)
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    for path in (b"/predict", b"/feedback"):
        with socket.create_connection((place.hostname, place.port), timeout=10) as raw:
            raw.sendall(head.replace(b"/predict", path) + b'{"text": "f')
    for path in ("/predict", "/feedback"):
        counted = f'noria_requests_total{{route="{path}",status="499"}} 1.0'
        served.wait_for(lambda counted=counted: counted in client.get("/metrics").text)
    assert "Traceback" not in served.said() and "ClientDisconnect" not in served.said()


ODD = {
    "a host that is none": b"POST /predict HTTP/1.1\r\nHost: [a\r\nContent-Length: 2\r\n\r\n{}",
    "no host": b"GET /info HTTP/1.0\r\n\r\n",
    "a long length": b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: 99999999999999999\r\n\r\n{}",
    "a length of nines": b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n{}",
    "a path of bytes": b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "an escaped path": b"GET /%ff%00%d8 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a whole address": b"GET http://[::1/health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "WebSockets": b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "CONNECT": b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a method of its own": b"BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("name", ODD)
def test_odd_requests_are_no_fault(name, served, client):
    place = urlsplit(served.url)
    with socket.create_connection((place.hostname, place.port), timeout=10) as raw:
        raw.sendall(ODD[name])
        said = raw.recv(1000)
    assert re.match(rb"HTTP/1\.1 [24]", said), said
    assert client.get("/health").status_code == 200 and "Traceback" not in served.said()


def test_paths_and_methods_that_are_not_there(client):
    for path in ("/nothing", "/docs", "/redoc", "/predict/", "/..%2f..%2fetc/passwd"):
        reply = client.get(path)
        assert reply.status_code == 404 and "openapi.json" in reply.json()["error"]
    reply = client.get("/predict")
    assert reply.status_code == 405 and reply.headers["allow"] == "POST" and "GET" in reply.json()["error"]


def test_another_site_gets_nothing_out_of_a_browser(served, client):
    reply = client.options("/predict", headers={"Origin": "https://a.example", "Access-Control-Request-Method": "POST"})
    assert reply.status_code == 405 and not [name for name in reply.headers if name.startswith("access-control")]
    aimed = client.post("/predict", json={"text": "fun"}, headers={"Host": "a.example"})
    assert aimed.status_code == 403, "a name of its own that leads here"


def test_feedback(served, client):
    good, other = predict(client, ["superb acting", "no fun"])["predictions"]

    def say(**body: object) -> tuple[int, dict]:
        reply = client.post("/feedback", json=body)
        return reply.status_code, reply.json()

    assert say(id=good["id"], verdict="right") == (200, {"id": good["id"], "new": True})
    assert say(id=good["id"], verdict="right") == (200, {"id": good["id"], "new": False})
    assert say(id=other["id"], verdict="wrong")[1]["new"]
    assert not say(id=good["id"], label=good["label"])[1]["new"], "the label it has is the same as right"
    assert say(id=good["id"], label={"good": "bad", "bad": "good"}[good["label"]])[1]["new"], "a second thought"
    status, said = say(id=good["id"], label="superb")
    assert status == 422 and "bad, good" in said["error"]
    status, said = say(id="0" * 32, verdict="right")
    assert status == 404 and "no prediction" in said["error"]
    for body in (
        {"id": good["id"]}, {"verdict": "right"}, {"id": good["id"], "verdict": "fine"}, {"id": 3, "verdict": "right"},
        {"id": good["id"], "verdict": "right", "label": "good"}, {"id": "x' OR 1=1", "verdict": "right"},
        {"id": good["id"], "label": None}, {"id": good["id"], "label": ["good"]}, {"id": good["id"], "label": {}},
    ):  # fmt: skip
        assert say(**body)[0] == 422, body

    store = Store(re.search(r"feedback: (sqlite:///\S+)", served.said())[1])
    kept = {row.id: row for row in store.predictions()}
    said_of = {row.prediction.id: row for row in store.corrections()}
    store.close()
    row = kept[good["id"]]
    assert (row.request, row.version) == ({"text": "superb acting"}, client.get("/info").json()["version"])
    assert row.answer == {name: good[name] for name in ("label", "probabilities")} and row.latency_ms > 0
    for one in (good, other):
        assert said_of[one["id"]].correction not in (None, one["label"])


def test_wrong_alone_will_do_of_three_labels(three):
    with three.client() as client:
        assert client.get("/info").json()["labels"] == ["bad", "fair", "good"]
        [answer] = predict(client, "superb acting")["predictions"]

        def say(**body: object) -> bool:
            reply = client.post("/feedback", json={"id": answer["id"], **body})
            assert reply.status_code == 200 and reply.json()["id"] == answer["id"], reply.text
            return reply.json()["new"]

        def kept() -> tuple[str | None, bool]:
            store = Store(re.search(r"feedback: (sqlite:///\S+)", three.said())[1])
            [said] = [row for row in store.corrections() if row.prediction.id == answer["id"]]
            store.close()
            return said.correction, said.correct

        def counted() -> float:
            found = re.search(r'noria_feedback_total\{correct="false"\} (\S+)', client.get("/metrics").text)
            return float(found[1]) if found else 0.0

        before = counted()
        assert say(verdict="wrong") and not say(verdict="wrong")
        assert kept() == (None, False) and counted() == before + 1
        another = "fair" if answer["label"] != "fair" else "bad"
        assert say(label=another), "which one it is may be said later"
        assert kept() == (another, False)
        assert say(verdict="wrong") and kept() == (None, False), "the newest word counts"
        assert say(verdict="right") and kept() == (None, True)


def test_a_store_that_fails(served, client):
    """What cannot be kept is not acknowledged, and the server goes on."""
    answer = predict(client, "fun")["predictions"][0]

    def rename(before: str, after: str) -> None:
        with closing(sqlite3.connect(re.search(r"sqlite:///(\S+)", served.said())[1])) as database:
            database.execute(f"ALTER TABLE {before} RENAME TO {after}")

    rename("predictions", "elsewhere")
    try:
        asked = client.post("/predict", json={"text": "fun"})
        said = client.post("/feedback", json={"id": answer["id"], "verdict": "right"})
    finally:
        rename("elsewhere", "predictions")
    for reply in (asked, said):
        assert reply.status_code == 503 and "store" in reply.json()["error"] and reply.headers["retry-after"]
    assert client.post("/feedback", json={"id": answer["id"], "verdict": "right"}).json()["new"]


def test_metrics(client):
    predict(client, ["fun", "stale", "fine"])
    client.get("/somewhere")
    client.get("/somewhere/else")
    text = client.get("/metrics").text
    assert re.search(r'noria_requests_total\{route="/predict",status="200"\} \d', text)
    assert re.search(r'noria_requests_total\{route="other",status="404"\} \d', text) and "somewhere" not in text
    assert re.search(r'noria_request_seconds_bucket\{le="0.1",route="/predict"\} \d', text)
    assert "noria_queue_texts 0.0" in text and re.search(r"noria_batch_texts_sum \d", text)
    assert re.search(r'noria_version\{version="[^"]+"\} 1.0', text) and "noria_version_swaps_total 0.0" in text


def test_the_document_names_every_body_and_status(client):
    document = client.get("/openapi.json").json()
    assert set(document["paths"]) == {"/", "/predict", "/feedback", "/health", "/ready", "/info", "/metrics"}
    operation = document["paths"]["/predict"]["post"]
    assert set(operation["responses"]) == {*map(str, (200, 400, 403, 408, 413, 415, 422, 429, 500, 503, 504))}
    text = operation["requestBody"]["content"]["application/json"]["schema"]["properties"]["text"]
    assert text["oneOf"][1]["maxItems"] == 64
    assert "404" in document["paths"]["/feedback"]["post"]["responses"]


POSTED, READ = ("/predict", "/feedback"), ("/info", "/health", "/ready", "/metrics", "/")
CASES = [(path, "POST", mode) for path in POSTED for mode in GenerationMode]
CASES += [(path, "GET", GenerationMode.POSITIVE) for path in READ]  # nothing to get wrong in them


@pytest.mark.parametrize(("path", "method", "mode"), CASES)
def test_it_keeps_to_its_document(path, method, mode, api):
    """Requests that fit the document are answered, others are refused, and all answers are as it says."""

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(api[path][method].as_strategy(generation_mode=mode))
    def holds(case):
        case.call_and_validate()

    holds()
