from __future__ import annotations

import pytest

from noria.common.errors import UserError
from noria.serving.settings import Keys, Settings, is_loopback, refuse_open_door

GOOD = {
    "host": "127.0.0.1", "port": 0, "max_batch_size": 8, "batch_timeout": 0.01, "queue_size": 16, "timeout": 1.0,
    "max_texts": 16, "max_body": 1000, "follow": 1.0, "workers": 1,
}  # fmt: skip


def test_settings_that_contradict_each_other():
    Settings(**GOOD)
    with pytest.raises(UserError, match=r"stage\.max_texts=17 is more than stage\.queue_size=16"):
        Settings(**{**GOOD, "max_texts": 17})
    with pytest.raises(UserError, match=r"stage\.batch_timeout=1\.0"):
        Settings(**{**GOOD, "batch_timeout": 1.0})


@pytest.mark.parametrize("name", ["timeout", "follow"])
def test_a_time_without_an_end_is_refused(name):
    with pytest.raises(UserError, match=rf"stage\.{name} is a number of seconds, not inf"):
        Settings(**{**GOOD, name: float("inf")})


def test_keys_are_known_by_name():
    keys = Keys(" alice:one , bob:two:three,")
    assert keys and keys.client("Bearer one") == "alice" and keys.client("bearer  two:three") == "bob"
    for header in (None, "", "one", "Bearer", "Bearer ", "Bearer on", "Bearer one two", "Basic one", "Bearer \udce9"):
        assert keys.client(header) is None, header
    assert "one" not in repr(vars(keys)), "only digests are kept"
    assert not Keys(None) and not Keys(" , ")


@pytest.mark.parametrize("given", ["secret-key", "alice:", ":secret-key", "alice:secret-kéy"])
def test_what_is_no_list_of_keys(given):
    with pytest.raises(UserError, match="entry 2 is no name:key") as said:
        Keys(f"bob:fine,{given}")
    assert "secret" not in str(said.value), "a key is not shown, even a wrong one"


def test_a_name_that_the_store_could_not_keep():
    Keys("a" * 200 + ":x")
    with pytest.raises(UserError, match="the name of entry 1 has more than 200 characters"):
        Keys("a" * 201 + ":x")


@pytest.mark.parametrize(("given", "what"), [("a:x,a:y", "names"), ("a:x,b:x", "keys")])
def test_keys_that_come_twice(given, what):
    with pytest.raises(UserError, match=f"two of its {what} are the same"):
        Keys(given)


def test_only_this_machine_without_keys():
    for host in ("127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"):
        assert is_loopback(host)
        refuse_open_door(host, Keys(None))
    for host in ("0.0.0.0", "::", "10.0.0.1", "example.com", "localhost.example.com", ""):
        assert not is_loopback(host)
        with pytest.raises(UserError, match="NORIA_API_KEYS=name:key"):
            refuse_open_door(host, Keys(None))
        refuse_open_door(host, Keys("a:x"))
