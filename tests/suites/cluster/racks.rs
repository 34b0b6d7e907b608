//! Apache Kafka's consumer in a rack of its own reads from the replica there (KIP-392).

use super::{tool, wait_for};
use ottla_oracle::Oracle;
use ottla_tests::{Server, free_port, http};
use std::io::Write;
use std::process::Stdio;

const TOPIC: &str = "near";

struct Racked {
    server: Server,
    metrics: u16,
}

impl Racked {
    /// Bytes of records that clients have got from this node.
    fn given(&self) -> f64 {
        let (_, text) = http(self.metrics, "GET", "/metrics", "text/plain", "").unwrap();
        let counter = format!("kafka_server_brokertopicmetrics_bytesout_total{{topic=\"{TOPIC}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&counter)?.parse().ok()).unwrap_or(0.0)
    }
}

/// A controller that is also a broker and two brokers, each in a rack of its own.
fn in_racks() -> Vec<Racked> {
    let controller = free_port().unwrap();
    let mut nodes: Vec<Racked> = (1..=3)
        .map(|id| {
            let (port, metrics) = (free_port().unwrap(), free_port().unwrap());
            let properties = format!(
                "node.id={id}\nlisteners=PLAINTEXT://127.0.0.1:{port}\nlog.dirs=DIRECTORY/data\n\
                 controller.quorum.voters=1@127.0.0.1:{controller}\nbroker.rack=rack{id}\n\
                 ottla.metrics.listener=127.0.0.1:{metrics}\n\
                 replica.selector.class=org.apache.kafka.common.replica.RackAwareReplicaSelector\n"
            );
            Racked { server: Server::prepare(port, &properties).unwrap(), metrics }
        })
        .collect();
    nodes.iter_mut().for_each(|node| node.server.begin().unwrap());
    nodes.iter_mut().for_each(|node| node.server.wait_for_answer().unwrap());
    nodes
}

#[test]
fn a_consumer_of_apache_kafka_reads_from_the_replica_in_its_rack() {
    let nodes = in_racks();
    let bootstrap = nodes[0].server.bootstrap();
    wait_for("all brokers are there", || {
        let described = tool("kafka-broker-api-versions", &bootstrap, &[]);
        nodes.iter().all(|node| described.contains(node.server.bootstrap().rsplit(':').next().unwrap()))
    });
    // Node 2 leads.
    let create = ["--create", "--topic", TOPIC, "--replica-assignment", "2:3:1"];
    tool("kafka-topics", &bootstrap, &create);
    wait_for("all replicas are in sync", || {
        let described = tool("kafka-topics", &bootstrap, &["--describe", "--topic", TOPIC]);
        described.contains("Isr: 2,3,1") || described.contains("Isr: 1,2,3")
    });
    let sent: Vec<String> = (0..100).map(|number| format!("message {number}")).collect();
    let oracle = Oracle::install().unwrap();
    let mut producer = oracle.tool("kafka-console-producer.sh").unwrap();
    producer.args(["--bootstrap-server", &bootstrap, "--topic", TOPIC]);
    let mut producer = producer.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    producer.stdin.as_mut().unwrap().write_all(sent.join("\n").as_bytes()).unwrap();
    assert!(producer.wait().unwrap().success());
    for (rack, near) in [("rack3", 2), ("rack1", 0), ("rack2", 1), ("nowhere", 1)] {
        let before: Vec<f64> = nodes.iter().map(Racked::given).collect();
        let rack = format!("client.rack={rack}");
        let read = ["--topic", TOPIC, "--partition", "0", "--offset", "earliest", "--max-messages", "100"];
        let more = ["--timeout-ms", "60000", "--command-property", &rack];
        let said = tool("kafka-console-consumer", &bootstrap, &[&read[..], &more].concat());
        assert_eq!(said.lines().collect::<Vec<_>>(), sent, "{rack}");
        let gave: Vec<bool> = nodes.iter().zip(&before).map(|(node, before)| node.given() > *before).collect();
        let expected: Vec<bool> = (0..3).map(|node| node == near).collect();
        assert_eq!(gave, expected, "{rack}");
    }
}
