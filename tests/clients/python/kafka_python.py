"""The adapter of kafka-python: kafka_python.py BOOTSTRAP"""

import logging
import sys
import time

import kafka
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.errors import (
    InvalidConfigurationError, InvalidProducerEpochError, KafkaError, NonEmptyGroupError, ProducerFencedError,
    TopicAlreadyExistsError, UnknownTopicOrPartitionError,
)
from kafka.structs import OffsetAndMetadata

from adapter import record_out, records_in, serve

PATIENCE = 60
ASSIGNORS = {"eager": RangePartitionAssignor, "cooperative": CooperativeStickyAssignor}
KINDS = {
    ProducerFencedError: "fenced",
    InvalidProducerEpochError: "fenced",
    TopicAlreadyExistsError: "exists",
    UnknownTopicOrPartitionError: "unknown_topic",
    InvalidConfigurationError: "invalid_config",
    NonEmptyGroupError: "not_empty",
}
LACKS = {
    "null-headers": "takes no null as a header's value",
    "null-records": "takes no record without key and value",
    "group-uniform": "no consumer protocol (KIP-848)",
    "group-range": "no consumer protocol (KIP-848)",
}


def partition_of(command):
    return TopicPartition(command["topic"], command["partition"])


def received(record):
    return record_out(record.partition, record.offset, record.timestamp, record.key, record.value, record.headers)


def all_received(batches):
    return [received(record) for records in batches.values() for record in records]


class Client:
    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.admin = KafkaAdminClient(bootstrap_servers=bootstrap)
        self.member = None
        self.transactional = None

    def hello(self, c):
        return {"client": "kafka-python", "version": kafka.__version__, "lacks": LACKS}

    def create_topic(self, c):
        self.admin.create_topics({c["topic"]: {
            "num_partitions": c["partitions"], "replication_factor": 1, "configs": c["configs"]}})

    def grow_topic(self, c):
        self.admin.create_partitions({c["topic"]: c["partitions"]})

    def delete_topic(self, c):
        self.admin.delete_topics([c["topic"]])

    def partitions(self, c):
        # All topics are asked for: to ask for one by its name may create it.
        found = [topic for topic in self.admin.describe_topics() if topic["name"] == c["topic"]]
        return {"partitions": len(found[0]["partitions"]) if found else 0}

    def send_all(self, producer, c):
        futures = [
            producer.send(c["topic"], value, key, headers, c["partition"], timestamp)
            for key, value, headers, timestamp in records_in(c)
        ]
        producer.flush(PATIENCE)
        for future in futures:
            future.get(PATIENCE)

    def produce(self, c):
        producer = KafkaProducer(
            bootstrap_servers=self.bootstrap, acks="all", compression_type=None if c["codec"] == "none" else c["codec"],
            enable_idempotence=c["idempotent"], max_request_size=2_000_000, linger_ms=5)
        self.send_all(producer, c)
        producer.close()

    def fetch(self, c):
        consumer = KafkaConsumer(
            bootstrap_servers=self.bootstrap,
            isolation_level="read_committed" if c["committed"] else "read_uncommitted")
        consumer.assign([partition_of(c)])
        consumer.seek(partition_of(c), c["offset"])
        records, end = [], time.monotonic() + c["ms"] / 1000
        while len(records) < c["count"] and time.monotonic() < end:
            batches = consumer.poll(timeout_ms=200, max_records=c["count"] - len(records))
            records += all_received(batches)
            if batches:
                end = time.monotonic() + c["ms"] / 1000
        consumer.close()
        return {"records": records}

    def offset(self, c, spec):
        return self.admin.list_partition_offsets({partition_of(c): spec})[partition_of(c)].offset

    def offsets(self, c):
        at = -1 if c["timestamp"] is None else self.offset(c, c["timestamp"])
        return {
            "earliest": self.offset(c, OffsetSpec.EARLIEST),
            "latest": self.offset(c, OffsetSpec.LATEST),
            "at": None if at == -1 else at,
        }

    def subscribe(self, c):
        self.member = KafkaConsumer(
            c["topic"], bootstrap_servers=self.bootstrap, group_id=c["group"], group_instance_id=c["instance"],
            partition_assignment_strategy=[ASSIGNORS[c["strategy"]]], auto_offset_reset="earliest",
            enable_auto_commit=False, session_timeout_ms=10000, heartbeat_interval_ms=300)
        # A member that joins before it knows the topic joins again when it does, if it leads the group. When a poll ends amid
        # that second time, the library takes the join for done and drops its outcome: the member has no partitions and sends
        # no heartbeats for the rest of its life. The topic is there before, so to know it first is all it takes.
        end = time.monotonic() + PATIENCE
        while not self.member.partitions_for_topic(c["topic"]):
            if time.monotonic() > end:
                raise RuntimeError(f"{c['topic']} is not known")

    def poll(self, c):
        records = all_received(self.member.poll(timeout_ms=c["ms"]))
        return {"records": records, "assigned": [partition.partition for partition in self.member.assignment()]}

    def commit(self, c):
        try:
            self.member.commit()
        except KafkaError as error:
            print(f"no commit: {error!r}", file=sys.stderr)
            return {"committed": False}
        return {"committed": True}

    def leave(self, c):
        self.commit(c)
        self.member.close()
        self.member = None

    def committed(self, c):
        found = self.admin.list_group_offsets({c["group"]: [partition_of(c)]})[c["group"]].get(partition_of(c))
        return {"offset": found.offset if found and found.offset >= 0 else None}

    def list_groups(self, c):
        return {"groups": [group["group_id"] for group in self.admin.list_groups()]}

    def describe_group(self, c):
        group = self.admin.describe_groups([c["group"]])[c["group"]]
        return {"state": group["group_state"], "members": len(group["members"])}

    def delete_group(self, c):
        # The library gives the name of an error's class instead of raising it.
        result = self.admin.delete_groups([c["group"]])[c["group"]]
        if result != "OK":
            raise getattr(kafka.errors, result)()

    def describe_config(self, c):
        resource = ConfigResource(ConfigResourceType.TOPIC, c["topic"])
        found = self.admin.describe_configs([resource], config_filter="all")["topic"][c["topic"]]
        return {"value": found[c["name"]]["value"]}

    def alter_config(self, c):
        resource = ConfigResource(ConfigResourceType.TOPIC, c["topic"], {c["name"]: c["value"]})
        # As above: words instead of an exception.
        result = self.admin.alter_configs([resource])["topic"][c["topic"]]
        if result != "OK":
            raise RuntimeError(result)

    def delete_records(self, c):
        self.admin.delete_records({partition_of(c): c["offset"]})

    def init_transactions(self, c):
        if self.transactional:
            self.transactional.close(0)
        self.transactional = KafkaProducer(
            bootstrap_servers=self.bootstrap, transactional_id=c["transactional_id"], linger_ms=5)
        self.transactional.init_transactions()

    def begin(self, c):
        self.transactional.begin_transaction()

    def send(self, c):
        self.send_all(self.transactional, c)

    def send_offsets(self, c):
        self.transactional.send_offsets_to_transaction(
            {partition_of(c): OffsetAndMetadata(c["offset"], "", -1)}, c["group"])

    def end(self, c):
        if c["commit"]:
            self.transactional.commit_transaction()
        else:
            self.transactional.abort_transaction()

    def close(self):
        if self.member:
            self.member.close()
        if self.transactional:
            self.transactional.close(0)
        self.admin.close()


def kind_of(error):
    return KINDS.get(type(error))


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    serve(Client(sys.argv[1]), kind_of)
