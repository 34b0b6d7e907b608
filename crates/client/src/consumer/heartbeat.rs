use super::membership::{Joined, leave};
use super::settings::ConsumerSettings;
use crate::cluster::{Cluster, CoordinatorKind};
use crate::error::{ClientError, Result, check};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::HeartbeatRequest;
use ottla_types::NodeId;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// What a member learned about its membership since it joined.
#[derive(Clone, Debug, Default)]
pub(super) enum Standing {
    /// It is a member.
    #[default]
    Member,
    /// The group rebalances: join again, what is owned is still owned.
    Rebalancing,
    /// The group gave the member up, or it left because nobody polled: what was owned belongs to others now.
    Lost,
    /// The group refuses the member for good.
    Refused(ClientError),
}

/// The heartbeats of one member in one generation. Ends when dropped.
pub(super) struct Heartbeat {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    standing: Mutex<Standing>,
    last_poll: Mutex<Instant>,
    /// Told when the standing changed.
    changed: Arc<Notify>,
}

impl Heartbeat {
    /// Begins to beat.
    pub(super) fn start(
        cluster: Cluster,
        settings: ConsumerSettings,
        group: String,
        joined: Joined,
        changed: Arc<Notify>,
    ) -> Self {
        let shared = Arc::new(Shared { standing: Mutex::default(), last_poll: Mutex::new(Instant::now()), changed });
        let beating = Beating { cluster, settings, group, joined, shared: shared.clone() };
        Self { shared, task: tokio::spawn(beating.run()) }
    }

    /// What is known of the membership.
    pub(super) fn standing(&self) -> Standing {
        self.shared.standing.lock().clone()
    }

    /// Notes that the application polls.
    pub(super) fn polled(&self) {
        *self.shared.last_poll.lock() = Instant::now();
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Beating {
    cluster: Cluster,
    settings: ConsumerSettings,
    group: String,
    joined: Joined,
    shared: Arc<Shared>,
}

impl Beating {
    async fn run(mut self) {
        let mut last_answer = Instant::now();
        let mut pause = self.settings.heartbeat_interval;
        loop {
            tokio::time::sleep(pause).await;
            pause = self.settings.heartbeat_interval;
            if self.shared.last_poll.lock().elapsed() > self.settings.poll_interval_max {
                tracing::warn!(group = %self.group, "leaving the group: poll was not called for max.poll.interval.ms");
                if self.settings.instance_id.is_none() {
                    let _ = leave(&self.cluster, &self.group, &self.joined, "poll timeout has expired").await;
                }
                return self.end(Standing::Lost);
            }
            match self.beat().await {
                Ok(()) => last_answer = Instant::now(),
                Err(error) => match verdict(error) {
                    Some(standing) => return self.end(standing),
                    None if last_answer.elapsed() > self.settings.session_timeout => return self.end(Standing::Lost),
                    None => pause = self.look_for_coordinator().await,
                },
            }
        }
    }

    async fn beat(&self) -> Result<()> {
        let request = HeartbeatRequest {
            group_id: self.group.clone(),
            generation_id: self.joined.generation,
            member_id: self.joined.member_id.clone(),
            group_instance_id: self.settings.instance_id.clone(),
            ..Default::default()
        };
        let timeout = self.settings.session_timeout.min(self.settings.client.request_timeout);
        check(self.cluster.call_within(self.joined.coordinator, &request, timeout).await?.error_code)
    }

    /// After a failure the coordinator may be another one; beats again soon.
    async fn look_for_coordinator(&mut self) -> Duration {
        let pause = self.settings.client.retry_backoff;
        let mut retry = self.cluster.retry_for(self.settings.session_timeout);
        let found: Result<NodeId> = self.cluster.coordinator(CoordinatorKind::Group, &self.group, &mut retry).await;
        if let Ok(node) = found {
            self.joined.coordinator = node;
        }
        pause
    }

    fn end(self, standing: Standing) {
        *self.shared.standing.lock() = standing;
        self.shared.changed.notify_one();
    }
}

/// What an error says about the membership; `None` when it says nothing.
fn verdict(error: ClientError) -> Option<Standing> {
    match error.code() {
        Some(ErrorCode::RebalanceInProgress) => Some(Standing::Rebalancing),
        Some(ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration) => Some(Standing::Lost),
        Some(ErrorCode::FencedInstanceId | ErrorCode::GroupAuthorizationFailed) => Some(Standing::Refused(error)),
        _ => None,
    }
}
