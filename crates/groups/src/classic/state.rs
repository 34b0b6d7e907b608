/// The state of a classic group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassicGroupState {
    /// No members; perhaps committed offsets.
    Empty,
    /// Waits for the members to join the next generation.
    PreparingRebalance,
    /// The generation has begun; waits for the leader's assignment.
    CompletingRebalance,
    /// Every member has, or can get, its assignment.
    Stable,
    /// The partition is no longer coordinated here.
    Dead,
}

impl ClassicGroupState {
    /// The name that the APIs show.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
        }
    }

    /// Whether a group may move from this state to `next`.
    pub fn may_become(self, next: Self) -> bool {
        match next {
            Self::Empty | Self::CompletingRebalance => self == Self::PreparingRebalance,
            Self::PreparingRebalance => matches!(self, Self::Stable | Self::CompletingRebalance | Self::Empty),
            Self::Stable => self == Self::CompletingRebalance,
            Self::Dead => true,
        }
    }
}
