//! Tools that measure and that verify: Ottla's and Apache Kafka's say the same with the same exit code, on both servers, but
//! for the numbers that they measured.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

use ottla_client::{Admin, ClientSettings, Consumer, ConsumerRecord, ConsumerSettings, NewTopic, OffsetSpec};
use ottla_oracle::{Captured, Oracle};
use ottla_tests::{Target, binary};
use ottla_types::TopicPartition;
use std::process::Command;
use std::time::Duration;

/// What a tool has said, as far as it is compared.
#[derive(Debug, PartialEq)]
struct Said {
    output: Vec<String>,
    error: Vec<String>,
    code: Option<i32>,
}

impl Said {
    fn new(said: &Captured) -> Self {
        let mut output: Vec<String> = said.stdout.lines().map(masked).collect();
        // How many windows there are depends on the time, and what a client counts on the client.
        output.dedup();
        output
            .truncate(output.iter().position(|line| line.starts_with("Metric Name")).map_or(output.len(), |at| at + 1));
        // What follows the usage is in words of our own.
        if output.first().is_some_and(|line| line.starts_with("usage: ")) {
            let usage = output.split(String::is_empty).next().unwrap_or_default().join(" ");
            output = vec![usage];
        }
        Self { output, error: error(&said.stderr), code: said.code }
    }
}

/// A line without the spaces that fill it, and with an N for each number that depends on the time. Numbers that don't are
/// named in the tests that follow.
fn masked(line: &str) -> String {
    let mut masked = String::new();
    let mut is_number = false;
    for letter in line.split_whitespace().collect::<Vec<_>>().join(" ").chars() {
        let goes_on = letter.is_ascii_digit() || is_number && (letter == '.' || letter == 'E');
        if goes_on && !is_number {
            masked.push('N');
        } else if !goes_on {
            masked.push(letter);
        }
        is_number = goes_on;
    }
    // The sentences about a server's errors are our own.
    if let Some((before, _)) = masked.split_once("\"message\":") {
        return format!("{before}a message");
    }
    masked.replace("NaN", "N").replace("new-java", "new").replace("new-ours", "new")
}

/// The first line, of an exception its class; of a mistake in the arguments the usage and what was wrong.
fn error(text: &str) -> Vec<String> {
    let is_log = |line: &&str| ["SLF4J", " WARN ", " ERROR "].iter().any(|mark| line.contains(mark));
    let lines: Vec<&str> = text.lines().filter(|line| !is_log(line)).collect();
    let Some(first) = lines.first() else { return Vec::new() };
    if first.starts_with("usage: ") {
        // Apache's fills its lines with blanks.
        let words: Vec<_> = lines.iter().flat_map(|line| line.split_whitespace()).collect();
        let words = words.join(" ").replace("- ", "-").replace(" -", "-");
        return vec![words.replace(' ', "")];
    }
    // An exception that was caught is told by its message, and then with its class.
    let class = |line: &str| line.split(": ").next().filter(|class| class.contains("Exception")).map(str::to_owned);
    let caught = lines.iter().skip(1).take(3).find_map(|line| class(line));
    match class(first).or(caught) {
        Some(class) if OWN_WORDS.iter().any(|own| class.ends_with(own)) => vec![class],
        Some(class) => vec![class, first.split(": ").last().unwrap_or_default().to_owned()],
        None => vec![(*first).to_owned()],
    }
}

/// Exceptions whose messages are in words of our own.
const OWN_WORDS: [&str; 4] =
    ["PatternSyntaxException", "ConfigException", "RecordTooLargeException", "NoOffsetForPartitionException"];

/// The tools with their arguments; `SERVER` stands for the address, `FILE:` for a file with this content. They follow each
/// other: what one sends another reads.
const CALLS: &[&str] = &[
    "kafka-producer-perf-test",
    "kafka-producer-perf-test -h",
    "kafka-producer-perf-test --print-metrics",
    "kafka-producer-perf-test --topic fast --num-records 2000 --throughput -1 --record-size 10 --bootstrap-server SERVER",
    "kafka-producer-perf-test --topic fast --num-records 600 --throughput 1000 --record-size 10 --reporting-interval 50 --bootstrap-server SERVER",
    "kafka-producer-perf-test --topic fast --num-records 100 --throughput -1 --record-size 10 --warmup-records 50 --bootstrap-server SERVER",
    "kafka-producer-perf-test --topic fast --num-records 10 --throughput -1 --payload-file FILE:one,two,three --payload-delimiter , --bootstrap-server SERVER",
    "kafka-producer-perf-test --topic fast --num-records 10 --throughput -1 --payload-file FILE: --bootstrap-server SERVER",
    "kafka-producer-perf-test --topic fast --num-records 10 --throughput -1 --payload-file FILE:, --payload-delimiter , --bootstrap-server SERVER",
    "kafka-producer-perf-test --topic fast --num-records 10 --throughput -1 --payload-monotonic --record-key-range 3 --key-distribution range --bootstrap-server SERVER",
    "kafka-producer-perf-test --topic fast --num-records 10 --throughput -1 --payload-monotonic --record-key-range 3 --bootstrap-server SERVER",
    "kafka-producer-perf-test --topic fast --num-records 10 --throughput -1 --payload-monotonic --record-key-range 0 --bootstrap-server SERVER",
    "kafka-producer-perf-test --topic fast --num-records 10 --throughput -1 --payload-monotonic --key-distribution range --bootstrap-server SERVER",
    "kafka-producer-perf-test --topic fast --num-records 10 --throughput -1 --payload-monotonic --key-distribution odd --bootstrap-server SERVER",
    "kafka-producer-perf-test --topic fast --num-records 0 --throughput -1 --payload-monotonic --bootstrap-server SERVER",
    "kafka-producer-perf-test --topic fast --num-records x --throughput -1 --payload-monotonic --bootstrap-server SERVER",
    "kafka-producer-perf-test --topic fast --num-records 10 --throughput x --payload-monotonic --bootstrap-server SERVER",
    "kafka-producer-perf-test --topic fast --num-records 10 --throughput -1 --record-size 0 --bootstrap-server SERVER",
    "kafka-producer-perf-test --topic fast --num-records 10 --throughput -1 --record-size 5 --payload-monotonic --bootstrap-server SERVER",
    "kafka-producer-perf-test --topic fast --num-records 10 --throughput -1 --bootstrap-server SERVER",
    "kafka-producer-perf-test --topic fast --num-records 10 --record-size 5 --bootstrap-server SERVER",
    "kafka-producer-perf-test --topic fast --num-records 10 --throughput -1 --record-size 5 --warmup-records 10 --bootstrap-server SERVER",
    "kafka-producer-perf-test --topic fast --num-records 10 --throughput -1 --record-size 5 --warmup-records -1 --bootstrap-server SERVER",
    "kafka-producer-perf-test --topic fast --num-records 10 --throughput -1 --record-size 5 --reporting-interval 0 --bootstrap-server SERVER",
    "kafka-producer-perf-test --topic fast --num-records 10 --throughput -1 --record-size 5 --transaction-duration-ms 0 --bootstrap-server SERVER",
    "kafka-producer-perf-test --topic fast --num-records 300 --throughput 1000 --record-size 5 --transaction-duration-ms 50 --bootstrap-server SERVER",
    "kafka-producer-perf-test --topic fast --num-records 10 --throughput -1 --record-size 5 --transactional-id GROUP --bootstrap-server SERVER",
    "kafka-producer-perf-test --topic fast --num-records 10 --throughput -1 --record-size 5 --transactional-id GROUP --command-property acks=1 --bootstrap-server SERVER",
    "kafka-producer-perf-test --topic fast --num-records 10 --throughput -1 --record-size 5",
    "kafka-producer-perf-test --topic fast --num-records 10 --throughput -1 --record-size 5 --producer-props bootstrap.servers=SERVER acks=1",
    "kafka-producer-perf-test --topic fast --num-records 10 --throughput -1 --record-size 5 --command-property bootstrap.servers=SERVER acks=1",
    "kafka-producer-perf-test --topic fast --num-records 10 --throughput -1 --record-size 5 --command-property bootstrap.servers=SERVER acks",
    "kafka-producer-perf-test --topic fast --num-records 10 --throughput -1 --record-size 5 --command-property bootstrap.servers=SERVER acks=7",
    "kafka-producer-perf-test --topic fast --num-records 10 --throughput -1 --record-size 5 --command-property a=b --producer-props a=b",
    "kafka-producer-perf-test --topic fast --num-records 10 --throughput -1 --record-size 5 --command-property",
    "kafka-producer-perf-test --topic fast --num-records 10 --throughput -1 --record-size 5 --command-config FILE:bootstrap.servers=SERVER",
    "kafka-producer-perf-test --topic fast --num-records 10 --throughput -1 --record-size 5 --command-config /nonexistent",
    "kafka-producer-perf-test --topic fast --num-records 10 --throughput -1 --record-size 5 --producer.config /nonexistent",
    "kafka-producer-perf-test --topic fast --num-records 10 --throughput -1 --record-size 5 --producer.config /a --command-config /a",
    "kafka-producer-perf-test --topic fast --num-records 1 --throughput -1 --record-size 2000000 --bootstrap-server SERVER",
    "kafka-producer-perf-test --topic fast --num-records 10 --throughput -1 --record-size 5 --print-metrics --bootstrap-server SERVER",
    "kafka-producer-perf-test --topic fast --num-records 10 --throughput -1 --record-size 5 --nonsense --bootstrap-server SERVER",
    "kafka-producer-perf-test --topic fast --num-records 10 --throughput -1 --record-size 5 --bootstrap-server nowhere",
    "kafka-consumer-perf-test",
    "kafka-consumer-perf-test --version",
    "kafka-consumer-perf-test --bootstrap-server SERVER --topic fast --num-records 500 --group GROUP-1",
    "kafka-consumer-perf-test --bootstrap-server SERVER --topic fast --num-records 500 --group GROUP-2 --hide-header",
    "kafka-consumer-perf-test --bootstrap-server SERVER --topic fast --num-records 2000 --group GROUP-3 --show-detailed-stats --reporting-interval 1",
    "kafka-consumer-perf-test --bootstrap-server SERVER --topic fast --num-records 10 --group GROUP-4 --date-format yyyy.MM.dd'T'HH:mm:ss.SSSZ",
    "kafka-consumer-perf-test --bootstrap-server SERVER --topic fast --num-records 10 --group GROUP-5 --date-format bad",
    "kafka-consumer-perf-test --bootstrap-server SERVER --topic fast --num-records 10 --group GROUP-6 --timeout 300 --from-latest",
    "kafka-consumer-perf-test --bootstrap-server SERVER --include f.st --num-records 10 --group GROUP-7",
    "kafka-consumer-perf-test --bootstrap-server SERVER --include f( --num-records 10 --group GROUP-7",
    "kafka-consumer-perf-test --bootstrap-server SERVER --include f.st --topic fast --num-records 10",
    "kafka-consumer-perf-test --bootstrap-server SERVER --num-records 10",
    "kafka-consumer-perf-test --bootstrap-server SERVER --topic fast --messages 10 --group GROUP-8",
    "kafka-consumer-perf-test --bootstrap-server SERVER --topic fast --messages 10 --num-records 10",
    "kafka-consumer-perf-test --bootstrap-server SERVER --topic fast",
    "kafka-consumer-perf-test --bootstrap-server SERVER --topic fast --num-records 0",
    "kafka-consumer-perf-test --bootstrap-server SERVER --topic fast --num-records x",
    "kafka-consumer-perf-test --bootstrap-server SERVER --topic fast --num-records 10 --reporting-interval 0",
    "kafka-consumer-perf-test --bootstrap-server SERVER --topic fast --num-records 10 --command-config /nonexistent",
    "kafka-consumer-perf-test --bootstrap-server SERVER --topic fast --num-records 10 --consumer.config /nonexistent",
    "kafka-consumer-perf-test --bootstrap-server SERVER --topic fast --num-records 10 --consumer.config /a --command-config /a",
    "kafka-consumer-perf-test --bootstrap-server SERVER --topic fast --num-records 10 --group GROUP-9 --command-property max.poll.records=3 --fetch-size 100 --socket-buffer-size 1000",
    "kafka-consumer-perf-test --bootstrap-server SERVER --topic fast --num-records 10 --group GROUP-10 --command-property max.poll.records=x",
    "kafka-consumer-perf-test --bootstrap-server SERVER --topic fast --num-records 10 --group GROUP-11 --print-metrics",
    "kafka-consumer-perf-test --bootstrap-server SERVER --topic fast --num-records 10 --nonsense",
    "kafka-consumer-perf-test --topic fast --num-records 10",
    "kafka-e2e-latency",
    "kafka-e2e-latency --version",
    "kafka-e2e-latency --bootstrap-server SERVER --topic NEW --num-records 3 --producer-acks 1 --record-size 10",
    "kafka-e2e-latency --bootstrap-server SERVER --topic end --num-records 3 --producer-acks all --record-size 10 --record-key-size 4 --num-headers 2 --record-header-size 3 --record-header-key-size 2",
    "kafka-e2e-latency --bootstrap-server SERVER --topic end --num-records 2 --producer-acks all --record-size 0 --num-headers 1 --record-header-size -1",
    "kafka-e2e-latency --bootstrap-server SERVER --topic end --num-records 3 --producer-acks 0 --record-size 10",
    "kafka-e2e-latency --bootstrap-server SERVER --topic end --num-records 0 --producer-acks 1 --record-size 10",
    "kafka-e2e-latency --bootstrap-server SERVER --topic end --num-records x --producer-acks 1 --record-size 10",
    "kafka-e2e-latency --bootstrap-server SERVER --topic end --num-records 3 --producer-acks 1 --record-size -1",
    "kafka-e2e-latency --bootstrap-server SERVER --topic end --num-records 3 --producer-acks 1 --record-size 1 --num-headers -1",
    "kafka-e2e-latency --bootstrap-server SERVER --topic end --num-records 3 --producer-acks 1 --record-size 1 --record-key-size -1",
    "kafka-e2e-latency --bootstrap-server SERVER --topic end --num-records 3 --producer-acks 1 --record-size 1 --record-header-size -2",
    "kafka-e2e-latency --bootstrap-server SERVER --topic end --num-records 3 --producer-acks 1 --record-size 1 --record-header-key-size -1",
    "kafka-e2e-latency --bootstrap-server SERVER --topic end --num-records 3 --producer-acks 1",
    "kafka-e2e-latency --bootstrap-server SERVER --topic end --num-records 3 --producer-acks 1 --record-size 1 --command-config /nonexistent",
    "kafka-e2e-latency SERVER end 2 1 10",
    "kafka-e2e-latency SERVER end 2 1",
    "kafka-e2e-latency SERVER end 2 1 10 /nonexistent",
    "kafka-verifiable-producer -h",
    "kafka-verifiable-producer --topic v --bootstrap-server SERVER --acks 2",
    "kafka-verifiable-producer --topic v --bootstrap-server SERVER --acks x",
    "kafka-verifiable-producer --topic v",
    "kafka-verifiable-producer --acks 1",
    "kafka-verifiable-producer --topic v --bootstrap-server SERVER --max-messages",
    "kafka-verifiable-producer --topic v --bootstrap-server SERVER --message-create-time x",
    "kafka-verifiable-producer --topic v --bootstrap-server SERVER --nonsense",
    "kafka-verifiable-producer --topic v --bootstrap-server SERVER extra",
    "kafka-verifiable-producer --topic v --bootstrap-server SERVER --command-config /nonexistent",
    "kafka-verifiable-producer --topic v --bootstrap-server SERVER --producer.config /nonexistent",
    "kafka-verifiable-producer --topic v --bootstrap-server SERVER --producer.config /a --command-config /a",
    "kafka-verifiable-producer --topic v --bootstrap-server SERVER --command-config FILE:compression.type=zip",
    "kafka-verifiable-producer --topic v --bootstrap-server nowhere",
    "kafka-verifiable-consumer --verbose",
    "kafka-verifiable-consumer --topic v --bootstrap-server SERVER",
    "kafka-verifiable-consumer --topic v --group-id g",
    "kafka-verifiable-consumer --topic v --bootstrap-server SERVER --group-id g --max-messages x",
    "kafka-verifiable-consumer --topic v --bootstrap-server SERVER --group-id g --reset-policy odd",
    "kafka-verifiable-consumer --topic v --bootstrap-server SERVER --group-id g --group-protocol odd",
    "kafka-verifiable-consumer --topic v --bootstrap-server SERVER --group-id g --group-protocol consumer --session-timeout 5",
    "kafka-verifiable-consumer --topic v --bootstrap-server SERVER --group-id g --session-timeout 5",
    "kafka-verifiable-consumer --topic v --bootstrap-server SERVER --group-id g --command-config /nonexistent",
    "kafka-verifiable-consumer --topic v --bootstrap-server SERVER --group-id g --consumer.config /a --command-config /a",
];

/// Calls of tools that speak once more when Java ends: a process for each.
const VERIFYING: &[&str] = &[
    "kafka-verifiable-producer --topic v --bootstrap-server SERVER --max-messages 3",
    "kafka-verifiable-producer --topic v --bootstrap-server SERVER --max-messages 4 --repeating-keys 2 --value-prefix 7 --message-create-time 1000 --acks 1 --throughput 1000",
    "kafka-verifiable-producer --topic v --bootstrap-server SERVER --max-messages 2 --acks 0",
    "kafka-verifiable-producer --topic n@me --bootstrap-server SERVER --max-messages 1",
    "kafka-verifiable-consumer --topic v --bootstrap-server SERVER --group-id GROUP-21 --max-messages 5",
    "kafka-verifiable-consumer --topic v --bootstrap-server SERVER --group-id GROUP-22 --max-messages 3 --verbose --enable-autocommit",
    "kafka-verifiable-consumer --topic v --bootstrap-server SERVER --group-id GROUP-23 --max-messages 0",
    "kafka-verifiable-consumer --topic v --bootstrap-server SERVER --group-id GROUP-24 --max-messages 1 --reset-policy none",
    "kafka-verifiable-consumer --topic v --bootstrap-server SERVER --group-id GROUP-25 --max-messages 5 --group-protocol consumer",
    "kafka-verifiable-consumer --topic v --bootstrap-server SERVER --group-id GROUP-26 --max-messages 3 --group-protocol CONSUMER --group-remote-assignor range",
];

/// The arguments of a call by the tool of `whose`, and the files that it needs.
fn arguments(call: &str, bootstrap: &str, whose: &str, folder: &tempfile::TempDir) -> (String, Vec<String>) {
    let mut words = call.split(' ').map(|word| word.replace("SERVER", bootstrap));
    let tool = words.next().unwrap();
    let argument = |word: String| match word.strip_prefix("FILE:") {
        Some(content) => {
            let path = folder.path().join(format!("file-{}", content.len()));
            std::fs::write(&path, content).unwrap();
            path.to_str().unwrap().to_owned()
        }
        None => word.replace("GROUP", whose).replace("NEW", &format!("new-{whose}")),
    };
    (tool, words.map(argument).collect())
}

fn ours(tool: &str, arguments: &[String]) -> Captured {
    ottla_oracle::run(Command::new(binary().unwrap()).arg(tool).args(arguments), Duration::from_secs(60)).unwrap()
}

async fn prepare(bootstrap: &str) {
    let admin = Admin::new(ClientSettings::new(bootstrap)).unwrap();
    let topic = |name: &str| NewTopic {
        name: name.to_owned(),
        partitions: Some(1),
        replication_factor: Some(1),
        ..Default::default()
    };
    let made = admin.create_topics(&["fast", "end", "v"].map(topic), false).await.unwrap();
    assert!(made.values().all(Result::is_ok));
}

fn compare(target: &Target, who: &str) {
    let bootstrap = target.bootstrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(prepare(&bootstrap));
    let folder = tempfile::tempdir().unwrap();
    let of = |calls: &[&str], whose: &str| -> Vec<_> {
        calls.iter().map(|call| arguments(call, &bootstrap, whose, &folder)).collect()
    };
    let (calls, verifying) = (of(CALLS, "java"), of(VERIFYING, "java"));
    let runs: Vec<_> = calls.iter().map(|(tool, arguments)| (tool.as_str(), arguments.clone())).collect();
    let mut theirs = Oracle::at_home().run_tools(&runs).unwrap();
    theirs.extend(verifying.iter().map(|(tool, arguments)| Oracle::at_home().run_tool(tool, arguments).unwrap()));
    let calls = CALLS.iter().chain(VERIFYING);
    let wrong: Vec<String> = calls
        .zip(&theirs)
        .filter_map(|(call, theirs)| {
            let (tool, arguments) = arguments(call, &bootstrap, "ours", &folder);
            let (ours, theirs) = (Said::new(&ours(&tool, &arguments)), Said::new(theirs));
            let same = ours == theirs;
            (!same).then(|| format!("$ {call}\nOttla's says {ours:#?}\nApache Kafka's says {theirs:#?}"))
        })
        .collect();
    let all = CALLS.len() + VERIFYING.len();
    assert!(wrong.is_empty(), "on {who}, {} of {all} calls:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn tools_that_measure_say_the_same_on_ottla() {
    compare(&Target::ottla().unwrap(), "Ottla");
}

#[test]
fn tools_that_measure_say_the_same_on_apache_kafka() {
    compare(&Target::apache_kafka().unwrap(), "Apache Kafka");
}

/// Keys and values of so many records of a topic.
async fn records(bootstrap: &str, topic: &str, count: usize) -> Vec<(Option<String>, String)> {
    let mut consumer = Consumer::new(ConsumerSettings::new(bootstrap)).unwrap();
    let partition = TopicPartition::new(topic, 0);
    consumer.assign([partition.clone()]);
    consumer.seek_to(&partition, OffsetSpec::Earliest).unwrap();
    let mut records = Vec::new();
    while records.len() < count {
        let polled = consumer.poll(Duration::from_secs(30)).await.unwrap();
        assert!(!polled.is_empty(), "{topic} has no more than {} records", records.len());
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let record =
            |record: &ConsumerRecord| (record.key.as_deref().map(text), text(record.value.as_deref().unwrap()));
        records.extend(polled.iter().map(record));
    }
    records
}

#[test]
fn the_same_seed_makes_the_same_records_as_apache_kafkas_tool() {
    let target = Target::ottla().unwrap();
    let bootstrap = target.bootstrap();
    let folder = tempfile::tempdir().unwrap();
    let how = [
        "--record-size 33 --record-key-range 7 --key-distribution random --random-seed -5",
        "--payload-file FILE:one/two//three/ --payload-delimiter / --random-seed 3",
        "--payload-monotonic --record-key-range 4 --key-distribution range",
    ];
    let calls = |whose: &str| -> Vec<(String, Vec<String>)> {
        let call = |(number, how)| {
            let topic = format!("{whose}-{number}");
            let call = format!(
                "kafka-producer-perf-test --topic {topic} --num-records 50 --throughput -1 {how} --bootstrap-server SERVER"
            );
            arguments(&call, &bootstrap, whose, &folder)
        };
        how.iter().enumerate().map(call).collect()
    };
    let java = calls("java");
    let runs: Vec<_> = java.iter().map(|(tool, arguments)| (tool.as_str(), arguments.clone())).collect();
    let theirs = Oracle::at_home().run_tools(&runs).unwrap();
    assert!(theirs.iter().all(|said| said.code == Some(0)), "{theirs:?}");
    for (tool, arguments) in calls("ours") {
        let said = ours(&tool, &arguments);
        assert_eq!(said.code, Some(0), "{said:?}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (number, how) in how.iter().enumerate() {
        let of = |whose: &str| runtime.block_on(records(&bootstrap, &format!("{whose}-{number}"), 50));
        assert_eq!(of("ours"), of("java"), "{how}");
    }
}
