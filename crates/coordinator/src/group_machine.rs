//! The group coordinator as a hosted machine.

use crate::{
    Batching, CodecError, Effects, EncodedRecord, Machine, RecordCodec, Release, Replaying, Reply, TimerChange, Token,
};
use core::fmt;
use ottla_groups::record::{Decoded, decode, encode};
use ottla_groups::{
    ClusterView, Completion, GroupCoordinator, GroupRecord, GroupSettings, Request, RequestContext, Response, TimerKey,
};
use ottla_protocol::ErrorCode;
use ottla_types::{Offset, ProducerId, Timestamp};
use std::sync::Arc;

/// A request to a group's shard.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupRequest {
    /// Who asks, and in which version.
    pub context: RequestContext,
    /// What.
    pub request: Request,
}

/// The group coordinator of one partition of `__consumer_offsets`.
pub struct GroupMachine {
    /// The coordinator.
    pub coordinator: GroupCoordinator,
    views: Views,
}

/// Gives what the cluster is at the moment.
pub type Views = Box<dyn Fn() -> Arc<dyn ClusterView> + Send>;

impl fmt::Debug for GroupMachine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GroupMachine").field(&self.coordinator).finish()
    }
}

impl GroupMachine {
    /// A coordinator that knows no groups yet.
    pub fn new(settings: GroupSettings, views: Views) -> Self {
        Self { coordinator: GroupCoordinator::new(settings), views }
    }

    /// The coordinator, told what the cluster is now.
    fn current(&mut self) -> &mut GroupCoordinator {
        self.coordinator.set_view((self.views)());
        &mut self.coordinator
    }
}

/// The records of `__consumer_offsets`.
#[derive(Debug)]
pub struct GroupCodec;

impl RecordCodec for GroupCodec {
    type Record = GroupRecord;

    fn encode(record: &GroupRecord) -> Result<EncodedRecord, CodecError> {
        let (key, value) = encode(record).map_err(CodecError::new)?;
        Ok(EncodedRecord { key: Some(key), value })
    }

    fn decode(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Option<GroupRecord>, CodecError> {
        match decode(key, value).map_err(CodecError::new)? {
            Decoded::Record(record) => Ok(Some(record)),
            Decoded::UnknownType(record_type) => {
                tracing::warn!(record_type, "passed over a record of an unknown type");
                Ok(None)
            }
        }
    }
}

impl Machine for GroupMachine {
    type Request = GroupRequest;
    type Response = Response;
    type Completion = Completion;
    type TimerKey = TimerKey;
    type Codec = GroupCodec;

    fn handle(&mut self, now: Timestamp, request: GroupRequest, token: Token) -> Effects<Self> {
        hosted(self.current().handle(now, &request.context, request.request, ottla_groups::Token(token.0)))
    }

    fn on_timer(&mut self, now: Timestamp, key: &TimerKey) -> Effects<Self> {
        hosted(self.current().on_timer(now, key))
    }

    fn on_committed(&mut self, now: Timestamp, completion: Completion) -> Effects<Self> {
        hosted(self.coordinator.on_committed(now, completion))
    }

    fn on_append_failed(&mut self, now: Timestamp, completion: Completion, error: ErrorCode) -> Effects<Self> {
        hosted(self.coordinator.on_append_failed(now, completion, error))
    }

    fn replay(&mut self, now: Timestamp, offset: Offset, producer_id: Option<ProducerId>, record: GroupRecord) {
        self.coordinator.replay(now, offset, producer_id, record);
    }

    fn replay_transaction_end(&mut self, producer_id: ProducerId, committed: bool) {
        self.coordinator.replay_transaction_end(producer_id, committed);
    }

    fn on_loaded(&mut self, now: Timestamp) -> Effects<Self> {
        hosted(self.current().on_loaded(now))
    }

    fn on_unloaded(&mut self) -> Effects<Self> {
        hosted(self.coordinator.on_unloaded())
    }

    fn refuse(request: &GroupRequest, error: ErrorCode) -> Response {
        ottla_groups::refuse(&request.context, &request.request, error)
    }

    fn fail(response: Response, error: ErrorCode) -> Response {
        ottla_groups::fail_response(response, error)
    }
}

fn hosted(effects: ottla_groups::Effects) -> Effects<GroupMachine> {
    Effects {
        records: effects.records,
        replaying: match effects.replaying {
            ottla_groups::Replaying::Replay => Replaying::Replay,
            ottla_groups::Replaying::Applied => Replaying::Applied,
        },
        batching: match effects.batching {
            ottla_groups::Batching::Atomic => Batching::Atomic,
            ottla_groups::Batching::Splittable => Batching::Splittable,
        },
        producer: effects.producer,
        completion: effects.completion,
        replies: effects.replies.into_iter().map(hosted_reply).collect(),
        timers: effects.timers.into_iter().map(hosted_timer).collect(),
    }
}

fn hosted_reply(reply: ottla_groups::Reply) -> Reply<Response> {
    Reply {
        token: Token(reply.token.0),
        response: reply.response,
        release: match reply.release {
            ottla_groups::Release::Now => Release::Now,
            ottla_groups::Release::Committed => Release::Committed,
        },
    }
}

fn hosted_timer(change: ottla_groups::TimerChange) -> TimerChange<TimerKey> {
    match change {
        ottla_groups::TimerChange::Set { key, delay_ms } => TimerChange::Set { key, delay_ms },
        ottla_groups::TimerChange::SetIfAbsent { key, delay_ms } => TimerChange::SetIfAbsent { key, delay_ms },
        ottla_groups::TimerChange::Cancel { key } => TimerChange::Cancel { key },
    }
}
