from __future__ import annotations

from pathlib import Path

from services.contracts.topics import MESSAGE_BYTES_MAX
from services.runtime.embedded.kafka_config import java_command, server_properties, to_properties

SETTINGS = server_properties(Path("/data/kafka"), broker_port=19_092, controller_port=19_093)


def test_the_broker_listens_on_the_loopback_interface_only() -> None:
    addresses = [address for name in ("listeners", "advertised.listeners") for address in SETTINGS[name].split(",")]
    assert {address.split("://")[1].split(":")[0] for address in addresses} == {"127.0.0.1"}


def test_a_typo_in_a_topic_is_an_error_and_not_a_topic() -> None:
    assert SETTINGS["auto.create.topics.enable"] == "false"


def test_the_broker_takes_the_largest_message_that_the_contract_allows() -> None:
    assert int(SETTINGS["message.max.bytes"]) >= MESSAGE_BYTES_MAX


def test_properties_are_one_a_line() -> None:
    assert to_properties({"a": "1", "b.c": "x,y"}) == "a=1\nb.c=x,y\n"


def test_the_jvm_has_a_small_heap_and_exactly_the_given_jars() -> None:
    command = java_command(Path("/jre/bin/java"), [Path("/j/a.jar"), Path("/j/b.jar")], Path("/log.properties"))
    assert command[0] == "/jre/bin/java"
    assert "-Xmx256m" in command
    assert command[command.index("-cp") + 1] == "/j/a.jar:/j/b.jar"
