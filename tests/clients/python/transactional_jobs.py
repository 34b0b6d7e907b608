"""Transactions by librdkafka, through confluent-kafka: transactional_jobs.py BOOTSTRAP"""

import sys
import time

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

PATIENCE = 30


def producer(bootstrap, transactional_id):
    made = Producer({"bootstrap.servers": bootstrap, "transactional.id": transactional_id})
    made.init_transactions(PATIENCE)
    return made


def consumer(bootstrap, group, isolation):
    return Consumer({
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "isolation.level": isolation,
        "enable.auto.commit": False,
        "topic.metadata.refresh.interval.ms": 500,
    })


def read(bootstrap, topic, isolation, count):
    reader = consumer(bootstrap, f"{topic}-{isolation}", isolation)
    reader.subscribe([topic])
    values = []
    deadline = time.monotonic() + PATIENCE
    while len(values) < count and time.monotonic() < deadline:
        values += [message.value().decode() for message in reader.consume(100, 0.2)]
    reader.close()
    return sorted(values)


def commit_and_abort(bootstrap, topic):
    committed, flushed = [], []
    writer = producer(bootstrap, "python")
    for round_number in range(9):
        writer.begin_transaction()
        values = [f"{round_number}-{number}" for number in range(20)]
        for value in values:
            writer.produce(topic, value, key=value)
        writer.flush(PATIENCE)
        flushed += values
        if round_number % 3 == 1:
            writer.abort_transaction(PATIENCE)
        else:
            writer.commit_transaction(PATIENCE)
            committed += values
    assert read(bootstrap, topic, "read_committed", len(committed)) == sorted(committed)
    assert read(bootstrap, topic, "read_uncommitted", len(flushed)) == sorted(flushed)
    return committed


def copy(bootstrap, source, target, wanted):
    reader = consumer(bootstrap, "python-copier", "read_committed")
    reader.subscribe([source])
    writer = producer(bootstrap, "python-copier")
    copied = 0
    deadline = time.monotonic() + PATIENCE
    while copied < len(wanted):
        assert time.monotonic() < deadline, f"{copied} of {len(wanted)} copied"
        messages = reader.consume(30, 0.5)
        if not messages:
            continue
        writer.begin_transaction()
        for message in messages:
            writer.produce(target, message.value(), message.key())
        writer.send_offsets_to_transaction(
            reader.position(reader.assignment()), reader.consumer_group_metadata(), PATIENCE)
        writer.commit_transaction(PATIENCE)
        copied += len(messages)
    offsets = sum(partition.offset for partition in reader.committed(reader.assignment(), PATIENCE))
    assert offsets >= len(wanted), offsets
    reader.close()
    assert read(bootstrap, target, "read_committed", len(wanted)) == sorted(wanted)


def zombie(bootstrap, topic):
    old = producer(bootstrap, "python-zombie")
    old.begin_transaction()
    old.produce(topic, "zombie")
    old.flush(PATIENCE)
    new = producer(bootstrap, "python-zombie")
    try:
        old.commit_transaction(PATIENCE)
        raise AssertionError("the zombie is not fenced")
    except KafkaException as error:
        assert error.args[0].fatal(), error
    new.begin_transaction()
    new.produce(topic, "successor")
    new.commit_transaction(PATIENCE)
    assert read(bootstrap, topic, "read_committed", 1) == ["successor"]


def main(bootstrap):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    topics = [NewTopic(name, 2, 1) for name in ("python-source", "python-target", "python-zombie")]
    for created in admin.create_topics(topics).values():
        created.result(PATIENCE)
    committed = commit_and_abort(bootstrap, "python-source")
    copy(bootstrap, "python-source", "python-target", committed)
    zombie(bootstrap, "python-zombie")


if __name__ == "__main__":
    main(sys.argv[1])
