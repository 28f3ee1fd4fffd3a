"""The secret: who may read it, and when it ends."""

import os
import threading

import pytest

from llmlora import token as module
from llmlora.token import Token


@pytest.fixture
def path(tmp_path):
    return tmp_path / "home" / "token"


@pytest.mark.parametrize("umask", [0, 0o077, 0o777], ids=oct)
def test_only_the_owner_may_read_it_whatever_the_umask(path, umask):
    before = os.umask(umask)
    try:
        Token(path).renew()
    finally:
        os.umask(before)

    assert path.stat().st_mode & 0o7777 == 0o600
    assert path.parent.stat().st_mode & 0o7777 == 0o700
    assert [left.name for left in path.parent.iterdir()] == ["token"]


def test_it_is_made_once_and_kept(path):
    made = Token(path).value

    assert Token(path).value == made
    assert len(made) == 43
    assert Token(path.with_name("other")).value != made


def test_of_many_who_make_it_at_once_one_wins(path):
    found: set[str] = set()
    together = threading.Barrier(8)

    def make() -> None:
        together.wait()
        found.add(Token(path).value)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == {Token(path).value}


def test_a_new_token_in_another_process_ends_the_old_one_here(path):
    here, elsewhere = Token(path), Token(path)
    old, old_cookie = here.value, here.cookie

    new = elsewhere.renew()

    assert here.accepts(new)
    assert here.accepts_cookie(elsewhere.cookie)
    assert not here.accepts(old)
    assert not here.accepts_cookie(old_cookie)


@pytest.mark.parametrize("content", ["", "\n", "short", "\xff" * 10])
def test_a_file_that_was_cut_off_lets_nobody_in(path, content):
    here = Token(path)
    here.renew()

    path.write_text(content, "latin-1")

    assert not here.accepts("")
    assert not here.accepts(content)
    assert here.accepts(path.read_text().strip())


def test_the_cookie_is_not_the_token(path):
    here = Token(path)

    assert not here.accepts(here.cookie)
    assert not here.accepts_cookie(here.value)


def test_failures_are_forgotten_after_a_while_and_counted_for_each_address(path, monkeypatch):
    here, now = Token(path), [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])

    assert [here.too_many_failures("a") for _ in range(module.FAILURES + 1)] == [False] * module.FAILURES + [True]
    assert not here.too_many_failures("b")
    now[0] = module.WINDOW_SECONDS + 1
    assert not here.too_many_failures("a")


def test_a_flood_of_addresses_takes_no_memory(path):
    here = Token(path)

    for number in range(module.ADDRESSES + 100):
        here.too_many_failures(str(number))

    assert len(here._failures) == module.ADDRESSES
