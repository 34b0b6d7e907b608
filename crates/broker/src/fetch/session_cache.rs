//! The bounded cache of fetch sessions.

use super::session::{FINAL_EPOCH, FetchSession, INITIAL_EPOCH, NO_SESSION, PartitionKey, PartitionRequest};
use core::time::Duration;
use ottla_env::Monotonic;
use ottla_protocol::ErrorCode;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A session idle for so long may be evicted by any newcomer (Kafka's fixed figure).
const EVICTION_AGE: Duration = Duration::from_secs(120);

/// The session part of a fetch request.
#[derive(Debug)]
pub(crate) struct SessionRequest {
    pub(crate) session_id: i32,
    pub(crate) session_epoch: i32,
    pub(crate) uses_topic_ids: bool,
    pub(crate) is_follower: bool,
    pub(crate) partitions: Vec<(PartitionKey, PartitionRequest)>,
    pub(crate) forgotten: Vec<PartitionKey>,
}

/// How one fetch request relates to a session.
#[derive(Debug)]
pub(crate) enum FetchContext {
    /// No session: every partition is named in the answer, and nothing is remembered.
    Sessionless(Vec<(PartitionKey, PartitionRequest)>),
    /// A full request that wants a session: one is made when the answer is ready and the cache has room.
    Full { request: SessionRequest },
    /// A request within a session: the answer names only what changed.
    Incremental { session: Arc<Mutex<FetchSession>>, epoch: i32 },
}

struct Slot {
    session: Arc<Mutex<FetchSession>>,
    last_used: Monotonic,
    created: Monotonic,
    is_follower: bool,
    size: usize,
}

/// All sessions of a node, at most `slots_max` of them.
pub(crate) struct FetchSessionCache {
    slots_max: usize,
    /// How many partitions all sessions together may have: the sizes of sessions are up to clients.
    partitions_max: usize,
    slots: Mutex<Slots>,
}

#[derive(Default)]
struct Slots {
    by_id: BTreeMap<i32, Slot>,
    /// The sum of their sizes.
    partitions: usize,
}

impl Slots {
    fn remove(&mut self, id: i32) {
        if let Some(slot) = self.by_id.remove(&id) {
            self.partitions -= slot.size;
        }
    }
}

impl FetchSessionCache {
    pub(crate) fn new(slots_max: usize, partitions_max: usize) -> Self {
        Self { slots_max, partitions_max, slots: Mutex::default() }
    }

    /// How many sessions there are.
    pub(crate) fn len(&self) -> usize {
        self.slots.lock().by_id.len()
    }

    /// Finds out what a request is, by KIP-227's rules for id and epoch.
    pub(crate) fn context(&self, now: Monotonic, request: SessionRequest) -> Result<FetchContext, ErrorCode> {
        let is_full = request.session_epoch == INITIAL_EPOCH || request.session_epoch == FINAL_EPOCH;
        if is_full {
            if request.session_id != NO_SESSION {
                self.slots.lock().remove(request.session_id);
            }
            return Ok(match request.session_epoch {
                FINAL_EPOCH => FetchContext::Sessionless(request.partitions),
                _ => FetchContext::Full { request },
            });
        }
        self.incremental(now, request)
    }

    fn incremental(&self, now: Monotonic, request: SessionRequest) -> Result<FetchContext, ErrorCode> {
        let mut slots = self.slots.lock();
        let slots = &mut *slots;
        let slot = slots.by_id.get_mut(&request.session_id).ok_or(ErrorCode::FetchSessionIdNotFound)?;
        let session = slot.session.clone();
        let mut locked = session.lock();
        if locked.epoch() != request.session_epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if locked.uses_topic_ids() != request.uses_topic_ids {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        locked.update(&request.partitions, &request.forgotten);
        if locked.is_empty() {
            drop(locked);
            slots.remove(request.session_id);
            return Ok(FetchContext::Sessionless(request.partitions));
        }
        let partitions = slots.partitions - slot.size + locked.len();
        if locked.len() > slot.size && partitions > self.partitions_max {
            // Its client begins anew, and may get none then. Counted after the update: most partitions that a client names
            // are in its session already.
            drop(locked);
            slots.remove(request.session_id);
            return Err(ErrorCode::FetchSessionIdNotFound);
        }
        slot.last_used = now;
        slots.partitions = partitions;
        slot.size = locked.len();
        let epoch = locked.epoch();
        drop(locked);
        Ok(FetchContext::Incremental { session, epoch })
    }

    /// Makes a session for a full request, when there is room or somebody may be evicted for it. `candidate_id` is a
    /// random number; `None` when it can't be used or there is no room, and the answer then bears session id 0.
    pub(crate) fn create(
        &self,
        now: Monotonic,
        candidate_id: i32,
        request: &SessionRequest,
    ) -> Option<Arc<Mutex<FetchSession>>> {
        if request.partitions.is_empty() || candidate_id <= NO_SESSION {
            return None;
        }
        let mut slots = self.slots.lock();
        if slots.by_id.contains_key(&candidate_id) {
            return None;
        }
        let has_room = |slots: &Slots| {
            let partitions = slots.partitions.saturating_add(request.partitions.len());
            slots.by_id.len() < self.slots_max && partitions <= self.partitions_max
        };
        if !has_room(&slots) {
            let victim = victim(&slots.by_id, now, request.is_follower, request.partitions.len())?;
            slots.remove(victim);
            if !has_room(&slots) {
                return None;
            }
        }
        let session = FetchSession::new(candidate_id, request.uses_topic_ids, &request.partitions);
        let size = session.len();
        let session = Arc::new(Mutex::new(session));
        let is_follower = request.is_follower;
        slots.partitions += size;
        slots
            .by_id
            .insert(candidate_id, Slot { session: session.clone(), last_used: now, created: now, is_follower, size });
        Some(session)
    }
}

/// Who leaves for a newcomer: whoever has been idle for long; or else the smallest consumer session, when the newcomer
/// is a follower, or is larger and the session old enough to have paid for itself.
fn victim(slots: &BTreeMap<i32, Slot>, now: Monotonic, is_follower: bool, size: usize) -> Option<i32> {
    let (oldest_id, oldest) = slots.iter().min_by_key(|(id, slot)| (slot.last_used, **id))?;
    if now.since(oldest.last_used) > EVICTION_AGE {
        return Some(*oldest_id);
    }
    let evictable = |slot: &Slot| {
        let privileged = slot.is_follower;
        let is_old = now.since(slot.created) > EVICTION_AGE;
        (is_follower && !privileged) || (is_old && (is_follower || !privileged) && size > slot.size)
    };
    slots
        .iter()
        .filter(|(_, slot)| evictable(slot))
        .min_by_key(|(id, slot)| (slot.is_follower, slot.size, **id))
        .map(|(id, _)| *id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::session::TopicKey;
    use ottla_types::{LeaderEpoch, Offset};

    const SECOND: Duration = Duration::from_secs(1);

    fn request(session_id: i32, session_epoch: i32, partitions: usize) -> SessionRequest {
        let one = PartitionRequest {
            fetch_offset: Offset(0),
            log_start_offset: Offset(-1),
            current_leader_epoch: LeaderEpoch::NONE,
            last_fetched_epoch: LeaderEpoch::NONE,
            partition_max_bytes: 1024,
        };
        let partitions = (0..partitions)
            .map(|p| (PartitionKey { topic: TopicKey::Name("t".into()), partition: p as i32 }, one))
            .collect();
        SessionRequest {
            session_id,
            session_epoch,
            uses_topic_ids: false,
            is_follower: false,
            partitions,
            forgotten: Vec::new(),
        }
    }

    #[test]
    fn an_unknown_session_and_a_wrong_epoch_are_refused() {
        let cache = FetchSessionCache::new(10, 1000);
        let now = Monotonic(0);
        assert_eq!(cache.context(now, request(5, 1, 1)).unwrap_err(), ErrorCode::FetchSessionIdNotFound);
        cache.create(now, 5, &request(0, 0, 1)).unwrap();
        assert_eq!(cache.context(now, request(5, 2, 1)).unwrap_err(), ErrorCode::InvalidFetchSessionEpoch);
        let by_id = SessionRequest { uses_topic_ids: true, ..request(5, 1, 1) };
        assert_eq!(cache.context(now, by_id).unwrap_err(), ErrorCode::FetchSessionTopicIdError);
        assert!(matches!(cache.context(now, request(5, 1, 0)), Ok(FetchContext::Incremental { epoch: 2, .. })));
    }

    #[test]
    fn the_final_epoch_closes_the_session() {
        let cache = FetchSessionCache::new(10, 1000);
        cache.create(Monotonic(0), 5, &request(0, 0, 1)).unwrap();
        let context = cache.context(Monotonic(0), request(5, FINAL_EPOCH, 1));
        assert!(matches!(context, Ok(FetchContext::Sessionless(_))));
        assert_eq!(cache.len(), 0);
    }

    #[test]
    fn a_full_cache_evicts_the_idle_only() {
        let cache = FetchSessionCache::new(1, 1000);
        cache.create(Monotonic(0), 5, &request(0, 0, 1)).unwrap();
        assert!(cache.create(Monotonic(0) + 100 * SECOND, 6, &request(0, 0, 1)).is_none());
        assert!(cache.create(Monotonic(0) + 121 * SECOND, 6, &request(0, 0, 1)).is_some());
        assert_eq!(cache.len(), 1);
    }

    #[test]
    fn sessions_have_no_more_partitions_than_there_is_room_for() {
        let cache = FetchSessionCache::new(10, 5);
        let now = Monotonic(0);
        cache.create(now, 5, &request(0, 0, 4)).unwrap();
        assert!(cache.create(now, 6, &request(0, 0, 2)).is_none());
        cache.create(now, 6, &request(0, 0, 1)).unwrap();
        // What there is goes on, also when its partitions are named again; who wants more has to begin anew.
        assert!(matches!(cache.context(now, request(5, 1, 0)), Ok(FetchContext::Incremental { .. })));
        assert!(matches!(cache.context(now, request(5, 2, 4)), Ok(FetchContext::Incremental { .. })));
        assert!(matches!(cache.context(now, request(6, 1, 1)), Ok(FetchContext::Incremental { .. })));
        assert_eq!(cache.context(now, request(6, 2, 2)).unwrap_err(), ErrorCode::FetchSessionIdNotFound);
        assert_eq!(cache.len(), 1);
        cache.create(now, 7, &request(0, 0, 1)).unwrap();
    }

    #[test]
    fn a_follower_takes_a_consumers_place() {
        let cache = FetchSessionCache::new(1, 1000);
        cache.create(Monotonic(0), 5, &request(0, 0, 9)).unwrap();
        let follower = SessionRequest { is_follower: true, ..request(0, 0, 1) };
        assert!(cache.create(Monotonic(0), 6, &follower).is_some());
        assert!(cache.create(Monotonic(0), 7, &request(0, 0, 99)).is_none(), "but a consumer never a follower's");
    }
}
