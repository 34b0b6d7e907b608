//! `kafka-verifiable-producer`: sends numbers and tells of the fate of each as JSON.

use crate::argparse::{Opt, Options, Parser, Values};
use crate::connection::{add_properties, block_on, producer, stopped};
use crate::console::Console;
use crate::in_flight::{InFlight, ticking};
use crate::java::{exception_class, now_ms, uncaught};
use crate::json_lines::{Object, event};
use crate::subcommands::{Failure, Tool};
use crate::throttle::Throttle;
use ottla_client::{ClientError, Producer, ProducerRecord, RecordMetadata};
use serde_json::Value;
use std::collections::BTreeMap;

const PARSER: Parser = Parser {
    about: "Sends rising numbers to a topic, and tells in JSON which of them were acknowledged.",
    usage: "usage: verifiable-producer [-h] --topic TOPIC [--max-messages MAX-MESSAGES]
                           [--throughput THROUGHPUT] [--acks ACKS]
                           [--producer.config CONFIG-FILE]
                           [--message-create-time CREATE-TIME]
                           [--value-prefix VALUE-PREFIX]
                           [--repeating-keys REPEATING-KEYS]
                           [--command-config CONFIG-FILE]
                           --bootstrap-server HOST1:PORT1[,HOST2:PORT2[...]]\n",
    options: Options {
        needs_exclusive: true,
        table: &[
            Opt::text("topic", "The topic to send to.").required(),
            Opt::text("bootstrap-server", "Servers of the cluster, host:port.").exclusive(),
            Opt::integer("max-messages", "How many records to send; -1: as many as there is time for."),
            Opt::integer("throughput", "About so many records a second; -1: as many as can be."),
            Opt::integer("acks", "When a record counts as sent.").one_of(&["0", "1", "-1"]),
            Opt::text("producer.config", "Deprecated: use --command-config."),
            Opt::long("message-create-time", "The first record's timestamp, in milliseconds since the epoch."),
            Opt::integer("value-prefix", "Stands before each value, with a point behind it."),
            Opt::integer("repeating-keys", "Keys are numbers below this, one after the other."),
            Opt::text("command-config", "A properties file with settings of the producer."),
        ],
    },
    subcommands: &[],
};

/// Runs the tool.
pub(crate) fn run(arguments: &[String], console: &mut Console) -> i32 {
    let tool = Tool { name: "verifiable-producer", parser: PARSER, help_code: 1 };
    tool.run_or_help(arguments, console, |_, values, console| {
        let settings = match settings(values, console) {
            Ok(settings) => settings,
            Err(error) => return Ok(tool.refuse(&error, console)),
        };
        block_on(produce(values, &settings, console))?
    })
}

fn settings(values: &Values, console: &mut Console) -> Result<BTreeMap<String, String>, String> {
    if values.has("producer.config") && values.has("command-config") {
        return Err("Options --producer.config and --command-config are mutually exclusive.".to_owned());
    }
    if values.has("producer.config") {
        console.line(
            "Option --producer.config has been deprecated and will be removed in a future version. Use --command-config instead.",
        );
    }
    let mut settings = BTreeMap::from(
        [
            ("bootstrap.servers", values.one("bootstrap-server").unwrap_or_default()),
            ("acks", values.one("acks").unwrap_or("-1")),
            // Each record has its fate told as it came.
            ("retries", "0"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned())),
    );
    if let Some(path) = values.one("producer.config").or(values.one("command-config")) {
        add_properties(&mut settings, path)?;
    }
    Ok(settings)
}

/// A record's key and value.
struct Sent {
    key: Option<String>,
    value: String,
}

struct Run<'a> {
    topic: &'a str,
    console: &'a mut Console,
    in_flight: InFlight<Sent>,
    sent: u64,
    acknowledged: u64,
}

async fn produce(values: &Values, settings: &BTreeMap<String, String>, console: &mut Console) -> Result<i32, Failure> {
    let producer = producer(settings).map_err(|exception| Failure(uncaught(&exception)))?;
    let started = now_ms();
    let throughput: i32 = values.number("throughput").unwrap_or(-1);
    let topic = values.one("topic").unwrap_or_default();
    let mut run = Run { topic, console, in_flight: InFlight::new(), sent: 0, acknowledged: 0 };
    run.console.event(event("startup_complete"));
    let code = {
        let sending = run.send_all(&producer, values, f64::from(throughput));
        tokio::select! {
            () = sending => 0,
            code = stopped() => code,
        }
    };
    run.finish(&producer).await;
    let seconds = (now_ms() - started) as f64 / 1_000.0;
    let rate = run.acknowledged as f64 / seconds;
    let summary = event("tool_data")
        .with("sent", run.sent)
        .with("acked", run.acknowledged)
        .with("target_throughput", throughput)
        // Jackson writes what is no number as a text.
        .with("avg_throughput", if rate.is_finite() { Value::from(rate) } else { Value::from("NaN") });
    run.console.event(summary);
    Ok(code)
}

impl Run<'_> {
    async fn send_all(&mut self, producer: &Producer, values: &Values, throughput: f64) {
        let records: i32 = values.number("max-messages").unwrap_or(-1);
        let records = u64::try_from(records).unwrap_or(u64::MAX);
        let prefix: Option<i32> = values.number("value-prefix");
        let keys: Option<i32> = values.number("repeating-keys");
        let started = now_ms();
        let mut create_time: Option<i64> = values.number("message-create-time").filter(|time| *time != -1);
        let throttle = Throttle::new(throughput);
        for number in 0..records {
            let value = prefix.map_or_else(|| number.to_string(), |prefix| format!("{prefix}.{number}"));
            // A bound that is never met lets the keys rise for ever.
            let key =
                keys.map(|keys| u64::try_from(keys).ok().filter(|keys| *keys > 0).map_or(number, |keys| number % keys));
            let mut record = ProducerRecord::new(self.topic).value(value.clone());
            record.key = key.map(|key| key.to_string().into());
            record.timestamp = create_time;
            create_time = create_time.map(|time| time + now_ms() - started);
            self.send(producer, record, Sent { key: key.map(|key| key.to_string()), value }).await;
            ticking(throttle.wait(number + 1), || self.settle()).await;
        }
    }

    async fn send(&mut self, producer: &Producer, record: ProducerRecord, about: Sent) {
        self.settle();
        self.sent += 1;
        match ticking(producer.send(record), || self.settle()).await {
            Ok(delivery) => self.in_flight.push(delivery, about),
            Err(error) => {
                let failure = self.failure(&about, &error);
                self.console.event(failure);
            }
        }
    }

    /// Tells of all records whose fate is known.
    fn settle(&mut self) {
        let mut told = Vec::new();
        self.in_flight.settle(|about, result| told.push((about, result)));
        for (about, result) in told {
            let told = match result {
                Ok(metadata) => {
                    self.acknowledged += 1;
                    success(&about, &metadata)
                }
                Err(error) => self.failure(&about, &error),
            };
            self.console.event(told);
        }
    }

    fn failure(&self, about: &Sent, error: &ClientError) -> Object {
        event("producer_send_error")
            .with("topic", self.topic)
            .with("key", about.key.clone())
            .with("value", about.value.as_str())
            .with("exception", format!("class {}", exception_class(error)))
            .with("message", error.to_string())
    }

    async fn finish(&mut self, producer: &Producer) {
        ticking(producer.flush(), || self.settle()).await;
        self.settle();
        producer.close().await;
        self.console.event(event("shutdown_complete"));
    }
}

fn success(about: &Sent, metadata: &RecordMetadata) -> Object {
    event("producer_send_success")
        .with("key", about.key.clone())
        .with("value", about.value.as_str())
        .with("offset", metadata.offset)
        .with("topic", &*metadata.topic)
        .with("partition", metadata.partition)
}
