use ottla_env::DiskOperation;

/// What a crash leaves of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashMode {
    /// Nothing: only what was synced is there.
    LoseAll,
    /// Everything, as if it had all been written out just before.
    KeepAll,
    /// Of each file some of the writes, in any choice, the last kept one possibly torn at a sector; of the directory
    /// entries some. The seed decides.
    Some {
        /// Decides.
        seed: u64,
    },
}

/// What a disk answers instead of doing what it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// An input/output error. A write may have written a part; a sync has written nothing and forgets what it should have.
    Error,
    /// The disk is full. A write has written its first half.
    Full,
}

/// A fault that is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The operation that it strikes.
    pub operation: DiskOperation,
    /// How many such operations still succeed before.
    pub after: u64,
    /// How many are struck then.
    pub times: u64,
    /// What happens.
    pub kind: FaultKind,
}
