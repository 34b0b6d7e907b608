"""A load for a server that is killed again and again, by confluent-kafka: kill_load.py BOOTSTRAP TOPIC GROUP WRITER

An idempotent producer sends numbered records to partition 0 until a line comes on standard input, and a member of a group
reads them and commits until standard input ends. What was sent, acknowledged, read and committed is said line by line.
"""

import os
import sys
import threading
import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

BOOTSTRAP, TOPIC, GROUP, WRITER = sys.argv[1:]
SETTINGS = {"bootstrap.servers": BOOTSTRAP, "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 200,
            "retry.backoff.ms": 20}
WINDOW = 20
# What librdkafka is to say of what it does, to find out why it stands still.
if "OTTLA_STRANGER_DEBUG" in os.environ:
    SETTINGS["debug"] = os.environ["OTTLA_STRANGER_DEBUG"]

calm, over = threading.Event(), threading.Event()
lock = threading.Lock()


def say(*words):
    with lock:
        print(*words, flush=True)


def listen():
    for _ in sys.stdin:
        calm.set()
    calm.set()
    over.set()


def produce():
    producer = Producer(SETTINGS | {"enable.idempotence": True, "message.timeout.ms": 600000, "linger.ms": 2})

    def delivered(number):
        def done(error, message):
            if error is not None:
                say("failed", number, error)
            else:
                say("acknowledged", number, message.offset())
        return done

    number = 0
    while not calm.is_set():
        while len(producer) >= WINDOW and not over.is_set():
            producer.poll(0.05)
        say("sent", number)
        producer.produce(TOPIC, f"{WRITER}:{number}:0:stranger", partition=0, on_delivery=delivered(number))
        number += 1
        producer.poll(0.02)
    while len(producer) and not over.is_set():
        producer.poll(0.1)


def consume():
    consumer = Consumer(SETTINGS | {"group.id": GROUP, "auto.offset.reset": "earliest", "enable.auto.commit": False,
                                    "session.timeout.ms": 6000, "heartbeat.interval.ms": 300})
    consumer.subscribe([TOPIC])
    while not over.is_set():
        say("alive")
        messages = [message for message in consumer.consume(50, 0.2) if message.error() is None]
        if not messages:
            continue
        for message in messages:
            writer, number, *_ = message.value().decode().split(":")
            say("read", message.offset(), writer, number)
        position = messages[-1].offset() + 1
        say("ask", position)
        try:
            consumer.commit(offsets=[TopicPartition(TOPIC, 0, position)], asynchronous=False)
            say("committed", position)
        except KafkaException:
            # Whether it was made is not known; the next one goes on.
            time.sleep(0.05)
    consumer.close()


threads = [threading.Thread(target=work) for work in (produce, consume)]
threading.Thread(target=listen, daemon=True).start()
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
