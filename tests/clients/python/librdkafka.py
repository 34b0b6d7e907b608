"""The adapter of confluent-kafka, which is librdkafka for Python: librdkafka.py BOOTSTRAP"""

import sys
import time
import uuid

import confluent_kafka
from confluent_kafka import (
    Consumer, ConsumerGroupTopicPartitions, IsolationLevel, KafkaError, KafkaException, Producer, TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, OffsetSpec, ResourceType,
)

from adapter import record_out, records_in, serve

PATIENCE = 60
KINDS = {
    KafkaError._FENCED: "fenced",
    KafkaError.INVALID_PRODUCER_EPOCH: "fenced",
    KafkaError.PRODUCER_FENCED: "fenced",
    KafkaError.TOPIC_ALREADY_EXISTS: "exists",
    KafkaError.UNKNOWN_TOPIC_OR_PART: "unknown_topic",
    KafkaError._UNKNOWN_TOPIC: "unknown_topic",
    KafkaError.INVALID_CONFIG: "invalid_config",
    KafkaError.NON_EMPTY_GROUP: "not_empty",
}


def done(futures):
    """The only result of a call for one thing."""
    (future,) = futures.values()
    return future.result(PATIENCE)


def received(message):
    _, timestamp = message.timestamp()
    return record_out(message.partition(), message.offset(), timestamp, message.key(), message.value(),
                      message.headers() or [])


def checked(message):
    if message.error():
        raise KafkaException(message.error())
    return message


class Client:
    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.admin = AdminClient(self.settings())
        self.member = None
        self.transactional = None

    def settings(self, **more):
        return {"bootstrap.servers": self.bootstrap} | {name.replace("_", "."): value for name, value in more.items()}

    def hello(self, command):
        version = f"{confluent_kafka.__version__} on librdkafka {confluent_kafka.libversion()[0]}"
        return {"client": "confluent-kafka (Python)", "version": version, "lacks": {}}

    def create_topic(self, c):
        done(self.admin.create_topics([NewTopic(c["topic"], c["partitions"], 1, config=c["configs"])]))

    def grow_topic(self, c):
        done(self.admin.create_partitions([NewPartitions(c["topic"], c["partitions"])]))

    def delete_topic(self, c):
        done(self.admin.delete_topics([c["topic"]]))

    def partitions(self, c):
        # All topics are asked for: to ask for one by its name may create it.
        found = self.admin.list_topics(timeout=PATIENCE).topics.get(c["topic"])
        return {"partitions": len(found.partitions) if found else 0}

    def send_all(self, producer, c):
        failed = []
        place = {} if c["partition"] is None else {"partition": c["partition"]}
        for key, value, headers, timestamp in records_in(c):
            producer.produce(c["topic"], value, key, headers=headers, timestamp=timestamp or 0,
                             on_delivery=lambda error, _: failed.append(error) if error else None, **place)
        if producer.flush(PATIENCE):
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "not all records were acknowledged"))
        if failed:
            raise KafkaException(failed[0])

    def produce(self, c):
        producer = Producer(self.settings(
            compression_type=c["codec"], enable_idempotence=c["idempotent"], acks="all", linger_ms=5,
            message_max_bytes=2_000_000))
        self.send_all(producer, c)

    def fetch(self, c):
        consumer = Consumer(self.settings(
            group_id=f"reader-{uuid.uuid4()}", enable_auto_commit=False,
            isolation_level="read_committed" if c["committed"] else "read_uncommitted"))
        consumer.assign([TopicPartition(c["topic"], c["partition"], c["offset"])])
        records, end = [], time.monotonic() + c["ms"] / 1000
        while len(records) < c["count"] and (left := end - time.monotonic()) > 0:
            batch = consumer.consume(c["count"] - len(records), min(left, 0.2))
            records += [received(checked(message)) for message in batch]
            if batch:
                end = time.monotonic() + c["ms"] / 1000
        consumer.close()
        return {"records": records}

    def offset(self, c, spec, **options):
        return done(self.admin.list_offsets({TopicPartition(c["topic"], c["partition"]): spec}, **options)).offset

    def offsets(self, c):
        at = None
        if c["timestamp"] is not None:
            at = self.offset(c, OffsetSpec.for_timestamp(c["timestamp"]))
        return {
            "earliest": self.offset(c, OffsetSpec.earliest()),
            "latest": self.offset(c, OffsetSpec.latest(), isolation_level=IsolationLevel.READ_UNCOMMITTED),
            "at": None if at == -1 else at,
        }

    def subscribe(self, c):
        settings = self.settings(group_id=c["group"], auto_offset_reset="earliest", enable_auto_commit=False)
        if c["instance"]:
            settings["group.instance.id"] = c["instance"]
        assignor = {"eager": "range", "cooperative": "cooperative-sticky"}.get(c["strategy"])
        if assignor:
            settings |= {"partition.assignment.strategy": assignor, "session.timeout.ms": 10000,
                         "heartbeat.interval.ms": 300}
        else:
            # The server tells a member of this protocol how often it wants to hear of it.
            settings |= {"group.protocol": "consumer", "group.remote.assignor": c["strategy"]}
        self.member = Consumer(settings)
        self.member.subscribe([c["topic"]])

    def poll(self, c):
        messages = [checked(message) for message in self.member.consume(500, c["ms"] / 1000)]
        owned = [partition.partition for partition in self.member.assignment()]
        return {"records": [received(message) for message in messages], "assigned": owned}

    def commit(self, c):
        try:
            self.member.commit(asynchronous=False)
        except KafkaException as error:
            if error.args[0].code() != KafkaError._NO_OFFSET:
                return {"committed": False}
        return {"committed": True}

    def leave(self, c):
        self.commit(c)
        self.member.close()
        self.member = None

    def committed(self, c):
        wanted = ConsumerGroupTopicPartitions(c["group"], [TopicPartition(c["topic"], c["partition"])])
        (partition,) = done(self.admin.list_consumer_group_offsets([wanted])).topic_partitions
        return {"offset": partition.offset if partition.offset >= 0 else None}

    def list_groups(self, c):
        return {"groups": [group.group_id for group in self.admin.list_consumer_groups().result(PATIENCE).valid]}

    def describe_group(self, c):
        group = done(self.admin.describe_consumer_groups([c["group"]]))
        # The library spells the states as Kafka's own, in capitals with underscores.
        state = "".join(word.capitalize() for word in group.state.name.split("_"))
        return {"state": state, "members": len(group.members)}

    def delete_group(self, c):
        done(self.admin.delete_consumer_groups([c["group"]]))

    def describe_config(self, c):
        return {"value": done(self.admin.describe_configs([ConfigResource(ResourceType.TOPIC, c["topic"])]))[c["name"]].value}

    def alter_config(self, c):
        entry = ConfigEntry(c["name"], c["value"], incremental_operation=AlterConfigOpType.SET)
        done(self.admin.incremental_alter_configs(
            [ConfigResource(ResourceType.TOPIC, c["topic"], incremental_configs=[entry])]))

    def delete_records(self, c):
        done(self.admin.delete_records([TopicPartition(c["topic"], c["partition"], c["offset"])]))

    def init_transactions(self, c):
        self.transactional = Producer(self.settings(transactional_id=c["transactional_id"]))
        self.transactional.init_transactions(PATIENCE)

    def begin(self, c):
        self.transactional.begin_transaction()

    def send(self, c):
        self.send_all(self.transactional, c)

    def send_offsets(self, c):
        # Its metadata is that of somebody who commits without being a member.
        consumer = Consumer(self.settings(group_id=c["group"]))
        self.transactional.send_offsets_to_transaction(
            [TopicPartition(c["topic"], c["partition"], c["offset"])], consumer.consumer_group_metadata(), PATIENCE)
        consumer.close()

    def end(self, c):
        if c["commit"]:
            self.transactional.commit_transaction(PATIENCE)
        else:
            self.transactional.abort_transaction(PATIENCE)

    def close(self):
        if self.member:
            self.member.close()


def kind_of(error):
    return KINDS.get(error.args[0].code()) if isinstance(error, KafkaException) else None


if __name__ == "__main__":
    serve(Client(sys.argv[1]), kind_of)
