//! Values for the fields of requests: mostly such as a client would send, sometimes such as none would.

use ottla_protocol::schema::{FieldSchema, FieldType, StructSchema, by_name};
use ottla_records::{BatchBuilder, BatchOptions, Compression, CompressionLevel, Compressor, RecordToWrite};
use ottla_tests::raw::base64;
use ottla_types::{ProducerEpoch, ProducerId, Sequence, Timestamp};
use serde_json::{Map, Value, json};

pub(crate) const GROUPS: [&str; 3] = ["g", "h", "another group"];
pub(crate) const TRANSACTIONS: [&str; 3] = ["t", "u", "another transaction"];

const TOPICS: [&str; 11] =
    ["log", "compacted", "stamped", "new", "newer", "newest", "nothing", "a b", "", "__consumer_offsets", "."];
const TOPIC_KEYS: [(&str, &[&str]); 16] = [
    ("retention.ms", &["1000000000", "-1", "-2", "x", ""]),
    ("retention.bytes", &["100000000", "-1", "-2"]),
    ("cleanup.policy", &["compact", "delete", "compact,delete", "nonsense", ""]),
    ("max.message.bytes", &["1000000", "0", "-1"]),
    ("segment.bytes", &["1048576", "10", "9999999999"]),
    ("min.insync.replicas", &["1", "2", "0"]),
    ("compression.type", &["producer", "zstd", "gzip", "uncompressed", "rar"]),
    ("compression.zstd.level", &["1", "23"]),
    ("message.timestamp.type", &["CreateTime", "LogAppendTime", "createtime"]),
    ("message.timestamp.after.max.ms", &["3600000", "-1"]),
    ("min.cleanable.dirty.ratio", &["0.5", "1.5", "NaN"]),
    ("unclean.leader.election.enable", &["true", "False", "maybe"]),
    ("leader.replication.throttled.replicas", &["*", "0:1", "none", "a:b"]),
    ("min.compaction.lag.ms", &["1000", "-5"]),
    ("index.interval.bytes", &["4096", "0"]),
    ("no.such.key", &["1"]),
];
const OTHER_KEYS: [(&str, &[&str]); 9] = [
    ("log.retention.ms", &["1000000000", "x"]),
    ("log.cleaner.threads", &["1", "2", "0"]),
    ("max.connections.per.ip", &["2147483647", "-1"]),
    ("message.max.bytes", &["1048588", "0"]),
    ("consumer.session.timeout.ms", &["45000", "1"]),
    ("consumer.heartbeat.interval.ms", &["5000", "-1"]),
    ("node.id", &["1"]),
    ("interval.ms", &["1000", "0"]),
    ("metrics", &["a.b", ""]),
];
const QUOTA_KEYS: [&str; 6] = [
    "producer_byte_rate",
    "consumer_byte_rate",
    "request_percentage",
    "controller_mutation_rate",
    "connection_creation_rate",
    "nonsense",
];

/// A source of values. The same seed gives the same requests as long as the answers are the same.
pub(crate) struct Values {
    state: u64,
    api: String,
    member_ids: Vec<String>,
    topic_ids: Vec<String>,
    producer_ids: Vec<String>,
    batches: Vec<String>,
}

impl Values {
    pub(crate) fn new(seed: u64) -> Self {
        let state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let (member_ids, topic_ids, producer_ids) = (Vec::new(), Vec::new(), Vec::new());
        Self { state, api: String::new(), member_ids, topic_ids, producer_ids, batches: batches() }
    }

    /// xorshift64*: enough for choices.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        ((self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound as u64) as usize
    }

    /// One of the choices; the first one half of the time.
    fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        let at = if self.below(2) == 0 { 0 } else { self.below(choices.len()) };
        choices[at].clone()
    }

    fn any<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }

    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// Takes note of the names under which ids can be used in requests.
    pub(crate) fn learn(&mut self, names: &[String]) {
        let (mut members, mut topics, mut producers) = (Vec::new(), Vec::new(), Vec::new());
        for name in names {
            match name.as_str() {
                name if name.starts_with("<memberId ") => members.push(name.to_owned()),
                name if name.starts_with("<topicId") => topics.push(name.to_owned()),
                name if name.starts_with("<producerId ") => producers.push(name.to_owned()),
                _ => {}
            }
        }
        // In an order that does not depend on the ids.
        for (list, learned) in
            [(&mut self.member_ids, members), (&mut self.topic_ids, topics), (&mut self.producer_ids, producers)]
        {
            *list = learned;
            list.sort();
        }
    }

    /// The body of a request.
    pub(crate) fn request(&mut self, api: &str, version: i16) -> Value {
        self.api = api.to_owned();
        let schema = by_name(&format!("{api}Request")).unwrap();
        self.structure(schema.structure, version, "")
    }

    fn structure(&mut self, schema: &StructSchema, version: i16, parent: &str) -> Value {
        let mut members = Map::new();
        for field in schema.fields.iter().filter(|field| field.versions.contains(version)) {
            members.insert(field.name.to_owned(), self.field(field, version, parent));
        }
        Value::Object(members)
    }

    fn field(&mut self, field: &FieldSchema, version: i16, parent: &str) -> Value {
        // Without records Apache Kafka does not answer at all.
        let may_be_null = field.nullable.contains(version) && !["records", "configurationKeys"].contains(&field.name);
        if may_be_null && self.one_in(if matches!(field.kind, FieldType::Array(_)) { 4 } else { 10 }) {
            return Value::Null;
        }
        if field.tagged.contains(version) && self.one_in(2) && !matches!(field.kind, FieldType::Struct(_)) {
            return default_of(field);
        }
        self.value(&field.kind, field.name, version, parent)
    }

    fn value(&mut self, kind: &FieldType, name: &str, version: i16, parent: &str) -> Value {
        match kind {
            FieldType::Struct(schema) => self.structure(schema, version, name),
            FieldType::Array(element) => self.list(element, name, version),
            FieldType::Bool => json!(self.one_in(2)),
            FieldType::String => json!(self.text(name, parent)),
            FieldType::Uuid => self.id(name),
            FieldType::Bytes => json!(self.of(&["", "AAAA", "c2FsdA==", "AAEAAAAAAAAAAAAA"])),
            FieldType::Records => json!(self.batch()),
            FieldType::F64 => json!(self.of(&[1000.0, 5.5, 0.0, -1.0, 1e18])),
            FieldType::I8 => json!(self.small(name)),
            FieldType::I16 | FieldType::U16 => json!(match name {
                // Without acknowledgements there would be no answer.
                "acks" => self.of(&[1, -1, 5]),
                "replicationFactor" => self.of(&[1, -1, 0, 2]),
                _ => self.of(&[0, 1, -1, 5]),
            }),
            FieldType::I32 | FieldType::U32 => self.number(name),
            FieldType::I64 => self.long(name),
        }
    }

    /// Each element once, by what names it: Apache Kafka keeps most lists in hash tables, and no client repeats itself.
    fn list(&mut self, element: &FieldType, name: &str, version: i16) -> Value {
        let is_of_partitions =
            name.to_lowercase().contains("partition") || ["transactions", "configurationKeys"].contains(&name);
        let length = self.any(if is_of_partitions { &[1, 1, 2, 3, 2][..] } else { &[1, 1, 1, 2, 2, 3, 0] });
        let mut list: Vec<Value> = Vec::new();
        for _ in 0..length {
            let value = self.value(element, name, version, name);
            if list.iter().all(|known| identity(known) != identity(&value)) {
                list.push(value);
            }
        }
        Value::Array(list)
    }

    fn batch(&mut self) -> String {
        let batches = self.batches.clone();
        self.of(&batches)
    }

    fn id(&mut self, name: &str) -> Value {
        const NONE: &str = "AAAAAAAAAAAAAAAAAAAAAA";
        const UNKNOWN: &str = "3Db5QLSqSZieL3rJBUUegA";
        if !name.to_lowercase().contains("topic") || self.topic_ids.is_empty() || self.one_in(6) {
            return json!(if self.api == "Fetch" { UNKNOWN } else { self.of(&[NONE, UNKNOWN]) });
        }
        let mut ids = self.topic_ids.clone();
        if self.api == "DeleteTopics" {
            ids.retain(|id| !id.contains("__"));
        }
        json!(self.any(&ids))
    }

    fn topic(&mut self) -> String {
        // What becomes of a coordinator whose topic is deleted is not of this test.
        if matches!(self.api.as_str(), "DeleteTopics" | "Produce") {
            return self.any(&TOPICS[if self.api == "Produce" { 0..9 } else { 3..9 }]).to_owned();
        }
        if self.one_in(40) { "x".repeat(250) } else { self.any(&TOPICS[..]).to_owned() }
    }

    fn text(&mut self, name: &str, parent: &str) -> String {
        let text = match (self.api.as_str(), parent, name) {
            ("IncrementalAlterConfigs" | "AlterConfigs" | "CreateTopics", "configs", "name") => {
                self.any(&KEYS_OF_TOPICS)
            }
            ("IncrementalAlterConfigs" | "AlterConfigs", "resources", "resourceName") => {
                return if self.one_in(3) { self.any(&["1", "", "7", "g", "sub"]).to_owned() } else { self.topic() };
            }
            ("DescribeConfigs", "resources", "resourceName") => {
                return if self.one_in(3) { self.any(&["1", "", "7", "g", "sub"]).to_owned() } else { self.topic() };
            }
            ("AlterUserScramCredentials" | "DescribeUserScramCredentials", _, "name") => {
                self.any(&["alice", "bob", "carl", ""])
            }
            _ => match name {
                "topic" | "topicName" | "name" | "topicNames" | "topics" => return self.topic(),
                "groupId" | "groups" | "groupsNames" | "key" | "coordinatorKeys" if self.api != "AlterClientQuotas" => {
                    self.any(&["g", "h", "another group", "", "t"])
                }
                "key" => self.any(&QUOTA_KEYS),
                "transactionalId" | "transactionalIds" => self.any(&["t", "u", "another transaction", ""]),
                "entityType" => self.any(&["user", "client-id", "ip", "user", "planet", ""]),
                "entityName" | "match" => self.any(&["alice", "bob", "127.0.0.1", ""]),
                "memberId" => return self.member_id(),
                "groupInstanceId" => self.any(&["i", "j"]),
                "protocolType" => self.any(&["consumer", "connect", ""]),
                "path" => self.any(&["/nowhere", "", "relative", "/"]),
                "statesFilter" | "stateFilters" => {
                    self.any(&["Empty", "Stable", "Dead", "Ongoing", "CompleteCommit", "nonsense"])
                }
                "typesFilter" => self.any(&["classic", "consumer", "share", "nonsense"]),
                "configurationKeys" => self.any(&KEYS_OF_TOPICS),
                "value" => return self.config_value(),
                "mechanism" => self.any(&["PLAIN", "SCRAM-SHA-256", ""]),
                "transactionalIdPattern" => self.any(&["t", ".*", "("]),
                "rackId" | "clientRack" => self.any(&["", "r"]),
                "metadata" | "committedMetadata" => self.any(&["", "a note"]),
                _ => self.any(&["", "x", "y"]),
            },
        };
        text.to_owned()
    }

    fn config_value(&mut self) -> String {
        let of_topics = TOPIC_KEYS.iter().chain(&OTHER_KEYS).flat_map(|(_, values)| values.iter().copied());
        let all: Vec<&str> = of_topics.collect();
        self.any(&all).to_owned()
    }

    fn member_id(&mut self) -> String {
        if self.member_ids.is_empty() || self.one_in(3) {
            return self.any(&["", "nobody"]).to_owned();
        }
        let ids = self.member_ids.clone();
        self.any(&ids)
    }

    fn small(&mut self, name: &str) -> i8 {
        match name {
            // To others Apache Kafka does not answer.
            "resourceType" if self.api == "AlterConfigs" => self.any(&[2, 2, 2, 4, 32, 16, 8]),
            "resourceType" => self.any(&[2, 2, 2, 4, 32, 16, 8, 1, 0, 64]),
            "resourceTypes" => self.any(&[2, 4, 8, 16, 32, 1]),
            "configOperation" => self.any(&[0, 0, 1, 2, 3]),
            "isolationLevel" => self.any(&[0, 1, 2]),
            "keyType" => self.any(&[0, 1, 2, 7]),
            "electionType" => self.any(&[0, 1, 5]),
            "matchType" => self.any(&[0, 1, 2, 9]),
            "mechanism" => self.any(&[1, 2, 0, 7]),
            _ => self.any(&[0, 1, 2, 3, 99]),
        }
    }

    fn number(&mut self, name: &str) -> Value {
        let number = match name {
            "partitionIndex" | "partition" | "partitions" | "partitionIndexes" | "index" => self.of(&[0, 1, 2, -1, 9]),
            "timeoutMs" | "transactionTimeoutMs" if self.api == "InitProducerId" => {
                self.of(&[600_000, 0, -1, i32::MAX])
            }
            "timeoutMs" => self.of(&[10_000, 10_000, 10_000, 0, -1]),
            "maxWaitMs" => 0,
            "minBytes" => self.of(&[1, 0, -1]),
            "maxBytes" | "partitionMaxBytes" => self.of(&[1 << 20, 100, 0, -1]),
            "sessionId" => self.of(&[0, 0, 77]),
            "sessionEpoch" => self.of(&[-1, -1, -1, 5]),
            "currentLeaderEpoch"
            | "leaderEpoch"
            | "lastFetchedEpoch"
            | "committedLeaderEpoch"
            | "expectedLeaderEpoch" => self.of(&[-1, 0, 1, 7, -5]),
            "replicaId" => self.of(&[-1, -1, -2, 1]),
            "brokerIds" | "replicas" => self.of(&[1, 1, 2, -1]),
            "numPartitions" | "count" => self.of(&[1, 2, 3, -1, 0, 20_000]),
            "iterations" => self.of(&[8192, 4095, 16_385]),
            "generationId" | "generationIdOrMemberEpoch" | "memberEpoch" => self.of(&[-1, 0, 1, 5]),
            "sessionTimeoutMs" | "rebalanceTimeoutMs" => self.of(&[300_000, 100, -1]),
            "responsePartitionLimit" => self.of(&[2000, 1, 0, -1]),
            _ => self.of(&[0, 1, -1, 5]),
        };
        json!(number)
    }

    fn long(&mut self, name: &str) -> Value {
        match name {
            "producerId" | "producerIdFilters" => {
                if self.producer_ids.is_empty() || self.one_in(5) {
                    return json!(self.any(&[-1i64, 12_345, -7]));
                }
                let ids = self.producer_ids.clone();
                json!(self.any(&ids))
            }
            "timestamp" => json!(self.any(&[-1i64, -2, -3, -4, -5, -6, -9, 0, 1_000, 1_700_000_000_000])),
            "retentionTimeMs" => json!(-1),
            "durationFilter" => json!(self.any(&[-1i64, i64::MAX])),
            _ => json!(self.of(&[0i64, 1, 2, 5, -1, -2, 1_000_000, i64::MAX, i64::MIN])),
        }
    }
}

const KEYS_OF_TOPICS: [&str; TOPIC_KEYS.len() + OTHER_KEYS.len()] = {
    let mut names = [""; TOPIC_KEYS.len() + OTHER_KEYS.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = if at < TOPIC_KEYS.len() { TOPIC_KEYS[at].0 } else { OTHER_KEYS[at - TOPIC_KEYS.len()].0 };
        at += 1;
    }
    names
};

fn default_of(field: &FieldSchema) -> Value {
    use ottla_protocol::schema::DefaultValue::{Null, Number, Zero};
    match (field.default, &field.kind) {
        (Null, _) => Value::Null,
        (Number(number), FieldType::Bool) => json!(number != 0),
        (Number(number), _) => json!(number),
        (Zero, FieldType::Bool) => json!(false),
        (Zero, FieldType::String | FieldType::Bytes) => json!(""),
        (Zero, FieldType::Uuid) => json!("AAAAAAAAAAAAAAAAAAAAAA"),
        (Zero, FieldType::Records) => Value::Null,
        (Zero, FieldType::Array(_)) => json!([]),
        (Zero, _) => json!(0),
    }
}

/// What tells an element of a list from the others.
fn identity(value: &Value) -> Vec<&Value> {
    const NAMING: [&str; 15] = [
        "path",
        "name",
        "topic",
        "topicName",
        "topicId",
        "partitionIndex",
        "partition",
        "index",
        "groupId",
        "transactionalId",
        "resourceType",
        "resourceName",
        "memberId",
        "entityType",
        "key",
    ];
    match value {
        Value::Object(members) => {
            if let Some(name) = members.get("name") {
                return vec![name];
            }
            let named: Vec<&Value> = NAMING.iter().filter_map(|name| members.get(*name)).collect();
            if named.is_empty() { members.values().collect() } else { named }
        }
        other => vec![other],
    }
}

/// Batches, the first a good one, as the JSON form of bytes.
fn batches() -> Vec<String> {
    let batch = |options: BatchOptions, records: usize, key: Option<&[u8]>| {
        let mut builder = BatchBuilder::new(options);
        for number in 0..records {
            let timestamp = Timestamp(1_700_000_000_000 + number as i64);
            builder.append(&RecordToWrite { timestamp, key, value: Some(b"value"), headers: &[] }).unwrap();
        }
        builder.build_vec(&mut Compressor::default()).unwrap()
    };
    let plain = BatchOptions::default;
    let good = batch(plain(), 2, Some(b"key"));
    let mut rotten = good.clone();
    *rotten.last_mut().unwrap() ^= 1;
    let mut of_magic_9 = good.clone();
    of_magic_9[16] = 9;
    let two = [good.clone(), good.clone()].concat();
    let producer = BatchOptions {
        producer_id: ProducerId(12_345),
        producer_epoch: ProducerEpoch(0),
        base_sequence: Sequence(0),
        ..plain()
    };
    let all = [
        good.clone(),
        batch(plain(), 3, None),
        batch(
            BatchOptions { compression: CompressionLevel::default_of(Compression::Zstd), ..plain() },
            5,
            Some(b"key"),
        ),
        batch(
            BatchOptions { compression: CompressionLevel::default_of(Compression::Gzip), ..plain() },
            5,
            Some(b"key"),
        ),
        batch(producer, 1, Some(b"key")),
        rotten,
        of_magic_9,
        two,
        good[..40].to_vec(),
        Vec::new(),
    ];
    all.iter().map(|bytes| base64(bytes)).collect()
}
