use crate::controller_channel::{ControllerChannel, accepted};
use crate::peers::Lane;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{AllocateProducerIdsRequest, AllocateProducerIdsResponse};
use ottla_types::{BrokerEpoch, NodeId, ProducerId};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// How many may wait for the next block. One more is told to ask again.
const WAITING_MAX: usize = 10_000;

type Waiter = Box<dyn FnOnce(Result<ProducerId, ErrorCode>) + Send>;

/// Hands out producer ids of the block that the controller has given to this broker, and asks for the next one when it
/// is used up. An id that was not used when the broker stops is never used.
pub(crate) struct ProducerIds {
    node_id: NodeId,
    broker_epoch: AtomicI64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    block: Range<i64>,
    waiting: VecDeque<Waiter>,
    is_asking: bool,
}

impl ProducerIds {
    pub(crate) fn new(node_id: NodeId) -> Arc<Self> {
        Arc::new(Self { node_id, broker_epoch: AtomicI64::new(-1), state: Mutex::default() })
    }

    /// The broker was registered.
    pub(crate) fn set_broker_epoch(&self, epoch: BrokerEpoch) {
        self.broker_epoch.store(epoch.value(), Ordering::Release);
    }

    /// Gives the next id to `done`: at once, or when the controller has given a block.
    pub(crate) fn next(
        self: &Arc<Self>,
        controller: &ControllerChannel,
        done: impl FnOnce(Result<ProducerId, ErrorCode>) + Send + 'static,
    ) {
        let mut state = self.state.lock();
        if let Some(id) = state.block.next() {
            drop(state);
            return done(Ok(ProducerId::new(id)));
        }
        if state.waiting.len() >= WAITING_MAX {
            drop(state);
            return done(Err(ErrorCode::CoordinatorLoadInProgress));
        }
        state.waiting.push_back(Box::new(done));
        if !std::mem::replace(&mut state.is_asking, true) {
            drop(state);
            self.ask(controller);
        }
    }

    fn ask(self: &Arc<Self>, controller: &ControllerChannel) {
        let request = AllocateProducerIdsRequest {
            broker_id: self.node_id.value(),
            broker_epoch: self.broker_epoch.load(Ordering::Acquire),
            ..Default::default()
        };
        let (ids, again) = (self.clone(), controller.clone());
        controller.ask(Lane::Controller, request, move |answer| {
            let given = match answer {
                Ok(response) => {
                    accepted(response.error_code).map(|()| block(&response)).map_err(|code| code.name().to_owned())
                }
                Err(failure) => Err(failure.to_string()),
            };
            if ids.give(given) {
                ids.ask(&again);
            }
        });
    }

    /// Serves those who wait; says whether some are left, for whom the next block is to be asked.
    fn give(&self, given: Result<Range<i64>, String>) -> bool {
        let (served, refused, goes_on) = {
            let mut state = self.state.lock();
            let mut served = Vec::new();
            let mut refused = VecDeque::new();
            match given {
                Ok(block) if !block.is_empty() => {
                    state.block = block;
                    while !state.block.is_empty()
                        && let Some(waiter) = state.waiting.pop_front()
                    {
                        served.extend(state.block.next().map(|id| (waiter, ProducerId::new(id))));
                    }
                }
                // Producers ask again after this one; the true reason is for the log.
                other => {
                    tracing::warn!(reason = ?other, "no producer ids");
                    refused = std::mem::take(&mut state.waiting);
                }
            }
            state.is_asking = !state.waiting.is_empty();
            (served, refused, state.is_asking)
        };
        served.into_iter().for_each(|(waiter, id)| waiter(Ok(id)));
        refused.into_iter().for_each(|waiter| waiter(Err(ErrorCode::CoordinatorLoadInProgress)));
        goes_on
    }
}

fn block(response: &AllocateProducerIdsResponse) -> Range<i64> {
    let start = response.producer_id_start;
    start..start.saturating_add(i64::from(response.producer_id_len))
}
