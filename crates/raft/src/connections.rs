use crate::RequestId;
use core::time::Duration;
use ottla_types::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// What is under way to other replicas: to each at most one request, and none to one that has just refused or failed.
///
/// Bounded by the replicas that are asked: voters, bootstrap servers, and the one that is being added.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connections {
    busy: BTreeMap<NodeId, Busy>,
    /// Who was not there when last asked.
    unreached: BTreeSet<NodeId>,
    last_request: u64,
}

#[derive(Clone, Copy, Debug)]
enum Busy {
    /// A request is on its way; it counts as lost after that time.
    Asked { request: RequestId, until: Duration },
    /// It is left alone until that time.
    BackingOff { until: Duration },
}

impl Busy {
    const fn until(self) -> Duration {
        match self {
            Self::Asked { until, .. } | Self::BackingOff { until } => until,
        }
    }
}

impl Connections {
    /// Forgets what is over, and returns those that have not answered in time.
    pub(crate) fn expire(&mut self, now: Duration) -> Vec<NodeId> {
        let silent = self.busy.iter().filter(|(_, busy)| busy.until() <= now && matches!(busy, Busy::Asked { .. }));
        let silent = silent.map(|(id, _)| *id).collect();
        self.busy.retain(|_, busy| busy.until() > now);
        silent
    }

    /// Whether a request may be sent there now.
    pub(crate) fn is_ready(&self, to: NodeId) -> bool {
        !self.busy.contains_key(&to)
    }

    pub(crate) fn is_backing_off(&self, to: NodeId) -> bool {
        matches!(self.busy.get(&to), Some(Busy::BackingOff { .. }))
    }

    /// Whether any request is on its way.
    pub(crate) fn is_anything_asked(&self) -> bool {
        self.busy.values().any(|busy| matches!(busy, Busy::Asked { .. }))
    }

    /// Numbers a request that is being sent.
    pub(crate) fn ask(&mut self, to: NodeId, until: Duration) -> RequestId {
        self.last_request += 1;
        let request = RequestId(self.last_request);
        self.busy.insert(to, Busy::Asked { request, until });
        request
    }

    /// Who was asked by that request; `None` if its answer is no longer waited for.
    pub(crate) fn asked(&self, request: RequestId) -> Option<NodeId> {
        let found = self.busy.iter().find(|(_, busy)| matches!(busy, Busy::Asked { request: r, .. } if *r == request));
        found.map(|(id, _)| *id)
    }

    /// The answer is there: the next request may follow.
    pub(crate) fn answered(&mut self, from: NodeId) {
        self.busy.remove(&from);
    }

    /// Takes note of whether somebody is there.
    pub(crate) fn note_reached(&mut self, id: NodeId, is_reached: bool) {
        if is_reached {
            self.unreached.remove(&id);
        } else {
            self.unreached.insert(id);
        }
    }

    /// Who was not there when last asked.
    pub(crate) fn unreached(&self) -> &BTreeSet<NodeId> {
        &self.unreached
    }

    /// The request failed: the other one is left alone for a while.
    pub(crate) fn back_off(&mut self, from: NodeId, until: Duration) {
        self.busy.insert(from, Busy::BackingOff { until });
    }

    /// Waits for nothing any more: answers to earlier requests mean nothing in a new state.
    pub(crate) fn reset(&mut self) {
        self.busy.clear();
    }

    /// When the next of them is free again.
    pub(crate) fn next_free(&self) -> Option<Duration> {
        self.busy.values().map(|busy| busy.until()).min()
    }
}
