//! Which addresses of a machine a listener is reached at: librdkafka takes what its resolver gives, of either family.

use super::{create, restart_with};
use ottla_oracle::{NodeOptions, Oracle};
use ottla_tests::{Asker, Server, free_port};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream};
use std::time::Duration;

/// The hosts of listeners, and whether each is reached at 127.0.0.1 and at ::1, on a machine that has both.
const HOSTS: [(&str, bool, bool); 6] = [
    ("127.0.0.1", true, false),
    ("localhost", true, false),
    ("", true, true),
    ("0.0.0.0", true, true),
    ("[::]", true, true),
    ("[::1]", false, true),
];

const PATIENCE: Duration = Duration::from_secs(30);

/// The ports of a listener for each of the hosts; the first is where the node is asked for.
fn ports(first: u16) -> Vec<u16> {
    std::iter::once(first).chain(HOSTS[1..].iter().map(|_| free_port().unwrap())).collect()
}

/// The first bears the usual name, by which the node talks to itself.
fn name(index: usize) -> String {
    if index == 0 { "PLAINTEXT".to_owned() } else { format!("L{index}") }
}

/// The listeners, what clients are told of them, and what they speak.
fn settings(ports: &[u16]) -> [(&'static str, String); 3] {
    let list = |host: fn(&'static str) -> &'static str| {
        let each = HOSTS.iter().zip(ports).enumerate();
        let each = each.map(|(index, ((bound, ..), port))| format!("{}://{}:{port}", name(index), host(bound)));
        each.collect::<Vec<_>>().join(",")
    };
    let protocols: Vec<String> = (0..HOSTS.len()).map(|index| format!("{}:PLAINTEXT", name(index))).collect();
    [
        ("listeners", list(|host| host)),
        // What stands for all addresses can't be told to a client.
        ("advertised.listeners", list(|host| if matches!(host, "" | "0.0.0.0" | "[::]") { "localhost" } else { host })),
        ("listener.security.protocol.map", format!("CONTROLLER:PLAINTEXT,{}", protocols.join(","))),
    ]
}

/// Connects to each by both loopback addresses, and has librdkafka ask where it is reached.
fn each_is_reached_where_it_is_bound(ports: &[u16]) {
    create(&mut Asker::new(format!("127.0.0.1:{}", ports[0])), "reached", 1, &json!([]));
    for ((host, by_four, by_six), port) in HOSTS.iter().zip(ports) {
        let reached = |address: IpAddr| TcpStream::connect((address, *port)).is_ok();
        let seen = (reached(Ipv4Addr::LOCALHOST.into()), reached(Ipv6Addr::LOCALHOST.into()));
        assert_eq!(seen, (*by_four, *by_six), "a listener at {host:?} by 127.0.0.1 and by ::1");
        for (address, is_reached) in [("localhost", by_four), ("127.0.0.1", by_four), ("[::1]", by_six)] {
            if *is_reached {
                ask(&format!("{address}:{port}"));
            }
        }
    }
}

/// librdkafka asks a listener for metadata, whatever families its resolver has addresses of, and then the node at the
/// address that it was told: a topic's end is asked there.
fn ask(bootstrap: &str) {
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", bootstrap).create().unwrap();
    let metadata = consumer.fetch_metadata(Some("reached"), PATIENCE).unwrap();
    assert_eq!(metadata.brokers().len(), 1, "{bootstrap}");
    let ends = consumer.fetch_watermarks("reached", 0, PATIENCE).unwrap();
    assert_eq!(ends, (0, 0), "{bootstrap}");
}

#[test]
fn listeners_of_ottla_are_reached_by_both_families_where_apache_kafkas_are() {
    let mut server = Server::start(&[]).unwrap();
    let ports = ports(server.bootstrap().rsplit_once(':').unwrap().1.parse().unwrap());
    let lines = settings(&ports).map(|(key, value)| format!("{key}={value}"));
    restart_with(&mut server, &lines.join("\n"));
    each_is_reached_where_it_is_bound(&ports);
}

#[test]
fn listeners_of_apache_kafka_are_reached_by_both_families_where_ottlas_are() {
    let ports = ports(free_port().unwrap());
    let controller_port = free_port().unwrap();
    let mut options =
        NodeOptions { port: Some(ports[0]), controller_port: Some(controller_port), ..NodeOptions::default() };
    for (key, value) in settings(&ports) {
        let controller =
            if key == "listeners" { format!(",CONTROLLER://127.0.0.1:{controller_port}") } else { String::new() };
        options = options.property(key, value + &controller);
    }
    let _node = Oracle::at_home().start(&options).unwrap();
    each_is_reached_where_it_is_bound(&ports);
}
