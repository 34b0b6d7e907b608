//! From `kraft.version` 0 to 1: the voters move from the configuration into the log.

use crate::transition::version_record;
use crate::{ControlRecord, Effect, KraftVersion, Raft, Role};
use core::time::Duration;
use ottla_types::{LeaderEpoch, NodeId};
use thiserror::Error;

/// Why `kraft.version` can't be set.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum UpgradeError {
    /// This replica does not lead that epoch.
    #[error("this replica does not lead epoch {0}")]
    NotLeader(LeaderEpoch),
    /// Voters in the log can't be taken out of it again.
    #[error("kraft.version can't go back from {} to {}", from.level(), to.level())]
    Downgrade {
        /// The level that holds.
        from: KraftVersion,
        /// The level that was asked for.
        to: KraftVersion,
    },
    /// Some voters have not said yet which directories they use.
    #[error("the directories of the voters {0:?} are not known; they must run a release that tells them")]
    UnknownDirectories(Vec<NodeId>),
    /// Some voters do not understand that level.
    #[error("the voters {0:?} do not understand that level of kraft.version")]
    NotUnderstood(Vec<NodeId>),
}

impl Raft {
    /// Sets `kraft.version`, as leader of that epoch at the time `now`; with `validate_only` only says whether it could. A
    /// level that holds already is no change.
    ///
    /// # Errors
    /// When this replica can't; nothing has happened then.
    pub fn upgrade_kraft_version(
        &mut self,
        now: Duration,
        epoch: LeaderEpoch,
        version: KraftVersion,
        validate_only: bool,
    ) -> Result<Vec<Effect>, UpgradeError> {
        let current = self.kraft_version();
        let leader = match &self.role {
            Role::Leader(leader) if leader.epoch() == epoch => leader,
            _ => return Err(UpgradeError::NotLeader(epoch)),
        };
        if version == current {
            return Ok(Vec::new());
        }
        if version < current {
            return Err(UpgradeError::Downgrade { from: current, to: version });
        }
        let voters = leader.volatile_voters.clone().unwrap_or_default();
        let unknown: Vec<_> = voters.iter().filter(|voter| voter.key.directory.is_none()).map(|v| v.key.id).collect();
        if !unknown.is_empty() || voters.is_empty() {
            return Err(UpgradeError::UnknownDirectories(unknown));
        }
        let old = voters.iter().filter(|voter| !voter.kraft_versions.contains(version));
        let old: Vec<_> = old.map(|voter| voter.key.id).collect();
        if !old.is_empty() {
            return Err(UpgradeError::NotUnderstood(old));
        }
        if validate_only {
            return Ok(Vec::new());
        }
        self.now = now.max(self.now);
        self.append_control(vec![
            ControlRecord::KraftVersion(version_record(version)),
            ControlRecord::Voters(voters.to_record()),
        ]);
        if let Role::Leader(leader) = &mut self.role {
            leader.volatile_voters = None;
        }
        self.poll();
        Ok(core::mem::take(&mut self.out))
    }
}
