use crate::appending::{Writer, Written};
use crate::loading::{LoadError, LoadSummary, load};
use crate::parked::{Parked, ParkedQueue};
use crate::timers::Timers;
use crate::{
    Alarm, Effects, Machine, MachineLog, MarkerEpoch, Now, RecordCodec, RecordsSettings, Release, Replaying,
    TimerChange, Token,
};
use ottla_env::Monotonic;
use ottla_protocol::ErrorCode;
use ottla_records::{BatchBuilder, BatchOptions, EndTransactionMarker};
use ottla_types::{Offset, ProducerEpoch, ProducerId};
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::time::Duration;

/// How a shard runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardSettings {
    /// How batches are written and read.
    pub records: RecordsSettings,
    /// How long replies wait for their records to be committed: `offset.commit.timeout.ms`.
    pub commit_timeout: Duration,
    /// At most so many steps wait for the high watermark at the same time; further requests are refused.
    pub parked_max: usize,
}

/// Timers that fire in one tick; the rest comes with the next one, which follows at once.
const TIMERS_PER_TICK_MAX: usize = 10_000;

/// What a shard is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardState {
    /// Reads its log. Requests are answered COORDINATOR_LOAD_IN_PROGRESS.
    Loading,
    /// Serves.
    Active,
    /// Its log could not be read. Requests are answered NOT_COORDINATOR.
    Failed,
    /// Has been unloaded. Requests are answered NOT_COORDINATOR.
    Closed,
}

/// Takes the answer to a request: called once, with no lock of the shard held, on whichever thread released it.
pub type ReplyTo<M> = Box<dyn FnOnce(<M as Machine>::Response) + Send>;

/// Answers on their way out of the lock.
type Released<M> = Vec<(ReplyTo<M>, <M as Machine>::Response)>;

/// One machine on one partition's log.
///
/// Order: requests are handled in the order in which they get the lock; their records are in the log in that order.
/// Durability: a reply that depends on records is released only when the log's high watermark has passed them.
pub struct Shard<M: Machine> {
    log: Arc<dyn MachineLog>,
    settings: ShardSettings,
    alarm: Arc<Alarm>,
    state: Mutex<State<M>>,
    /// The high watermark has moved while the lock was held by another thread; that one looks again.
    moved: AtomicBool,
    is_closing: AtomicBool,
}

enum State<M: Machine> {
    /// Until the machine comes back from its load.
    Loading(Option<Box<M>>),
    Active(Box<Active<M>>),
    Failed,
    Closed,
}

struct Active<M: Machine> {
    machine: M,
    writer: Writer,
    timers: Timers<M::TimerKey>,
    parked: ParkedQueue<M>,
    waiting: BTreeMap<Token, ReplyTo<M>>,
    next_token: u64,
    last_written: Offset,
    /// Whether something was appended that nobody has been told of.
    has_written: bool,
}

impl<M: Machine> Shard<M> {
    /// A shard that does not serve before [`Self::load`].
    pub fn new(machine: M, log: Arc<dyn MachineLog>, settings: ShardSettings, alarm: Arc<Alarm>) -> Self {
        Self {
            log,
            settings,
            alarm,
            state: Mutex::new(State::Loading(Some(Box::new(machine)))),
            moved: AtomicBool::new(false),
            is_closing: AtomicBool::new(false),
        }
    }

    /// What the shard is doing.
    pub fn state(&self) -> ShardState {
        match &*self.state.lock() {
            State::Loading(_) => ShardState::Loading,
            State::Active(_) => ShardState::Active,
            State::Failed => ShardState::Failed,
            State::Closed => ShardState::Closed,
        }
    }

    /// Replays the whole log, on the calling thread and without the lock, and begins to serve. Loading again does
    /// nothing. The clock is read again when all is replayed: a long load must take nothing from what is timed from then on.
    ///
    /// # Errors
    /// The log can't be read, or holds what can't be understood: the shard has failed for good.
    pub fn load(&self, now: impl Fn() -> Now) -> Result<LoadSummary, LoadError> {
        let machine = match &mut *self.state.lock() {
            State::Loading(machine) => machine.take(),
            State::Active(_) => return Ok(LoadSummary::default()),
            State::Failed | State::Closed => None,
        };
        let Some(mut machine) = machine else { return Err(LoadError::Closed) };
        let go_on = || !self.is_closing.load(Ordering::SeqCst);
        let result = load(&mut *machine, &*self.log, &self.settings.records, now(), go_on);
        let mut state = self.state.lock();
        let now = now();
        if matches!(*state, State::Closed) {
            return Err(LoadError::Closed);
        }
        match result {
            Ok(summary) => {
                let end = self.log.end_offset().unwrap_or(Offset::ZERO);
                let mut active = Box::new(Active {
                    machine: *machine,
                    writer: Writer::new(self.settings.records.compression),
                    timers: Timers::new(),
                    parked: ParkedQueue::new(),
                    waiting: BTreeMap::new(),
                    next_token: 0,
                    last_written: Offset(end.value().saturating_sub(1)),
                    has_written: false,
                });
                let effects = active.machine.on_loaded(now.wall);
                let mut released = Vec::new();
                active.apply(self, now, effects, &mut released);
                *state = State::Active(active);
                self.finish(now, state, released);
                Ok(summary)
            }
            Err(error) => {
                tracing::error!(%error, "a coordinator's log could not be loaded");
                *state = State::Failed;
                Err(error)
            }
        }
    }

    /// Gives the partition up: everyone who waits is answered NOT_COORDINATOR.
    pub fn unload(&self) {
        self.is_closing.store(true, Ordering::SeqCst);
        let mut released = Vec::new();
        let previous = std::mem::replace(&mut *self.state.lock(), State::Closed);
        if let State::Active(mut active) = previous {
            active.unload(&mut released);
        }
        for (reply_to, response) in released {
            reply_to(response);
        }
    }

    /// Takes a request. The answer comes by `reply_to`, perhaps before this returns.
    pub fn submit(&self, now: Now, request: M::Request, reply_to: ReplyTo<M>) {
        let mut released = Vec::new();
        let mut state = self.state.lock();
        match &mut *state {
            State::Active(active) if active.parked.len() < self.settings.parked_max => {
                let token = Token(active.next_token);
                active.next_token += 1;
                active.waiting.insert(token, reply_to);
                let effects = active.machine.handle(now.wall, request, token);
                active.apply(self, now, effects, &mut released);
            }
            other => released.push((reply_to, M::refuse(&request, other.refusal()))),
        }
        self.finish(now, state, released);
    }

    /// Lets everything happen whose time has come, and says when to come again.
    pub fn tick(&self, now: Now) -> Option<Monotonic> {
        let mut released = Vec::new();
        let mut state = self.state.lock();
        let mut next = None;
        if let State::Active(active) = &mut *state {
            active.tick(self, now, &mut released);
            active.advance(self, now, &mut released);
            next = active.next_deadline();
            // The ticking thread itself must not be woken for what it is told here.
            if let Some(deadline) = next {
                self.alarm.note(deadline);
            }
        }
        self.finish(now, state, released);
        next
    }

    /// The partition's high watermark has moved. Never waits for the shard's lock: when another thread has it, that
    /// one looks at the high watermark before it is done.
    pub fn on_high_watermark(&self, now: Now) {
        self.moved.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if let Some(state) = self.state.try_lock() {
            self.finish(now, state, Vec::new());
        }
    }

    /// Appends the marker that ends a producer's transaction, and applies it. Returns the marker's offset: it is
    /// committed when the high watermark has passed it.
    ///
    /// # Errors
    /// The shard does not serve, or the log refuses the append.
    pub fn end_transaction(
        &self,
        now: Now,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        marker: EndTransactionMarker,
        epoch: MarkerEpoch,
    ) -> Result<Offset, ErrorCode> {
        let options = BatchOptions { producer_id, producer_epoch, ..BatchOptions::default() };
        let batch =
            BatchBuilder::end_transaction(options, now.wall, marker).map_err(|_| ErrorCode::UnknownServerError)?;
        let mut state = self.state.lock();
        let State::Active(active) = &mut *state else { return Err(state.refusal()) };
        let offset = self.log.append_marker(&mut batch.to_vec(), epoch)?;
        (active.last_written, active.has_written) = (offset, true);
        active.machine.replay_transaction_end(producer_id, marker.is_commit);
        self.finish(now, state, Vec::new());
        Ok(offset)
    }

    /// Lets the caller look at the machine, or change its settings. `None` when the shard does not serve.
    pub fn with_machine<R>(&self, look: impl FnOnce(&mut M) -> R) -> Option<R> {
        match &mut *self.state.lock() {
            State::Active(active) => Some(look(&mut active.machine)),
            _ => None,
        }
    }

    /// Ends a step: tells of what was appended and releases what is committed by now, outside of the lock, and looks again if the
    /// high watermark has moved meanwhile.
    fn finish<'a>(&'a self, now: Now, mut state: MutexGuard<'a, State<M>>, mut released: Released<M>) {
        loop {
            self.moved.store(false, Ordering::SeqCst);
            let mut has_written = false;
            if let State::Active(active) = &mut *state {
                active.advance(self, now, &mut released);
                has_written = std::mem::take(&mut active.has_written);
                if let Some(deadline) = active.next_deadline() {
                    self.alarm.set(deadline);
                }
            }
            drop(state);
            if has_written {
                self.log.announce();
                // Alone, a leader has committed it thereby.
                self.moved.store(true, Ordering::SeqCst);
            }
            for (reply_to, response) in released.drain(..) {
                reply_to(response);
            }
            // Pairs with the fence of on_high_watermark: either that thread gets the lock, or its flag is seen here.
            fence(Ordering::SeqCst);
            if !self.moved.load(Ordering::SeqCst) {
                return;
            }
            match self.state.try_lock() {
                Some(again) => state = again,
                None => return,
            }
        }
    }
}

impl<M: Machine> State<M> {
    /// What a request is told that is not served in this state.
    fn refusal(&self) -> ErrorCode {
        match self {
            Self::Loading(_) => ErrorCode::CoordinatorLoadInProgress,
            Self::Active(_) => ErrorCode::CoordinatorNotAvailable,
            Self::Failed | Self::Closed => ErrorCode::NotCoordinator,
        }
    }
}

impl<M: Machine> Active<M> {
    fn next_deadline(&self) -> Option<Monotonic> {
        self.timers.next_deadline().into_iter().chain(self.parked.next_deadline()).min()
    }

    /// Carries out the effects of a step, and of the steps that follow from them.
    fn apply(&mut self, shard: &Shard<M>, now: Now, effects: Effects<M>, released: &mut Released<M>) {
        let mut next = Some(effects);
        while let Some(effects) = next {
            next = self.apply_one(shard, now, effects, released);
        }
    }

    fn apply_one(
        &mut self,
        shard: &Shard<M>,
        now: Now,
        effects: Effects<M>,
        released: &mut Released<M>,
    ) -> Option<Effects<M>> {
        for change in effects.timers {
            match change {
                TimerChange::Set { key, delay_ms } => self.timers.set(key, now.monotonic, delay_ms),
                TimerChange::SetIfAbsent { key, delay_ms } => self.timers.set_if_absent(key, now.monotonic, delay_ms),
                TimerChange::Cancel { key } => self.timers.cancel(&key),
            }
        }
        let mut replies = Vec::new();
        for reply in effects.replies {
            match reply.release {
                Release::Now => self.release(reply.token, reply.response, released),
                Release::Committed => replies.push((reply.token, reply.response)),
            }
        }
        let mut failure = None;
        if !effects.records.is_empty() {
            let records = &effects.records;
            let (written, error) =
                self.writer.write::<M::Codec>(&*shard.log, now.wall, records, effects.batching, effects.producer);
            let producer_id = effects.producer.map(|(producer_id, _)| producer_id);
            self.note_written(now, &written, effects.records, effects.replaying, producer_id);
            failure = error;
        }
        match failure {
            Some(error) => {
                for (token, response) in replies {
                    self.release(token, M::fail(response, error), released);
                }
                effects.completion.map(|completion| self.machine.on_append_failed(now.wall, completion, error))
            }
            None => self.park(shard, now, replies, effects.completion, released),
        }
    }

    /// Replays what has been written, if it is to be replayed.
    fn note_written(
        &mut self,
        now: Now,
        written: &[Written],
        records: Vec<<M::Codec as RecordCodec>::Record>,
        replaying: Replaying,
        producer_id: Option<ProducerId>,
    ) {
        let mut records = records.into_iter();
        for batch in written {
            let mut offset = batch.first;
            for record in records.by_ref().take(batch.records) {
                if replaying == Replaying::Replay {
                    self.machine.replay(now.wall, offset, producer_id, record);
                }
                (self.last_written, self.has_written) = (offset, true);
                offset = offset.next();
            }
        }
    }

    /// Lets replies and completion wait for what has been written last; at once when it is committed already.
    fn park(
        &mut self,
        shard: &Shard<M>,
        now: Now,
        replies: Vec<(Token, M::Response)>,
        completion: Option<M::Completion>,
        released: &mut Released<M>,
    ) -> Option<Effects<M>> {
        if replies.is_empty() && completion.is_none() {
            return None;
        }
        let offset = self.last_written;
        if self.parked.len() == 0 && offset < shard.log.high_watermark() {
            for (token, response) in replies {
                self.release(token, response, released);
            }
            return completion.map(|completion| self.machine.on_committed(now.wall, completion));
        }
        let deadline = now.monotonic + shard.settings.commit_timeout;
        self.parked.push(Parked { offset, deadline, replies, completion });
        None
    }

    /// Releases everything that the high watermark has passed.
    fn advance(&mut self, shard: &Shard<M>, now: Now, released: &mut Released<M>) {
        while self.parked.len() > 0 {
            let Some(parked) = self.parked.pop_committed(shard.log.high_watermark()) else { return };
            for (token, response) in parked.replies {
                self.release(token, response, released);
            }
            if let Some(completion) = parked.completion {
                let effects = self.machine.on_committed(now.wall, completion);
                self.apply(shard, now, effects, released);
            }
        }
    }

    fn tick(&mut self, shard: &Shard<M>, now: Now, released: &mut Released<M>) {
        while let Some(parked) = self.parked.pop_expired(now.monotonic) {
            for (token, response) in parked.replies {
                self.release(token, M::fail(response, ErrorCode::RequestTimedOut), released);
            }
            if let Some(completion) = parked.completion {
                let effects = self.machine.on_append_failed(now.wall, completion, ErrorCode::RequestTimedOut);
                self.apply(shard, now, effects, released);
            }
        }
        for _ in 0..TIMERS_PER_TICK_MAX {
            let Some(key) = self.timers.pop_due(now.monotonic) else { return };
            let effects = self.machine.on_timer(now.wall, &key);
            self.apply(shard, now, effects, released);
        }
    }

    fn unload(&mut self, released: &mut Released<M>) {
        for reply in self.machine.on_unloaded().replies {
            self.release(reply.token, reply.response, released);
        }
        while let Some(parked) = self.parked.pop() {
            for (token, response) in parked.replies {
                self.release(token, M::fail(response, ErrorCode::NotCoordinator), released);
            }
        }
        debug_assert!(self.waiting.is_empty(), "requests without an answer");
    }

    fn release(&mut self, token: Token, response: M::Response, released: &mut Released<M>) {
        match self.waiting.remove(&token) {
            Some(reply_to) => released.push((reply_to, response)),
            None => debug_assert!(false, "{token:?} is answered twice"),
        }
    }
}
