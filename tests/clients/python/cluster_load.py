"""Writes to a cluster with an idempotent producer of librdkafka while somebody does something to it, and then reads all of it back.

Arguments: bootstrap servers, topic, partitions, and settings of the producer as JSON if others are wanted. Writes until its
standard input ends. Says "writing" after the first acknowledgement. A line "gap" on its standard input is answered by the longest
times without any acknowledgement since the last such line, in milliseconds: of all partitions together, and of the partition
that was without one for longest. At the end it says one line of JSON: how many records were acknowledged, how many were given up, the longest time
without any acknowledgement in milliseconds, how often clients saw an error, and of the acknowledged records how many were
missing, repeated or out of order.
"""

import json
import sys
import threading
import time

from confluent_kafka import Consumer, Producer, TopicPartition

PAUSE_SECONDS = 0.001
PATIENCE_SECONDS = 120


class Writer:
    def __init__(self, bootstrap, topic, partitions, settings):
        self.topic, self.partitions = topic, partitions
        self.acknowledged = [{} for _ in range(partitions)]
        self.given_up, self.errors = 0, 0
        self.last, self.gap = None, 0.0
        self.lock = threading.Lock()
        self.last_of, self.gaps = {}, [0.0] * partitions
        self.since, self.whole = None, 0.0
        self.producer = Producer({
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "linger.ms": 1,
            "message.timeout.ms": PATIENCE_SECONDS * 1000,
            "retry.backoff.ms": 20,
            "reconnect.backoff.ms": 10,
            "reconnect.backoff.max.ms": 100,
            "topic.metadata.refresh.fast.interval.ms": 20,
            "socket.connection.setup.timeout.ms": 1000,
            "error_cb": self.failed,
        } | settings)

    def failed(self, error):
        self.errors += 1
        # One that is fatal says what desynchronized the producer.
        if error.fatal():
            print(f"fatal: {error}", file=sys.stderr)

    def delivered(self, error, message):
        if error is not None:
            print(error, file=sys.stderr)
            self.given_up += 1
            return
        now = time.monotonic()
        if self.last is None:
            print("writing", flush=True)
        else:
            self.gap = max(self.gap, now - self.last)
        with self.lock:
            self.count_gap(message.partition(), now)
            self.last = now
        self.acknowledged[message.partition()][int(message.value())] = message.offset()

    def count_gap(self, partition, now):
        if self.since is None:
            return
        self.whole = max(self.whole, now - max(self.last, self.since))
        self.gaps[partition] = max(self.gaps[partition], now - max(self.last_of.get(partition, self.since), self.since))
        self.last_of[partition] = now

    def gaps_since(self):
        now = time.monotonic()
        with self.lock:
            if self.since is not None:
                for partition in range(self.partitions):
                    last = max(self.last_of.get(partition, self.since), self.since)
                    self.gaps[partition] = max(self.gaps[partition], now - last)
                whole = max(self.whole, now - max(self.last, self.since))
            else:
                whole = 0.0
            result = (whole, max(self.gaps))
            self.since, self.whole, self.gaps = now, 0.0, [0.0] * self.partitions
        return result

    def run(self, stopped):
        number = 0
        while not stopped.is_set():
            self.producer.produce(self.topic, str(number), partition=number % self.partitions, on_delivery=self.delivered)
            number += 1
            self.producer.poll(0)
            time.sleep(PAUSE_SECONDS)
        left = self.producer.flush(PATIENCE_SECONDS)
        self.given_up += left


def read_back(bootstrap, writer):
    consumer = Consumer({
        "bootstrap.servers": bootstrap,
        "group.id": f"reader-of-{writer.topic}",
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
    })
    ends = {}
    for partition in range(writer.partitions):
        low, high = consumer.get_watermark_offsets(TopicPartition(writer.topic, partition), timeout=PATIENCE_SECONDS)
        assert low == 0, low
        ends[partition] = high
    consumer.assign([TopicPartition(writer.topic, partition, 0) for partition in ends])
    found = [[] for _ in ends]
    deadline = time.monotonic() + PATIENCE_SECONDS
    unread = {partition for partition, end in ends.items() if end > 0}
    while unread and time.monotonic() < deadline:
        for message in consumer.consume(1000, timeout=1.0):
            if message.error() is None:
                found[message.partition()].append((message.offset(), int(message.value())))
                if message.offset() + 1 >= ends[message.partition()]:
                    unread.discard(message.partition())
    consumer.close()
    return found


def verdict(writer, found):
    missing = repeated = disordered = 0
    for partition, (acknowledged, records) in enumerate(zip(writer.acknowledged, found)):
        places = {}
        for offset, number in records:
            if number in places:
                repeated += 1
                # At one offset it was read twice, at two it is there twice.
                told = f"acknowledged at {acknowledged.get(number)}, found at {places[number]} and at {offset}"
                print(f"{number} is repeated in partition {partition}: {told}", file=sys.stderr)
            places[number] = offset
        for number, offset in acknowledged.items():
            # Of a record that it has sent again the client may know only that it is there.
            is_known = offset is not None and offset >= 0
            is_there = places.get(number) == offset if is_known else number in places
            if not is_there:
                missing += 1
                print(f"{number} was acknowledged at {offset} and is at {places.get(number)}", file=sys.stderr)
        numbers = [number for _, number in records]
        disordered += sum(later <= earlier for earlier, later in zip(numbers, numbers[1:]))
    return {"missing": missing, "repeated": repeated, "disordered": disordered}


def main():
    bootstrap, topic, partitions = sys.argv[1], sys.argv[2], int(sys.argv[3])
    settings = json.loads(sys.argv[4]) if len(sys.argv) > 4 else {}
    writer = Writer(bootstrap, topic, partitions, settings)
    stopped = threading.Event()

    def wait_for_end():
        for line in sys.stdin:
            if line.strip() == "gap":
                whole, worst = writer.gaps_since()
                print(f"{whole * 1000:.1f} {worst * 1000:.1f}", flush=True)
        stopped.set()

    threading.Thread(target=wait_for_end, daemon=True).start()
    writer.run(stopped)
    report = {
        "acknowledged": sum(len(part) for part in writer.acknowledged),
        "given_up": writer.given_up,
        "gap_ms": round(writer.gap * 1000, 1),
        "errors": writer.errors,
    }
    print(json.dumps(report | verdict(writer, read_back(bootstrap, writer))), flush=True)


main()
