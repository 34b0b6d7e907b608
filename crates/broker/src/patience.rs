//! What a broker waits for at the active controller, and for how long before its process ends: somebody who looks after
//! processes can do more about it then than it can itself.

use crate::durations::milliseconds;
use core::time::Duration;
use ottla_config::{BrokerLifecycleConfig, NodeConfig};
use ottla_env::Monotonic;
use ottla_types::DirectoryId;
use std::collections::BTreeMap;
use thiserror::Error;

/// Why a broker waits no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum GivenUp {
    #[error(
        "no controller has registered this broker within initial.broker.registration.timeout.ms: see that the controllers \
         run and that controller.quorum.voters or controller.quorum.bootstrap.servers names them"
    )]
    Registration,
    #[error("the cluster has not taken this broker in within server.max.startup.time.ms")]
    Start,
    #[error(
        "the controller could not be told within log.dir.failure.timeout.ms that the log directory {0} has failed, so that \
         it can't have others lead what lies there"
    )]
    Directory(DirectoryId),
}

/// How far a broker has come with the controller, and by when it wants to be further.
///
/// Invariant: what has come about once is waited for no more.
#[derive(Debug)]
pub(crate) struct Patience {
    /// By when the controller has to register the broker; nothing once it has, or if it may take for ever.
    registered_by: Option<Monotonic>,
    /// By when clients have to be sent here.
    running_by: Option<Monotonic>,
    directory_failure_max: Duration,
    /// The directories that have failed, and by when the controller has to know; nothing once it does.
    failed: BTreeMap<DirectoryId, Option<Monotonic>>,
}

impl Patience {
    /// The patience of a node that starts now. One that is no broker waits for nothing.
    pub(crate) fn new(config: &NodeConfig, now: Monotonic) -> Self {
        let BrokerLifecycleConfig {
            initial_broker_registration_timeout_ms: registration_ms,
            server_max_startup_time_ms: start_ms,
            log_dir_failure_timeout_ms: failure_ms,
            ..
        } = config.lifecycle;
        let by = |wait: Duration| later(now, wait).filter(|_| config.process_roles.broker);
        Self {
            registered_by: by(milliseconds(registration_ms)),
            running_by: by(milliseconds(start_ms)),
            directory_failure_max: milliseconds(failure_ms),
            failed: BTreeMap::new(),
        }
    }

    pub(crate) fn registered(&mut self) {
        self.registered_by = None;
    }

    pub(crate) fn running(&mut self) {
        self.running_by = None;
    }

    /// These directories have failed. Says whether one of them is news, of which the controller should hear at once.
    pub(crate) fn directories_failed(&mut self, failed: &[DirectoryId], now: Monotonic) -> bool {
        let known = self.failed.len();
        for directory in failed {
            let by = later(now, self.directory_failure_max).unwrap_or(Monotonic(u64::MAX));
            self.failed.entry(*directory).or_insert(Some(by));
        }
        self.failed.len() > known
    }

    /// The controller knows of these.
    pub(crate) fn told(&mut self, failed: &[DirectoryId]) {
        for directory in failed {
            self.failed.insert(*directory, None);
        }
    }

    /// Whether the controller does not know of all that have failed.
    pub(crate) fn has_more_to_tell(&self) -> bool {
        self.failed.values().any(Option::is_some)
    }

    /// What it has waited for too long.
    pub(crate) fn given_up(&self, now: Monotonic) -> Option<GivenUp> {
        let is_over = |by: Option<Monotonic>| by.is_some_and(|by| by <= now);
        let directory = || self.failed.iter().find(|(_, by)| is_over(**by)).map(|(id, _)| GivenUp::Directory(*id));
        if is_over(self.registered_by) {
            Some(GivenUp::Registration)
        } else if is_over(self.running_by) {
            Some(GivenUp::Start)
        } else {
            directory()
        }
    }

    /// When the next of its times is over.
    pub(crate) fn ends_at(&self) -> Option<Monotonic> {
        [self.registered_by, self.running_by].into_iter().chain(self.failed.values().copied()).flatten().min()
    }
}

/// `None` for a time so long that no clock gets there.
fn later(now: Monotonic, wait: Duration) -> Option<Monotonic> {
    let nanos = u64::try_from(wait.as_nanos()).ok()?;
    now.0.checked_add(nanos).map(Monotonic)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_config::properties;

    const DIRECTORIES: [DirectoryId; 2] = [DirectoryId::from_u128(1), DirectoryId::from_u128(2)];

    fn at(ms: u64) -> Monotonic {
        Monotonic::default() + Duration::from_millis(ms)
    }

    fn patience(lines: &str) -> Patience {
        let parsed = properties::parse(lines.as_bytes(), "test").unwrap();
        Patience::new(&NodeConfig::from_properties(parsed).unwrap().0, at(1000))
    }

    #[test]
    fn a_broker_waits_a_minute_for_its_registration_and_for_ever_for_the_rest() {
        let mut patience = patience("");
        assert_eq!((patience.given_up(at(60_999)), patience.ends_at()), (None, Some(at(61_000))));
        assert_eq!(patience.given_up(at(61_000)), Some(GivenUp::Registration));
        patience.registered();
        assert_eq!((patience.given_up(at(u64::MAX >> 24)), patience.ends_at()), (None, None));
    }

    #[test]
    fn a_start_may_be_limited_as_a_whole() {
        let lines = "server.max.startup.time.ms=9000\ninitial.broker.registration.timeout.ms=5000";
        let mut patience = patience(lines);
        assert_eq!(patience.given_up(at(6000)), Some(GivenUp::Registration));
        patience.registered();
        assert_eq!((patience.given_up(at(9999)), patience.ends_at()), (None, Some(at(10_000))));
        assert_eq!(patience.given_up(at(10_000)), Some(GivenUp::Start));
        patience.running();
        assert_eq!(patience.given_up(at(10_000)), None);
    }

    #[test]
    fn a_controller_only_waits_for_no_registration_of_a_broker() {
        let lines = "process.roles=controller\nnode.id=1\ncontroller.listener.names=C\n\
                     controller.quorum.voters=1@a:1\nlisteners=C://a:1\nlistener.security.protocol.map=C:PLAINTEXT";
        assert_eq!(patience(lines).ends_at(), None);
    }

    #[test]
    fn the_controller_must_hear_of_each_failed_directory_in_time() {
        let mut patience = patience("log.dir.failure.timeout.ms=100");
        patience.registered();
        assert!(patience.directories_failed(&DIRECTORIES[..1], at(2000)));
        assert!(!patience.directories_failed(&DIRECTORIES[..1], at(2050)));
        assert!(patience.directories_failed(&DIRECTORIES, at(2050)));
        assert_eq!((patience.given_up(at(2099)), patience.ends_at()), (None, Some(at(2100))));
        patience.told(&DIRECTORIES[..1]);
        assert!(patience.has_more_to_tell());
        assert_eq!(patience.given_up(at(2149)), None);
        assert_eq!(patience.given_up(at(2150)), Some(GivenUp::Directory(DIRECTORIES[1])));
        // What it knows it knows, however often it is said again.
        patience.told(&DIRECTORIES);
        assert!(!patience.directories_failed(&DIRECTORIES, at(3000)) && !patience.has_more_to_tell());
        assert_eq!((patience.given_up(at(9000)), patience.ends_at()), (None, None));
    }
}
