"""The jobs by librdkafka, through confluent-kafka."""

import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

import jobs


class GroupConsumer:
    def __init__(self, bootstrap, topic, group, strategy):
        assignor = {"eager": "range", "cooperative": "cooperative-sticky"}.get(strategy)
        settings = {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": True,
        }
        if assignor:
            settings |= {
                "session.timeout.ms": 10000,
                "heartbeat.interval.ms": 300,
                "partition.assignment.strategy": assignor,
            }
        else:
            # An assignor of the server (KIP-848).
            settings |= {"group.protocol": "consumer", "group.remote.assignor": strategy}
        self.consumer = Consumer(settings)
        self.partitions = frozenset()
        self.consumer.subscribe([topic])

    def owned(self):
        return self.partitions

    def poll(self, seconds):
        message = self.consumer.poll(seconds)
        self.partitions = frozenset(p.partition for p in self.consumer.assignment())
        if message is None:
            return []
        assert not message.error(), message.error()
        return [(message.partition(), message.offset(), message.value())]

    def commit(self):
        try:
            self.consumer.commit(asynchronous=False)
        except KafkaException as error:
            return error.args[0].code() == KafkaError._NO_OFFSET
        return True

    def commit_and_close(self):
        self.partitions = frozenset()
        self.consumer.close()


class Client:
    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.admin = AdminClient({"bootstrap.servers": bootstrap})

    def create_topic(self, topic, partitions):
        for future in self.admin.create_topics([NewTopic(topic, partitions, 1)]).values():
            future.result()

    def grow_topic(self, topic, partitions):
        for future in self.admin.create_partitions([NewPartitions(topic, partitions)]).values():
            future.result()

    def delete_topic(self, topic):
        for future in self.admin.delete_topics([topic]).values():
            future.result()

    def topics(self):
        return self.admin.list_topics(timeout=10).topics

    def partitions(self, topic):
        found = self.topics().get(topic)
        return len(found.partitions) if found else 0

    def produce(self, topic, records, codec):
        errors = []
        producer = Producer({
            "bootstrap.servers": self.bootstrap,
            "compression.type": codec,
            "enable.idempotence": True,
            "message.max.bytes": 2_000_000,
            "linger.ms": 5,
        })
        for key, value, headers in records:
            producer.produce(topic, value, key, headers=headers, on_delivery=lambda e, m: e and errors.append(e))
        assert producer.flush(30) == 0, "not all records were delivered"
        assert not errors, errors

    def consume_all(self, topic, count):
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": jobs.unique("reader"),
                             "enable.auto.commit": False})
        consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        records, end = [], time.monotonic() + 30
        while len(records) < count and time.monotonic() < end:
            message = consumer.poll(1)
            if message is None:
                continue
            assert not message.error(), message.error()
            records.append((message.key(), message.value(), message.headers() or []))
        consumer.close()
        return records

    def group_consumer(self, topic, group, strategy):
        return GroupConsumer(self.bootstrap, topic, group, strategy)


if __name__ == "__main__":
    jobs.main(Client)
