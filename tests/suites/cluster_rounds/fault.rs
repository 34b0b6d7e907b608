/// What may happen to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Its process is killed, and started again later.
    Kill,
    /// Nothing arrives at it from the other nodes, nor from it at them.
    CutBothWays,
    /// Its process stands still.
    Pause,
    /// What it sends to the other nodes is lost.
    Silenced,
    /// What the other nodes send to it is lost.
    Deafened,
    /// Nothing arrives at it from anybody, clients neither, nor from it.
    CutFromAll,
    /// Its network is slow.
    SlowNetwork,
    /// The disk of the first node is slow.
    SlowDisk,
    /// It is killed while another node stands still for a moment.
    KillAndPause,
    /// It is told to stop, and started again.
    Stop,
}

impl Fault {
    pub(crate) const ALL: [Self; 10] = [
        Self::Kill,
        Self::CutBothWays,
        Self::Pause,
        Self::Silenced,
        Self::Deafened,
        Self::CutFromAll,
        Self::SlowNetwork,
        Self::SlowDisk,
        Self::KillAndPause,
        Self::Stop,
    ];
}
