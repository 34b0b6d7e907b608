use crate::Side;
use crate::kafka::through_the_wire;
use crate::memory_log::MemoryLog;
use ottla_coordinator::{GroupMachine, GroupRequest, Now, RecordsSettings, Runtime, ShardSettings};
use ottla_env::Monotonic;
use ottla_groups::{GroupSettings, NoTopics, Request, RequestContext, Response};
use ottla_records::{Compression, CompressionLevel};
use ottla_types::{PartitionIndex, Timestamp, TopicId};
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Answers = Arc<Mutex<Vec<(String, Response)>>>;

/// The coordinator of this project on a log in memory, with a clock that only sleeping moves.
pub(crate) struct Ours {
    runtime: Runtime<GroupMachine>,
    log: Arc<MemoryLog>,
    answers: Answers,
    milliseconds: u64,
    requests: u64,
}

impl Ours {
    pub(crate) fn new() -> Self {
        let settings = ShardSettings {
            records: RecordsSettings {
                compression: CompressionLevel::default_of(Compression::None),
                load_bytes: 1 << 20,
                decompressed_bytes_max: 1 << 20,
            },
            commit_timeout: Duration::from_secs(5),
            parked_max: 1_000,
        };
        let groups =
            GroupSettings { initial_rebalance_delay_ms: 0, session_timeout_ms_min: 500, ..GroupSettings::default() };
        let log = Arc::new(MemoryLog::default());
        let runtime = Runtime::new(settings, Box::new(|| ()));
        let ours = Self { runtime, log, answers: Answers::default(), milliseconds: 0, requests: 0 };
        ours.runtime
            .load(
                ours.now(),
                PartitionIndex(0),
                GroupMachine::new(groups, Box::new(|| Arc::new(NoTopics))),
                ours.log.clone(),
            )
            .unwrap();
        ours
    }

    pub(crate) fn log(&self) -> Arc<MemoryLog> {
        self.log.clone()
    }

    fn now(&self) -> Now {
        Now {
            wall: Timestamp(1_700_000_000_000 + i64::try_from(self.milliseconds).unwrap()),
            monotonic: Monotonic(self.milliseconds * 1_000_000),
        }
    }
}

impl Side for Ours {
    fn send(&mut self, client: &str, version: i16, request: &Request) {
        self.requests += 1;
        let mut random = [0; 16];
        random[8..].copy_from_slice(&self.requests.to_be_bytes());
        let context = RequestContext {
            api_version: version,
            client_id: "client".into(),
            client_host: "/127.0.0.1".into(),
            random,
        };
        let (answers, client) = (self.answers.clone(), client.to_owned());
        let reply_to = move |response| answers.lock().unwrap().push((client, through_the_wire(version, response)));
        let mut request = request.clone();
        if let Request::OffsetCommit(commit) = &mut request {
            // As a broker does, also for clients that name their topics.
            commit.topics.iter_mut().for_each(|topic| topic.topic_id = TopicId::from_u128(1_000));
        }
        let request = GroupRequest { context, request };
        self.runtime.submit(self.now(), PartitionIndex(0), request, Box::new(reply_to));
    }

    fn answers(&mut self, _: usize) -> Vec<(String, Response)> {
        self.runtime.tick(self.now());
        std::mem::take(&mut *self.answers.lock().unwrap())
    }

    fn begin(&mut self) {}

    fn sleep(&mut self, milliseconds: u64) {
        let until = self.milliseconds + milliseconds;
        while self.milliseconds < until {
            self.milliseconds += 1;
            self.runtime.tick(self.now());
        }
    }
}
