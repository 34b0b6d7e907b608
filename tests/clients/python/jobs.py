"""The jobs that every client family does, told in terms of a small adapter per library.

Each job raises AssertionError with what was expected. The same jobs run against Ottla and against Apache Kafka.
"""

import sys
import threading
import time
import uuid

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
# Long, for machines that do much else meanwhile.
DEADLINE_SECONDS = 180


def wait_until(what, condition):
    """Polls until the condition holds; fails naming what was waited for."""
    end = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"timed out waiting until {what}")


def unique(name):
    return f"{name}-{uuid.uuid4().hex[:8]}"


def topic_life(client):
    """Create with three partitions, grow to five, delete."""
    topic = unique("my_topic")
    client.create_topic(topic, 3)
    wait_until("three partitions are seen", lambda: client.partitions(topic) == 3)
    client.grow_topic(topic, 5)
    wait_until("five partitions are seen", lambda: client.partitions(topic) == 5)
    client.delete_topic(topic)
    wait_until("the topic is gone", lambda: topic not in client.topics())


def sample_records(codec):
    big = (codec.encode() + b"-") * (1_000_000 // (len(codec) + 1))
    return [
        (b"key", b"value", [("h1", b"x"), ("h1", b"again"), ("empty", b"")]),
        (None, b"no key", []),
        (b"tombstone", None, []),
        (b"", b"", []),
        (b"big", big, []),
    ] + [(b"k%d" % i, b"v%d" % i * 20, []) for i in range(200)]


def records_in_every_codec(client):
    """What is produced comes back the same, in order: headers, null keys and values, a record of a megabyte."""
    for codec in CODECS:
        topic = unique(f"codec-{codec}")
        client.create_topic(topic, 1)
        sent = sample_records(codec)
        client.produce(topic, sent, codec)
        received = client.consume_all(topic, len(sent))
        assert len(received) == len(sent), f"{codec}: {len(received)} of {len(sent)} records"
        for index, (got, want) in enumerate(zip(received, sent)):
            assert got == want, f"{codec}: record {index} differs: {str(got)[:200]} != {str(want)[:200]}"
        client.delete_topic(topic)


class Member(threading.Thread):
    """A group member that records what it owns and what it reads until it is told to stop."""

    def __init__(self, client, topic, group, strategy, seen, lock):
        super().__init__(daemon=True)
        self.consumer = client.group_consumer(topic, group, strategy)
        self.stopping = threading.Event()
        self.commit_wanted = threading.Event()
        self.seen, self.lock = seen, lock
        self.error = None

    def owned(self):
        return self.consumer.owned()

    def run(self):
        try:
            while not self.stopping.is_set():
                for partition, offset, value in self.consumer.poll(0.1):
                    with self.lock:
                        self.seen.append((partition, offset, value))
                if self.commit_wanted.is_set() and self.consumer.commit():
                    self.commit_wanted.clear()
            self.consumer.commit_and_close()
        except Exception as error:  # reported by the main thread
            self.error = error

    def stop(self):
        self.stopping.set()
        self.join(DEADLINE_SECONDS)
        assert not self.is_alive(), "a member did not stop"
        if self.error:
            raise self.error


def covers(members, partitions):
    """Whether the members own all partitions, each one of them at least one, none of them twice."""
    owned = [m.owned() for m in members]
    flat = sorted(p for o in owned for p in o)
    return all(owned) and flat == list(range(partitions))


def group_of_three(client, strategy):
    """Three members share six partitions, one leaves, the others take over; a new member goes on at the commit."""
    topic, group = unique("shared"), unique(f"group-{strategy}")
    client.create_topic(topic, 6)
    seen, lock = [], threading.Lock()
    members = []
    for _ in range(3):
        member = Member(client, topic, group, strategy, seen, lock)
        member.start()
        members.append(member)
    wait_until("three members own six partitions", lambda: covers(members, 6))
    first = [(b"k%d" % i, b"first-%d" % i, []) for i in range(300)]
    client.produce(topic, first, "none")
    wait_until("all of the first records are read", lambda: len(set(seen)) >= 300)
    members.pop().stop()
    wait_until("two members own six partitions", lambda: covers(members, 6))
    # A commit on leaving may meet the rebalance of a member that left just before: commit while the group is stable.
    for member in members:
        member.commit_wanted.set()
    wait_until("the members have committed", lambda: not any(m.commit_wanted.is_set() for m in members))
    for member in members:
        member.stop()
    values = sorted(value for _, _, value in set(seen))
    assert values == sorted(v for _, v, _ in first), "records lost or changed"
    second = [(b"k%d" % i, b"second-%d" % i, []) for i in range(50)]
    client.produce(topic, second, "none")
    again, late = [], None
    late = Member(client, topic, group, strategy, again, lock)
    late.start()
    wait_until("the second records are read", lambda: len(again) >= 50)
    time.sleep(0.3)
    late.stop()
    assert sorted(v for _, _, v in again) == sorted(v for _, v, _ in second), (
        f"the group did not go on at its committed offsets: {sorted(v for _, _, v in again)[:5]}"
    )
    client.delete_topic(topic)


JOBS = {
    "topic-life": topic_life,
    "codecs": records_in_every_codec,
    "group-eager": lambda client: group_of_three(client, "eager"),
    "group-cooperative": lambda client: group_of_three(client, "cooperative"),
    "group-uniform": lambda client: group_of_three(client, "uniform"),
    "group-range": lambda client: group_of_three(client, "range"),
}


def main(make_client):
    """`bootstrap [job ...]`: runs the jobs, prints a line each, exits with the number of those that failed."""
    bootstrap, names = sys.argv[1], sys.argv[2:] or list(JOBS)
    client = make_client(bootstrap)
    failed = 0
    for name in names:
        if name in getattr(client, "lacks", ()):
            continue
        started = time.monotonic()
        try:
            JOBS[name](client)
            print(f"ok   {name} {time.monotonic() - started:.1f} s", flush=True)
        except BaseException as error:
            failed += 1
            print(f"FAIL {name}: {type(error).__name__}: {error}", flush=True)
    sys.exit(failed)
