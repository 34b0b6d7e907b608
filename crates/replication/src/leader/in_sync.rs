use super::alter_partition::AlterPartition;
use ottla_types::BrokerId;
use std::collections::BTreeSet;

/// The replicas in sync. While the controller has not answered a proposal, both the committed set and the proposed one
/// are believed: a record counts as committed only when all of either have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InSync {
    committed: BTreeSet<BrokerId>,
    proposed: Option<Proposed>,
}

/// A set that the controller was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proposed {
    pub(super) replicas: BTreeSet<BrokerId>,
    /// As it was sent. It is sent again like that: broker epochs of later fetches would vouch for what their brokers may
    /// have lost since.
    pub(super) request: AlterPartition,
}

impl InSync {
    pub(super) fn new(committed: impl IntoIterator<Item = BrokerId>) -> Self {
        Self { committed: committed.into_iter().collect(), proposed: None }
    }

    pub(super) fn committed(&self) -> &BTreeSet<BrokerId> {
        &self.committed
    }

    pub(super) fn proposed(&self) -> Option<&Proposed> {
        self.proposed.as_ref()
    }

    pub(super) fn is_proposing(&self) -> bool {
        self.proposed.is_some()
    }

    pub(super) fn propose(&mut self, replicas: BTreeSet<BrokerId>, request: AlterPartition) {
        self.proposed = Some(Proposed { replicas, request });
    }

    /// Back to the committed set: the controller has not applied the proposal and never will.
    pub(super) fn withdraw(&mut self) {
        self.proposed = None;
    }

    /// Whether the high watermark must wait for that replica.
    pub(super) fn may_contain(&self, id: BrokerId) -> bool {
        self.committed.contains(&id) || self.proposed.as_ref().is_some_and(|proposed| proposed.replicas.contains(&id))
    }

    /// How many may be in sync: all of both sets.
    pub(super) fn len_max(&self) -> usize {
        let proposed = self.proposed.iter().flat_map(|proposed| &proposed.replicas);
        self.committed.len() + proposed.filter(|id| !self.committed.contains(id)).count()
    }
}
