from __future__ import annotations

from pathlib import Path

import pytest

from services.runtime.embedded.jars import Jar, JarsError, classpath, format_lock, locked_jars, missing_jars, parse_lock

_JAR = Jar(
    "org.example", "thing", "1.2", 5, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
)  # "hello"


@pytest.fixture
def lock_of_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache folder, with a lock file that wants one jar whose content is `hello`."""
    lock = tmp_path / "lock"
    lock.write_text(format_lock([_JAR]))
    monkeypatch.setattr("services.runtime.embedded.jars.LOCK_PATH", lock)
    return tmp_path / "cache"


def _put(cache: Path, content: str) -> Path:
    path = cache / "maven/org/example/thing/1.2/thing-1.2.jar"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    return path


def test_a_lock_reads_back_as_it_was_written() -> None:
    assert parse_lock(format_lock([_JAR])) == (_JAR,)


def test_the_committed_lock_names_the_broker_and_each_jar_once() -> None:
    coordinates = [(jar.group, jar.artifact) for jar in locked_jars()]
    assert ("org.apache.kafka", "kafka_2.13") in coordinates
    assert len(coordinates) == len(set(coordinates))


def test_all_parts_of_the_broker_are_of_one_version() -> None:
    assert len({jar.version for jar in locked_jars() if jar.group == "org.apache.kafka"}) == 1


def test_a_jar_that_is_there_and_right_is_on_the_class_path(lock_of_one: Path) -> None:
    path = _put(lock_of_one, "hello")
    assert missing_jars(lock_of_one) == ()
    assert classpath(lock_of_one) == (path,)


def test_a_missing_jar_is_said_with_what_to_do(lock_of_one: Path) -> None:
    assert missing_jars(lock_of_one) == (_JAR,)
    with pytest.raises(JarsError, match="setup"):
        classpath(lock_of_one)


def test_half_of_a_jar_counts_as_missing(lock_of_one: Path) -> None:
    _put(lock_of_one, "hel")
    assert missing_jars(lock_of_one) == (_JAR,)


def test_a_jar_with_another_content_is_removed_and_never_run(lock_of_one: Path) -> None:
    path = _put(lock_of_one, "jello")
    with pytest.raises(JarsError, match=r"org\.example:thing:1\.2"):
        classpath(lock_of_one)
    assert not path.exists()
