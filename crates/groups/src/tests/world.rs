use crate::record::{Decoded, decode, encode};
use crate::{
    Batching, ClusterView, Completion, Effects, GroupCoordinator, GroupSettings, NoTopics, Release, Replaying, Request,
    RequestContext, Response, TimerChange, TimerKey, Token, fail_response,
};
use bytes::Bytes;
use ottla_protocol::ErrorCode;
use ottla_types::{Offset, ProducerId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A record as it lies in the log.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LogRecord {
    pub(super) producer_id: Option<ProducerId>,
    pub(super) key: Bytes,
    pub(super) value: Option<Bytes>,
}

/// What waits for the high watermark.
struct Waiting {
    replies: Vec<(Token, Response)>,
    completion: Option<Completion>,
}

/// The coordinator's surroundings: it carries out effects as the runtime does, and checks that each token is answered
/// once and that each record survives its encoding.
pub(super) struct World {
    pub(super) machine: GroupCoordinator,
    /// What the coordinator is told of the cluster.
    pub(super) view: Arc<dyn ClusterView>,
    pub(super) now_ms: i64,
    pub(super) log: Vec<LogRecord>,
    /// The error of the next appends.
    pub(super) append_error: Option<ErrorCode>,
    /// Whether records stay uncommitted until [`World::commit`].
    pub(super) holds_commits: bool,
    waiting: Vec<Waiting>,
    timers: BTreeMap<(i64, u64), TimerKey>,
    by_key: BTreeMap<TimerKey, (i64, u64)>,
    replies: BTreeMap<Token, Response>,
    open: BTreeSet<Token>,
    sequence: u64,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(GroupSettings { initial_rebalance_delay_ms: 0, ..GroupSettings::default() })
    }

    pub(super) fn with(settings: GroupSettings) -> Self {
        Self {
            machine: GroupCoordinator::new(settings),
            view: Arc::new(NoTopics),
            now_ms: 1_000_000,
            log: Vec::new(),
            append_error: None,
            holds_commits: false,
            waiting: Vec::new(),
            timers: BTreeMap::new(),
            by_key: BTreeMap::new(),
            replies: BTreeMap::new(),
            open: BTreeSet::new(),
            sequence: 0,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp(self.now_ms)
    }

    /// Sends a request, and lets what is due at once happen.
    pub(super) fn send(&mut self, api_version: i16, request: Request) -> Token {
        self.send_as("client", api_version, request)
    }

    pub(super) fn send_as(&mut self, client_id: &str, api_version: i16, request: Request) -> Token {
        self.sequence += 1;
        let token = Token(self.sequence);
        let mut random = [0; 16];
        random[8..].copy_from_slice(&self.sequence.to_be_bytes());
        let context =
            RequestContext { api_version, client_id: client_id.into(), client_host: "/127.0.0.1".into(), random };
        self.open.insert(token);
        self.machine.set_view(self.view.clone());
        let effects = self.machine.handle(self.now(), &context, request, token);
        self.carry_out(effects);
        self.advance(0);
        token
    }

    /// The answer, if it has come.
    pub(super) fn reply(&self, token: Token) -> Option<&Response> {
        self.replies.get(&token)
    }

    /// Sends a request that must be answered at once.
    pub(super) fn ask(&mut self, api_version: i16, request: Request) -> Response {
        let token = self.send(api_version, request);
        self.reply(token).cloned().unwrap_or_else(|| panic!("{token:?} is not answered"))
    }

    pub(super) fn open_tokens(&self) -> usize {
        self.open.len()
    }

    /// Lets time pass; timers fire in their order.
    pub(super) fn advance(&mut self, milliseconds: i64) {
        let until = self.now_ms + milliseconds;
        while let Some(entry) = self.timers.first_entry() {
            let (deadline, _) = *entry.key();
            if deadline > until {
                break;
            }
            let key = entry.remove();
            self.by_key.remove(&key);
            self.now_ms = self.now_ms.max(deadline);
            self.machine.set_view(self.view.clone());
            let effects = self.machine.on_timer(self.now(), &key);
            self.carry_out(effects);
        }
        self.now_ms = until;
    }

    pub(super) fn has_timer(&self, matches: impl Fn(&TimerKey) -> bool) -> bool {
        self.timers.values().any(matches)
    }

    /// Commits everything that has been written.
    pub(super) fn commit(&mut self) {
        for waiting in std::mem::take(&mut self.waiting) {
            self.release(waiting);
        }
    }

    pub(super) fn carry_out(&mut self, effects: Effects) {
        for change in effects.timers {
            let (TimerChange::Set { key, .. } | TimerChange::SetIfAbsent { key, .. } | TimerChange::Cancel { key }) =
                &change;
            if matches!(change, TimerChange::SetIfAbsent { .. }) && self.by_key.contains_key(key) {
                continue;
            }
            if let Some(place) = self.by_key.remove(key) {
                self.timers.remove(&place);
            }
            if let TimerChange::Set { key, delay_ms } | TimerChange::SetIfAbsent { key, delay_ms } = change {
                self.sequence += 1;
                let place = (self.now_ms + delay_ms.max(0), self.sequence);
                self.by_key.insert(key.clone(), place);
                self.timers.insert(place, key);
            }
        }
        let mut waiting = Waiting { replies: Vec::new(), completion: effects.completion };
        for reply in effects.replies {
            match reply.release {
                Release::Now => self.answer(reply.token, reply.response),
                Release::Committed => waiting.replies.push((reply.token, reply.response)),
            }
        }
        assert!(waiting.completion.is_none() || !effects.records.is_empty(), "a completion without records");
        assert!(effects.batching == Batching::Atomic || waiting.completion.is_none());
        if let (Some(error), false) = (self.append_error, effects.records.is_empty()) {
            return self.fail(waiting, error);
        }
        let producer_id = effects.producer.map(|(producer_id, _)| producer_id);
        for record in effects.records {
            let (key, value) = encode(&record).unwrap();
            let Decoded::Record(decoded) = decode(Some(&key), value.as_deref()).unwrap() else { panic!() };
            assert_eq!(decoded, record);
            let offset = Offset(self.log.len() as i64);
            self.log.push(LogRecord { producer_id, key, value });
            if effects.replaying == Replaying::Replay {
                self.machine.replay(Timestamp(self.now_ms), offset, producer_id, record);
            }
        }
        if self.holds_commits { self.waiting.push(waiting) } else { self.release(waiting) }
    }

    fn release(&mut self, waiting: Waiting) {
        for (token, response) in waiting.replies {
            self.answer(token, response);
        }
        if let Some(completion) = waiting.completion {
            let effects = self.machine.on_committed(self.now(), completion);
            self.carry_out(effects);
        }
    }

    fn fail(&mut self, waiting: Waiting, error: ErrorCode) {
        for (token, response) in waiting.replies {
            self.answer(token, fail_response(response, error));
        }
        if let Some(completion) = waiting.completion {
            let effects = self.machine.on_append_failed(self.now(), completion, error);
            self.carry_out(effects);
        }
    }

    fn answer(&mut self, token: Token, response: Response) {
        assert!(self.open.remove(&token), "{token:?} is answered twice");
        self.replies.insert(token, response);
    }

    /// The records of the log, decoded.
    pub(super) fn decoded_log(&self) -> Vec<crate::GroupRecord> {
        let decoded = self.log.iter().map(|record| match decode(Some(&record.key), record.value.as_deref()).unwrap() {
            Decoded::Record(record) => record,
            Decoded::UnknownType(unknown) => panic!("unknown type {unknown}"),
        });
        decoded.collect()
    }

    /// A coordinator that knows only what is in the log.
    pub(super) fn replayed(&self) -> GroupCoordinator {
        let mut machine = GroupCoordinator::new(self.machine.settings.clone());
        for (offset, (log_record, record)) in self.log.iter().zip(self.decoded_log()).enumerate() {
            machine.replay(Timestamp(0), Offset(offset as i64), log_record.producer_id, record);
        }
        machine
    }

    /// Goes on with a coordinator that has been loaded from the log.
    pub(super) fn restart(&mut self) {
        self.carry_out_unload();
        self.machine = self.replayed();
        self.machine.set_view(self.view.clone());
        self.timers.clear();
        self.by_key.clear();
        let effects = self.machine.on_loaded(self.now());
        self.carry_out(effects);
    }

    /// Gives the partition up.
    pub(super) fn carry_out_unload(&mut self) {
        for waiting in std::mem::take(&mut self.waiting) {
            for (token, response) in waiting.replies {
                self.answer(token, fail_response(response, ErrorCode::NotCoordinator));
            }
        }
        for reply in self.machine.on_unloaded().replies {
            self.answer(reply.token, reply.response);
        }
        assert!(self.open.is_empty(), "{:?} are not answered", self.open);
    }
}
