"""Scrapes a server before and after it has worked, with the parser of Prometheus' own client library.

Arguments: bootstrap servers, the URL of the metrics, a topic. Prints the names of all families at last.
"""

import sys
import urllib.request

from confluent_kafka import Consumer, Producer
from prometheus_client.parser import text_string_to_metric_families

RECORDS = 200


def scrape(url):
    """All samples by name and labels, and the kinds of all families by their names in the text."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4"), answer.headers
        text = answer.read().decode()
    samples = {}
    kinds = {line.split()[2]: line.split()[3] for line in text.splitlines() if line.startswith("# TYPE ")}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in samples, f"{key} is there twice"
            samples[key] = sample.value
    return samples, kinds


def main(bootstrap, url, topic):
    before, kinds = scrape(url)
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
    for number in range(RECORDS):
        producer.produce(topic, value=f"record {number}".encode())
    assert producer.flush(30) == 0
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": topic, "auto.offset.reset": "earliest", "enable.auto.commit": False}
    )
    consumer.subscribe([topic])
    read = 0
    while read < RECORDS:
        record = consumer.poll(30)
        assert record is not None and not record.error(), record
        read += 1
    consumer.commit(asynchronous=False)
    after, _ = scrape(url)

    def grown(name, **labels):
        key = (name, tuple(sorted(labels.items())))
        return after[key] - before.get(key, 0)

    counted = "kafka_server_brokertopicmetrics_"
    assert grown(counted + "messagesin_total", topic=topic) == RECORDS
    assert grown(counted + "messagesin_total") >= RECORDS
    assert grown(counted + "bytesin_total", topic=topic) > RECORDS * len("record 0")
    assert grown(counted + "bytesout_total", topic=topic) >= grown(counted + "bytesin_total", topic=topic)
    assert grown(counted + "totalproducerequests_total", topic=topic) >= 1
    assert grown(counted + "totalfetchrequests_total", topic=topic) >= 1
    assert grown(counted + "failedproducerequests_total") == 0
    requests = "kafka_network_requestmetrics_"
    for request in ("Produce", "Fetch", "FetchConsumer", "Metadata", "JoinGroup", "OffsetCommit"):
        assert grown(requests + "totaltimems_count", request=request) >= 1, request
        times = [
            after[(requests + "totaltimems", (("quantile", quantile), ("request", request)))]
            for quantile in ("0.50", "0.75", "0.95", "0.98", "0.99", "0.999")
        ]
        assert times == sorted(times) and times[-1] > 0, times
    assert sum(v for (name, labels), v in after.items() if name == requests + "requests_total" and ("request", "Produce") in labels) >= 1
    partition = {"topic": topic, "partition": "0"}
    assert grown("kafka_log_log_logendoffset", **partition) == RECORDS
    assert grown("kafka_log_log_size", **partition) == grown(counted + "bytesin_total", topic=topic)
    assert grown("kafka_cluster_partition_insyncreplicascount", **partition) == 1
    assert grown("kafka_server_replicamanager_leadercount") >= 1
    assert grown("kafka_controller_kafkacontroller_globaltopiccount") >= 1
    assert after[("kafka_controller_kafkacontroller_activecontrollercount", ())] == 1
    assert after[("kafka_coordinator_group_groupmetadatamanager_numgroupsstable", ())] == 1
    assert after[("kafka_coordinator_group_groupmetadatamanager_numoffsets", ())] == 1
    assert after[("kafka_server_raftmetrics_current_state", (("current_state", "leader"),))] == 1
    connections = [v for (name, _), v in after.items() if name == "kafka_server_socket_server_metrics_connection_count"]
    assert sum(connections) >= 2, connections
    for name in ("networkprocessoravgidle_percent",):
        assert 0 <= after[("kafka_network_socketserver_" + name, ())] <= 1
    shrunk = [key for key, value in before.items() if kinds.get(key[0]) == "counter" and after[key] < value]
    assert not shrunk, shrunk
    consumer.close()
    print("\n".join(sorted(kinds)))


if __name__ == "__main__":
    main(*sys.argv[1:])
