"""The jobs by kafka-python."""

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewPartitions, NewTopic
from kafka.errors import KafkaError

import jobs


class GroupConsumer:
    def __init__(self, bootstrap, topic, group, strategy):
        assert strategy == "eager", strategy
        self.consumer = KafkaConsumer(
            topic,
            bootstrap_servers=bootstrap,
            group_id=group,
            auto_offset_reset="earliest",
            session_timeout_ms=10000,
            heartbeat_interval_ms=300,
            # A member that leads its group assigns what its metadata says, and may have asked for it before all of a new
            # topic was known. By itself it would ask again after five minutes.
            metadata_max_age_ms=5000,
        )
        self.partitions = frozenset()

    def owned(self):
        return self.partitions

    def poll(self, seconds):
        batches = self.consumer.poll(timeout_ms=int(seconds * 1000))
        self.partitions = frozenset(p.partition for p in self.consumer.assignment())
        return [(r.partition, r.offset, r.value) for records in batches.values() for r in records]

    def commit(self):
        try:
            self.consumer.commit()
        except KafkaError:
            return False
        return True

    def commit_and_close(self):
        self.partitions = frozenset()
        self.commit()
        self.consumer.close()


class Client:
    # This library has no cooperative assignor that keeps partitions during a rebalance, and no consumer protocol.
    lacks = ("group-cooperative", "group-uniform", "group-range")

    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.admin = KafkaAdminClient(bootstrap_servers=bootstrap)

    def create_topic(self, topic, partitions):
        self.admin.create_topics([NewTopic(name=topic, num_partitions=partitions, replication_factor=1)])

    def grow_topic(self, topic, partitions):
        self.admin.create_partitions({topic: NewPartitions(total_count=partitions)})

    def delete_topic(self, topic):
        self.admin.delete_topics([topic])

    def topics(self):
        return self.admin.list_topics()

    def partitions(self, topic):
        if topic not in self.topics():
            return 0
        return len(self.admin.describe_topics([topic])[0]["partitions"])

    def produce(self, topic, records, codec):
        producer = KafkaProducer(
            bootstrap_servers=self.bootstrap,
            compression_type=None if codec == "none" else codec,
            acks="all",
            enable_idempotence=True,
            max_request_size=2_000_000,
            linger_ms=5,
        )
        futures = [producer.send(topic, value, key, headers=headers) for key, value, headers in records]
        producer.flush(30)
        for future in futures:
            future.get(30)
        producer.close()

    def consume_all(self, topic, count):
        consumer = KafkaConsumer(bootstrap_servers=self.bootstrap, consumer_timeout_ms=10000)
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        records = []
        while len(records) < count:
            batches = consumer.poll(timeout_ms=10000)
            if not batches:
                break
            for r in batches[partition]:
                records.append((r.key, r.value, list(r.headers)))
        consumer.close()
        return records

    def group_consumer(self, topic, group, strategy):
        return GroupConsumer(self.bootstrap, topic, group, strategy)


if __name__ == "__main__":
    jobs.main(Client)
