//! Compressed bytes that are more than they seem.

use ottla_protocol::ApiKey;
use ottla_records::Compression;
use ottla_tests::besieged::{GOOD_TOPIC, batch, produce};
use ottla_tests::raw::{Connection, base64};
use ottla_tests::{Asker, Besieged, Server};
use serde_json::json;
use std::fs;
use std::thread;

/// More than a batch may decompress to.
const BOMB_BYTES: usize = 160 << 20;

/// More than pushed metrics may decompress to.
const PUSHED_BOMB_BYTES: usize = 12 << 20;

#[test]
fn compressed_bombs_on_many_connections_are_refused_one_by_one() {
    let besieged = Besieged::start(&[]).unwrap();
    let zeros = vec![0; BOMB_BYTES];
    for codec in [Compression::Zstd, Compression::Lz4] {
        let bomb = batch(codec, &zeros).unwrap();
        assert!(bomb.len() < 1 << 20, "{} bytes would be refused for their size", bomb.len());
        let address = besieged.server().bootstrap();
        let throwers: Vec<_> = (0..6)
            .map(|_| {
                let (bomb, address) = (bomb.clone(), address.clone());
                thread::spawn(move || {
                    let answer = Connection::open(&address)
                        .unwrap()
                        .ask(ApiKey::Produce, 9, &produce(GOOD_TOPIC, &bomb))
                        .unwrap();
                    answer["responses"][0]["partitionResponses"][0]["errorCode"].as_i64().unwrap()
                })
            })
            .collect();
        for thrower in throwers {
            let code = thrower.join().unwrap();
            assert!([2, 10, 87].contains(&code), "{codec:?} answered {code}");
        }
    }
    besieged.stand("bombs").unwrap();
}

#[test]
fn bombs_among_pushed_metrics_are_refused() {
    // The subscription asks for everything; without it nothing would be looked at.
    let besieged = Besieged::start(&[("ottla.metrics.client.telemetry.enable", "true")]).unwrap();
    let mut connection = besieged.raw().unwrap();
    let config = |name: &str, value: &str| json!({"name": name, "configOperation": 0, "value": value});
    let subscribe = json!({"resources": [{"resourceType": 16, "resourceName": "all",
        "configs": [config("metrics", "*"), config("interval.ms", "100")]}]});
    let answer = connection.ask(ApiKey::IncrementalAlterConfigs, 1, &subscribe).unwrap();
    assert_eq!(answer["responses"][0]["errorCode"], 0, "{answer}");
    let before = besieged.peak_kib().unwrap();
    let zeros = vec![0; PUSHED_BOMB_BYTES];
    for (number, codec) in
        [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd].into_iter().enumerate()
    {
        // The records of a batch are what was compressed; behind its header.
        let bomb = batch(codec, &zeros).unwrap().split_off(61);
        let mut connection = besieged.raw().unwrap();
        let none = "AAAAAAAAAAAAAAAAAAAAAA";
        let told = connection.ask(ApiKey::GetTelemetrySubscriptions, 0, &json!({"clientInstanceId": none})).unwrap();
        let push = json!({"clientInstanceId": told["clientInstanceId"], "subscriptionId": told["subscriptionId"],
            "terminating": false, "compressionType": number + 1, "metrics": base64(&bomb)});
        let pushed = connection.ask(ApiKey::PushTelemetry, 0, &push).unwrap();
        // Too large for telemetry.max.bytes, or for what it may become.
        assert!([118, 87, 42].contains(&pushed["errorCode"].as_i64().unwrap()), "{codec:?}: {pushed}");
    }
    let grown = besieged.peak_kib().unwrap() - before;
    assert!(grown < 64 << 10, "bombs took {grown} KiB");
    besieged.stand("pushed bombs").unwrap();
}

#[test]
fn a_bomb_that_is_stored_hurts_its_own_partition_only() {
    let mut server = Server::start(&[("log.cleaner.backoff.ms", "100")]).unwrap();
    let topic = |name: &str| {
        let configs = json!([{"name": "cleanup.policy", "value": "compact"}, {"name": "min.cleanable.dirty.ratio", "value": "0"},
            {"name": "segment.ms", "value": "1000"}]);
        json!({"name": name, "numPartitions": 1, "replicationFactor": 1, "configs": configs})
    };
    let mut asker = Asker::new(server.bootstrap());
    let create = json!({"topics": [topic("mined"), topic("sound")], "timeoutMs": 10_000});
    asker.ask(ApiKey::CreateTopics, 7, &create).unwrap();
    drop(asker);
    server.stop().unwrap();
    // As if it had been taken before there was a limit: behind the last stop, with nothing that says what is in the log.
    let bomb = batch(Compression::Zstd, &vec![0; BOMB_BYTES]).unwrap();
    let partition = server.directory().join("data/mined-0");
    for name in fs::read_dir(&partition).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()) {
        if name != "partition.metadata" {
            fs::remove_file(partition.join(name)).unwrap();
        }
    }
    fs::write(partition.join("00000000000000000000.log"), &bomb).unwrap();
    fs::remove_file(server.directory().join("data/.kafka_cleanshutdown")).unwrap();
    server.launch().unwrap();
    let mut asker = Asker::new(server.bootstrap());
    // By its time: the batch would have to be opened to find the record.
    let by_time = json!({"replicaId": -1, "topics": [{"name": "mined", "partitions": [{"partitionIndex": 0, "timestamp": 1_700_000_000_000i64}]}]});
    let mut connection = Connection::open(&server.bootstrap()).unwrap();
    let listed = connection.ask(ApiKey::ListOffsets, 8, &by_time).unwrap();
    // No answer but an error: that there is nothing at that time would not be true.
    assert_eq!(listed["topics"][0]["partitions"][0]["errorCode"], 56, "{listed}");
    // The other partition takes records and gives them out.
    let keyed = batch(Compression::None, b"v").unwrap();
    let produced = asker.ask(ApiKey::Produce, 9, &produce("sound", &keyed)).unwrap();
    // A record without a key has no place in a compacted topic: it was looked at.
    assert_eq!(produced["responses"][0]["partitionResponses"][0]["errorCode"], 87, "{produced}");
    drop((asker, connection));
    server.stop().unwrap();
    assert!(!server.log().contains("panicked"), "{}", server.log());
}
