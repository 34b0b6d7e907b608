"""A producer of librdkafka that pushes its metrics, until the server shows them.

Arguments: bootstrap servers, the URL of the metrics, a topic. The subscription is there already.
"""

import sys
import time
import urllib.request

from confluent_kafka import Producer
from prometheus_client.parser import text_string_to_metric_families

PATIENCE = 60


def pushed(url):
    """The samples of clients by their names."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    samples = [sample for family in families for sample in family.samples]
    return [sample for sample in samples if sample.name.startswith("kafka_client_")]


def main(bootstrap, url, topic):
    producer = Producer({"bootstrap.servers": bootstrap, "client.id": "pushing", "enable.metrics.push": True})
    end = time.monotonic() + PATIENCE
    samples = []
    while not samples:
        assert time.monotonic() < end, "no metrics were pushed"
        producer.produce(topic, value=b"x")
        producer.flush(10)
        producer.poll(0.1)
        samples = pushed(url)
    of = {sample.labels["client_id"] for sample in samples}
    assert of == {"pushing"}, of
    assert all(sample.labels["client_software_name"] == "confluent-kafka-python" for sample in samples), samples[0]
    assert len({sample.labels["client_instance_id"] for sample in samples}) == 1
    names = {sample.name for sample in samples}
    assert any("producer_connection_creation" in name for name in names), names
    print("\n".join(sorted(names)))


if __name__ == "__main__":
    main(*sys.argv[1:])
