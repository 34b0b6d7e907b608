use crate::classic::{StaticReplacement, SyncedAssignment};
use crate::migration::Downgraded;
use crate::{GroupRecord, Response};
use ottla_types::{ProducerEpoch, ProducerId};
use std::sync::Arc;

/// Names one request that waits for its reply. The caller chooses it; a token is never used twice at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// When a reply may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// At once: it tells of soft state only.
    Now,
    /// When the records of these effects, and all earlier ones, are committed.
    Committed,
}

/// The answer to the request with this token. Each token gets exactly one.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// Whose answer it is.
    pub token: Token,
    /// The answer.
    pub response: Response,
    /// When it may leave.
    pub release: Release,
}

/// What a timer is for. There is at most one timer of each key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimerKey {
    /// A member of a classic group (or one that is expected to join) has been silent for too long.
    Heartbeat {
        /// The group.
        group_id: Arc<str>,
        /// The member.
        member_id: Arc<str>,
    },
    /// The join phase of a classic group has lasted long enough.
    Join {
        /// The group.
        group_id: Arc<str>,
    },
    /// The sync phase of a classic group has lasted long enough.
    Sync {
        /// The group.
        group_id: Arc<str>,
    },
    /// Offsets and empty groups are due to be looked at for expiry.
    Expiry,
    /// A member of a consumer group must have been heard of.
    ConsumerSession {
        /// The group.
        group_id: Arc<str>,
        /// The member.
        member_id: Arc<str>,
    },
    /// A member of a consumer group must have given up what it is told to.
    ConsumerRebalance {
        /// The group.
        group_id: Arc<str>,
        /// The member.
        member_id: Arc<str>,
    },
    /// A member of the classic protocol in a consumer group was told to join again, and must have done so.
    ConsumerJoin {
        /// The group.
        group_id: Arc<str>,
        /// The member.
        member_id: Arc<str>,
    },
    /// A member of the classic protocol in a consumer group has joined, and must have asked for its assignment.
    ConsumerSync {
        /// The group.
        group_id: Arc<str>,
        /// The member.
        member_id: Arc<str>,
    },
}

/// A timer to set or cancel. Changes are to be carried out in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimerChange {
    /// Fires once after the delay; replaces the timer of the same key.
    Set {
        /// What for.
        key: TimerKey,
        /// Milliseconds from now.
        delay_ms: i64,
    },
    /// The same, but a timer of this key that runs already goes on.
    SetIfAbsent {
        /// What for.
        key: TimerKey,
        /// Milliseconds from now.
        delay_ms: i64,
    },
    /// Never fires. No such timer is no fault.
    Cancel {
        /// What for.
        key: TimerKey,
    },
}

/// Whether the caller replays the records after the append.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Replaying {
    /// The records are the change: replay them once they are in the log.
    #[default]
    Replay,
    /// The machine has changed already; the records only keep what must survive.
    Applied,
}

/// Whether the records of one step must be in one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Batching {
    /// All of them or none.
    #[default]
    Atomic,
    /// Each counts by itself; there may be very many.
    Splittable,
}

/// What the machine wants to do once records are committed, or could not be.
#[derive(Clone, Debug, PartialEq)]
pub enum Completion {
    /// The first record of a new group; the request that made the group may still be parked.
    GroupCreated {
        /// The group.
        group_id: Arc<str>,
        /// The request.
        token: Token,
    },
    /// The leader's assignment of one generation.
    Assignment(SyncedAssignment),
    /// A static member took over its predecessor's place in a stable group.
    StaticMember(StaticReplacement),
    /// A consumer group has become a classic one.
    Downgraded(Downgraded),
}

/// What is to be done after a step. Records first; then replies and timers.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Effects {
    /// To append in this order.
    pub records: Vec<GroupRecord>,
    /// Whether they must be in one batch.
    pub batching: Batching,
    /// Whether to replay the records after the append.
    pub replaying: Replaying,
    /// The transaction that the records belong to.
    pub producer: Option<(ProducerId, ProducerEpoch)>,
    /// To be given back when the records are committed or have failed. Only with records.
    pub completion: Option<Completion>,
    /// To release.
    pub replies: Vec<Reply>,
    /// To carry out at once.
    pub timers: Vec<TimerChange>,
}

impl Effects {
    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.replies.is_empty() && self.timers.is_empty()
    }

    pub(crate) fn reply(&mut self, token: Token, response: Response) {
        self.replies.push(Reply { token, response, release: Release::Now });
    }

    pub(crate) fn reply_when_committed(&mut self, token: Token, response: Response) {
        self.replies.push(Reply { token, response, release: Release::Committed });
    }

    pub(crate) fn set_timer(&mut self, key: TimerKey, delay_ms: i64) {
        self.timers.push(TimerChange::Set { key, delay_ms });
    }

    pub(crate) fn set_timer_if_absent(&mut self, key: TimerKey, delay_ms: i64) {
        self.timers.push(TimerChange::SetIfAbsent { key, delay_ms });
    }

    pub(crate) fn cancel_timer(&mut self, key: TimerKey) {
        self.timers.push(TimerChange::Cancel { key });
    }
}
