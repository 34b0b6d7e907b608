use ottla_types::BrokerId;
use std::collections::BTreeSet;

/// The replicas in sync. While the controller has not answered a proposal, both the committed set and the proposed one
/// are believed: a record counts as committed only when all of either have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InSync {
    committed: BTreeSet<BrokerId>,
    proposed: Option<BTreeSet<BrokerId>>,
}

/// A set that the leader wants the controller to make the in-sync replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsrProposal {
    /// The members, ascending, the leader among them.
    pub replicas: Vec<BrokerId>,
    /// The partition epoch that the proposal rests on.
    pub partition_epoch: i32,
}

/// What became of a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IsrAnswer {
    /// The controller accepted it; the new state comes with the metadata, with at least this partition epoch.
    Accepted {
        /// The partition epoch after the change.
        partition_epoch: i32,
    },
    /// It will never be accepted as it is: a member may not join, or the partition has changed meanwhile.
    Refused,
}

impl InSync {
    pub(crate) fn new(committed: impl IntoIterator<Item = BrokerId>) -> Self {
        Self { committed: committed.into_iter().collect(), proposed: None }
    }

    pub(crate) fn committed(&self) -> &BTreeSet<BrokerId> {
        &self.committed
    }

    pub(crate) fn is_proposing(&self) -> bool {
        self.proposed.is_some()
    }

    pub(crate) fn propose(&mut self, replicas: BTreeSet<BrokerId>) {
        self.proposed = Some(replicas);
    }

    pub(crate) fn accept(&mut self) {
        if let Some(proposed) = self.proposed.take() {
            self.committed = proposed;
        }
    }

    pub(crate) fn withdraw(&mut self) {
        self.proposed = None;
    }

    /// Whether the high watermark must wait for that replica.
    pub(crate) fn may_contain(&self, id: BrokerId) -> bool {
        self.committed.contains(&id) || self.proposed.as_ref().is_some_and(|proposed| proposed.contains(&id))
    }

    /// How many may be in sync: the greater of the two sets.
    pub(crate) fn len_max(&self) -> usize {
        let joining = self.proposed.iter().flatten().filter(|id| !self.committed.contains(id)).count();
        self.committed.len() + joining
    }
}
