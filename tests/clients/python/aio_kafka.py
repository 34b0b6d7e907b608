"""The adapter of aiokafka: aio_kafka.py BOOTSTRAP"""

import asyncio
import logging
import sys
import time

import aiokafka
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import (
    InvalidConfigurationError, InvalidProducerEpoch, KafkaError, ProducerFenced, TopicAlreadyExistsError,
    UnknownTopicOrPartitionError, for_code,
)

from adapter import record_out, records_in, serve

PATIENCE = 60
# Where a configuration comes from when it was set for the topic itself.
OF_THE_TOPIC = 1
KINDS = {
    ProducerFenced: "fenced",
    InvalidProducerEpoch: "fenced",
    TopicAlreadyExistsError: "exists",
    UnknownTopicOrPartitionError: "unknown_topic",
    InvalidConfigurationError: "invalid_config",
}
LACKS = {
    "null-records": "takes no record without key and value",
    "group-cooperative": "its sticky assignor gives up all partitions in a rebalance",
    "group-uniform": "no consumer protocol (KIP-848)",
    "group-range": "no consumer protocol (KIP-848)",
    "group-delete": "its admin client deletes no groups",
}


def partition_of(command):
    return TopicPartition(command["topic"], command["partition"])


def received(record):
    return record_out(record.partition, record.offset, record.timestamp, record.key, record.value, record.headers)


def all_received(batches):
    return [received(record) for records in batches.values() for record in records]


def checked(code, words=None):
    """Raises what the library leaves as a number in a response."""
    if code:
        raise for_code(code)(words)


class Client:
    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.admin = None
        self.member = None
        self.transactional = None

    async def started(self):
        if self.admin is None:
            self.admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
            await self.admin.start()
        return self.admin

    async def hello(self, c):
        await self.started()
        return {"client": "aiokafka", "version": aiokafka.__version__, "lacks": LACKS}

    async def create_topic(self, c):
        topic = NewTopic(c["topic"], c["partitions"], 1, topic_configs=c["configs"])
        for _, code, *words in (await self.admin.create_topics([topic])).topic_errors:
            checked(code, *words[:1])

    async def grow_topic(self, c):
        response = await self.admin.create_partitions({c["topic"]: NewPartitions(c["partitions"])})
        for _, code, *words in response.topic_errors:
            checked(code, *words[:1])

    async def delete_topic(self, c):
        for _, code, *_ in (await self.admin.delete_topics([c["topic"]])).topic_error_codes:
            checked(code)

    async def partitions(self, c):
        # All topics are asked for: to ask for one by its name may create it.
        found = [topic for topic in await self.admin.describe_topics() if topic["topic"] == c["topic"]]
        return {"partitions": len(found[0]["partitions"]) if found else 0}

    async def send_all(self, producer, c):
        futures = [
            await producer.send(c["topic"], value, key, c["partition"], timestamp, headers)
            for key, value, headers, timestamp in records_in(c)
        ]
        for future in futures:
            await asyncio.wait_for(future, PATIENCE)

    async def produce(self, c):
        async with AIOKafkaProducer(
            bootstrap_servers=self.bootstrap, acks="all", compression_type=None if c["codec"] == "none" else c["codec"],
            enable_idempotence=c["idempotent"], max_request_size=2_000_000, linger_ms=5,
        ) as producer:
            await self.send_all(producer, c)

    async def fetch(self, c):
        async with AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap,
            isolation_level="read_committed" if c["committed"] else "read_uncommitted",
        ) as consumer:
            consumer.assign([partition_of(c)])
            consumer.seek(partition_of(c), c["offset"])
            records, end = [], time.monotonic() + c["ms"] / 1000
            while len(records) < c["count"] and time.monotonic() < end:
                batches = await consumer.getmany(timeout_ms=200, max_records=c["count"] - len(records))
                records += all_received(batches)
                if batches:
                    end = time.monotonic() + c["ms"] / 1000
            return {"records": records}

    async def offsets(self, c):
        partition, at = partition_of(c), None
        async with AIOKafkaConsumer(bootstrap_servers=self.bootstrap) as consumer:
            if c["timestamp"] is not None:
                at = (await consumer.offsets_for_times({partition: c["timestamp"]}))[partition]
            return {
                "earliest": (await consumer.beginning_offsets([partition]))[partition],
                "latest": (await consumer.end_offsets([partition]))[partition],
                "at": at.offset if at else None,
            }

    async def subscribe(self, c):
        self.member = AIOKafkaConsumer(
            c["topic"], bootstrap_servers=self.bootstrap, group_id=c["group"], group_instance_id=c["instance"],
            partition_assignment_strategy=[RangePartitionAssignor], auto_offset_reset="earliest",
            enable_auto_commit=False, session_timeout_ms=10000, heartbeat_interval_ms=300)
        # To start is to wait for the first assignment, which other members have their part in: `poll` waits for it.
        self.joining = asyncio.ensure_future(self.member.start())

    async def poll(self, c):
        if not self.joining.done():
            await asyncio.wait([self.joining], timeout=c["ms"] / 1000)
            if not self.joining.done():
                return {"records": [], "assigned": []}
        self.joining.result()
        records = all_received(await self.member.getmany(timeout_ms=c["ms"], max_records=500))
        return {"records": records, "assigned": [partition.partition for partition in self.member.assignment()]}

    async def commit(self, c):
        try:
            await self.member.commit()
        except KafkaError as error:
            print(f"no commit: {error!r}", file=sys.stderr)
            return {"committed": False}
        return {"committed": True}

    async def leave(self, c):
        await self.commit(c)
        await self.member.stop()
        self.member = None

    async def committed(self, c):
        found = (await self.admin.list_consumer_group_offsets(c["group"], partitions=[partition_of(c)])).get(partition_of(c))
        return {"offset": found.offset if found and found.offset >= 0 else None}

    async def list_groups(self, c):
        return {"groups": [group[0] for group in await self.admin.list_consumer_groups()]}

    async def describe_group(self, c):
        (response,) = await self.admin.describe_consumer_groups([c["group"]])
        code, _, state, _, _, members, *_ = response.groups[0]
        checked(code)
        return {"state": state, "members": len(members)}

    async def configs(self, topic):
        (response,) = await self.admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        code, words, _, _, entries = response.resources[0]
        checked(code, words)
        return entries

    async def describe_config(self, c):
        return {"value": {name: value for name, value, *_ in await self.configs(c["topic"])}[c["name"]]}

    async def alter_config(self, c):
        # What is not told again is reset: the library has the older one of the two calls of the protocol.
        kept = {name: value for name, value, _, source, *_ in await self.configs(c["topic"]) if source == OF_THE_TOPIC}
        resource = ConfigResource(ConfigResourceType.TOPIC, c["topic"], kept | {c["name"]: c["value"]})
        (response,) = await self.admin.alter_configs([resource])
        for code, words, *_ in response.resources:
            checked(code, words)

    async def delete_records(self, c):
        await self.admin.delete_records({partition_of(c): RecordsToDelete(c["offset"])})

    async def init_transactions(self, c):
        if self.transactional:
            await self.transactional.stop()
        self.transactional = AIOKafkaProducer(
            bootstrap_servers=self.bootstrap, transactional_id=c["transactional_id"], linger_ms=5)
        await self.transactional.start()

    async def begin(self, c):
        await self.transactional.begin_transaction()

    async def send(self, c):
        await self.send_all(self.transactional, c)

    async def send_offsets(self, c):
        await self.transactional.send_offsets_to_transaction({partition_of(c): c["offset"]}, c["group"])

    async def end(self, c):
        if c["commit"]:
            await self.transactional.commit_transaction()
        else:
            await self.transactional.abort_transaction()

    async def close(self):
        for running in [self.member, self.transactional]:
            if running:
                await running.stop()
        await self.admin.close()


class Waiting:
    """The client's coroutines as calls. What the library does by itself, it does while a call is waited for and, as in an
    application, between calls: the loop runs in a thread of its own."""

    def __init__(self, client, loop):
        self.client, self.loop = client, loop

    def __getattr__(self, op):
        coroutine = getattr(self.client, op)
        return lambda *command: asyncio.run_coroutine_threadsafe(coroutine(*command), self.loop).result()


def kind_of(error):
    return KINDS.get(type(error))


if __name__ == "__main__":
    import threading

    logging.basicConfig(level=logging.WARNING)
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    serve(Waiting(Client(sys.argv[1]), loop), kind_of)
