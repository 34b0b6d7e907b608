"""Copies a topic into another one with transactions, by a group of copiers, while somebody does something to the cluster, and then
checks that each record was copied exactly once and in order.

Arguments: bootstrap servers, the topic, its copy, partitions of each, copiers. Copies until its standard input ends and everything
that is in the topic then is copied. Says "copying" after the first transaction; at the end one line of JSON: how many records were
copied, in how many transactions, how many were aborted on purpose, how often a copier had to begin anew, and how many records of
the topic are missing in the copy, repeated or out of order. Every tenth transaction is aborted on purpose, with its records written.
"""

import json
import sys
import threading
import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

PATIENCE_SECONDS = 120
ANSWER_SECONDS = 30
RECORDS_MAX = 200
ABORT_EACH = 10
GROUP = "copiers"


class Copier(threading.Thread):
    def __init__(self, load, number):
        super().__init__(daemon=True)
        self.load, self.number = load, number
        self.transactions = self.aborted = self.anew = 0
        self.rebalanced = False

    def run(self):
        while not self.load.is_over.is_set():
            consumer = None
            try:
                producer = Producer({
                    "bootstrap.servers": self.load.bootstrap,
                    "transactional.id": f"copier-{self.number}",
                    "transaction.timeout.ms": 20_000,
                    "log_level": 0,
                    "retry.backoff.ms": 20,
                    "reconnect.backoff.ms": 10,
                    "reconnect.backoff.max.ms": 100,
                })
                producer.init_transactions(ANSWER_SECONDS)
                consumer = self.consumer()
                self.copy(producer, consumer)
            except KafkaException as error:
                # Whether a transaction came to its end then is not known, nor does it matter: the next producer of this id ends
                # it, and where to go on is what the group has committed.
                self.anew += 1
                print(f"copier {self.number}: {error}", file=sys.stderr)
            finally:
                if consumer is not None:
                    consumer.close()

    def consumer(self):
        consumer = Consumer({
            "bootstrap.servers": self.load.bootstrap,
            "group.id": GROUP,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "log_level": 0,
            "session.timeout.ms": 6_000,
            "heartbeat.interval.ms": 500,
            "reconnect.backoff.ms": 10,
            "reconnect.backoff.max.ms": 100,
        })
        consumer.subscribe([self.load.topic], on_assign=self.note, on_revoke=self.note, on_lost=self.note)
        return consumer

    def note(self, _consumer, _partitions):
        self.rebalanced = True

    def copy(self, producer, consumer):
        while not self.load.is_over.is_set():
            self.rebalanced = False
            messages = [message for message in consumer.consume(RECORDS_MAX, timeout=0.2) if message.error() is None]
            if self.rebalanced:
                # They may be another one's by now.
                self.rewind(consumer)
                continue
            if messages:
                self.copy_together(producer, consumer, messages)

    def copy_together(self, producer, consumer, messages):
        producer.begin_transaction()
        ends = {}
        for message in messages:
            producer.produce(self.load.copy, f"{message.offset()}", partition=message.partition())
            ends[message.partition()] = message.offset() + 1
        offsets = [TopicPartition(self.load.topic, partition, end) for partition, end in ends.items()]
        producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata(), ANSWER_SECONDS)
        self.transactions += 1
        if self.transactions % ABORT_EACH == 0:
            producer.flush(ANSWER_SECONDS)
            producer.abort_transaction(ANSWER_SECONDS)
            self.aborted += 1
            self.rewind(consumer)
            return
        producer.commit_transaction(ANSWER_SECONDS)
        self.load.has_begun()

    def rewind(self, consumer):
        for place in consumer.committed(consumer.assignment(), timeout=ANSWER_SECONDS):
            if place.error is not None:
                raise KafkaException(place.error)
            place.offset = max(place.offset, 0)
            consumer.seek(place)


class Load:
    def __init__(self, bootstrap, topic, copy, partitions):
        self.bootstrap, self.topic, self.copy, self.partitions = bootstrap, topic, copy, partitions
        self.is_over = threading.Event()
        self.lock, self.said = threading.Lock(), False

    def has_begun(self):
        with self.lock:
            if not self.said:
                print("copying", flush=True)
                self.said = True

    def reader(self, group):
        return Consumer({
            "bootstrap.servers": self.bootstrap,
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        })

    def wait_until_all_is_copied(self):
        reader = self.reader(GROUP)
        places = [TopicPartition(self.topic, partition) for partition in range(self.partitions)]
        ends = [reader.get_watermark_offsets(place, timeout=PATIENCE_SECONDS)[1] for place in places]
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                committed = [place.offset for place in reader.committed(places, timeout=ANSWER_SECONDS)]
            except KafkaException as error:
                print(f"the group can't be asked: {error}", file=sys.stderr)
                continue
            if all(offset >= end for offset, end in zip(committed, ends) if end > 0):
                break
            time.sleep(0.1)
        else:
            print(f"copied up to {committed} of {ends}", file=sys.stderr)
        reader.close()
        return ends

    def read(self, topic):
        """The offsets and values of all committed records, by partition."""
        reader = self.reader("readers")
        reader.assign([TopicPartition(topic, partition, 0) for partition in range(self.partitions)])
        found, unread = [[] for _ in range(self.partitions)], set(range(self.partitions))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while unread and time.monotonic() < deadline:
            for message in reader.consume(1000, timeout=1.0):
                if message.error() is None:
                    found[message.partition()].append((message.offset(), message.value()))
                elif message.error().name() == "_PARTITION_EOF":
                    unread.discard(message.partition())
        reader.close()
        return found


def verdict(load):
    missing = repeated = disordered = copied = 0
    for originals, copies in zip(load.read(load.topic), load.read(load.copy)):
        numbers = [int(value) for _, value in copies]
        copied += len(numbers)
        repeated += len(numbers) - len(set(numbers))
        missing += len({offset for offset, _ in originals} - set(numbers))
        disordered += sum(later <= earlier for earlier, later in zip(numbers, numbers[1:]))
    return {"copied": copied, "missing": missing, "repeated": repeated, "disordered": disordered}


def main():
    bootstrap, topic, copy, partitions, copiers = sys.argv[1:6]
    load = Load(bootstrap, topic, copy, int(partitions))
    copiers = [Copier(load, number) for number in range(int(copiers))]
    for copier in copiers:
        copier.start()
    sys.stdin.read()
    load.wait_until_all_is_copied()
    load.is_over.set()
    for copier in copiers:
        copier.join(PATIENCE_SECONDS)
    report = {
        "transactions": sum(copier.transactions for copier in copiers),
        "aborted": sum(copier.aborted for copier in copiers),
        "anew": sum(copier.anew for copier in copiers),
    }
    print(json.dumps(report | verdict(load)), flush=True)


main()
