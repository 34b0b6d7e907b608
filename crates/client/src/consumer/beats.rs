use super::member::{AssignedPartition, Member, Reaction, Standing, Wanted};
use crate::backoff::Backoff;
use crate::cluster::{Cluster, Coordinated};
use crate::consumer::ConsumerGroupMetadata;
use crate::error::{ClientError, Result};
use ottla_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// The heartbeats of one member of the consumer protocol (KIP-848). They go on between the calls to `poll`, and end when
/// this is dropped.
pub(super) struct Beats {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// Between two looks at whether the application still polls.
const PAUSE_MIN: Duration = Duration::from_millis(1);

struct Shared {
    cluster: Cluster,
    group: String,
    poll_interval_max: Duration,
    member: Mutex<Member>,
    last_poll: Mutex<Instant>,
    /// There is something to say at once.
    news: Notify,
    /// Told when the consumer has something to do.
    changed: Arc<Notify>,
}

impl Beats {
    /// Begins to beat, and so to join.
    pub(super) fn start(
        cluster: Cluster,
        group: String,
        poll_interval_max: Duration,
        member: Member,
        changed: Arc<Notify>,
    ) -> Self {
        let shared = Arc::new(Shared {
            cluster,
            group,
            poll_interval_max,
            member: Mutex::new(member),
            last_poll: Mutex::new(Instant::now()),
            news: Notify::new(),
            changed,
        });
        Self { task: tokio::spawn(shared.clone().run()), shared }
    }

    /// Notes that the application polls, and what it wants.
    pub(super) fn polled(&self, wanted: Wanted) {
        *self.shared.last_poll.lock() = Instant::now();
        self.tell(|member| member.want(wanted));
    }

    /// Tells the member what the consumer did; what is new by that is said at once.
    pub(super) fn tell(&self, what: impl FnOnce(&mut Member)) {
        let mut member = self.shared.member.lock();
        let had_news = member.has_news();
        what(&mut member);
        if member.has_news() && !had_news {
            self.shared.news.notify_one();
        }
    }

    /// How the member stands with its group.
    pub(super) fn standing(&self) -> Standing {
        self.shared.member.lock().standing().clone()
    }

    /// What the coordinator wants to be read, where that is not what is read.
    pub(super) fn to_reconcile(&self) -> Option<BTreeSet<AssignedPartition>> {
        self.shared.member.lock().to_reconcile().cloned()
    }

    /// As whom the consumer commits. It may be asked from a task, for an epoch that moved on meanwhile.
    pub(super) fn committer(
        &self,
        instance_id: Option<String>,
    ) -> impl Fn() -> ConsumerGroupMetadata + Send + Sync + 'static {
        let shared = self.shared.clone();
        move || {
            let member = shared.member.lock();
            ConsumerGroupMetadata {
                group_id: shared.group.clone(),
                generation: member.epoch(),
                member_id: member.id().to_owned(),
                instance_id: instance_id.clone(),
            }
        }
    }

    /// Says that the member leaves, so that the group need not wait for the end of its session. Nothing is sent after it.
    pub(super) async fn leave(self) -> Result<()> {
        self.task.abort();
        let farewell = {
            let member = self.shared.member.lock();
            matches!(member.standing(), Standing::Member).then(|| member.farewell())
        };
        match farewell {
            Some(farewell) => self.shared.say(&farewell).await.map(|_| ()),
            None => Ok(()),
        }
    }
}

impl Drop for Beats {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    async fn run(self: Arc<Self>) {
        let mut pauses = self.first_pauses();
        loop {
            match self.beat(&mut pauses).await {
                Some(pause) => {
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = self.news.notified() => {}
                    }
                }
                // The consumer has to let go of what it has; then there are news.
                None => self.news.notified().await,
            }
        }
    }

    fn first_pauses(&self) -> Backoff {
        let settings = self.cluster.settings();
        Backoff::new(settings.retry_backoff, settings.retry_backoff_max)
    }

    /// Sends one heartbeat, where there is one to send. Answers how long to wait for the next.
    async fn beat(&self, pauses: &mut Backoff) -> Option<Duration> {
        if !self.member.lock().beats() {
            return None;
        }
        if self.last_poll.lock().elapsed() > self.poll_interval_max {
            self.leave_unpolled().await;
            return None;
        }
        let answer = self.say_next().await;
        let mut member = self.member.lock();
        let pause = match answer {
            Ok(answer) => {
                member.answered(answer);
                *pauses = self.first_pauses();
                let until_unpolled = self.poll_interval_max.saturating_sub(self.last_poll.lock().elapsed());
                let pause = member.interval().min(until_unpolled.max(PAUSE_MIN));
                Some(if member.has_news() { Duration::ZERO } else { pause })
            }
            Err(error) => {
                tracing::debug!(group = %self.group, %error, "a heartbeat failed");
                match member.failed(error) {
                    Reaction::Again => Some(pauses.pause()),
                    Reaction::Stop => None,
                }
            }
        };
        let has_work = member.to_reconcile().is_some() || !member.beats();
        drop(member);
        if has_work {
            self.changed.notify_one();
        }
        pause
    }

    async fn leave_unpolled(&self) {
        tracing::warn!(group = %self.group, "leaving the group: poll was not called for max.poll.interval.ms");
        let farewell = {
            let mut member = self.member.lock();
            let farewell = member.farewell();
            member.left();
            farewell
        };
        let _ = self.say(&farewell).await;
        self.changed.notify_one();
    }

    async fn say_next(&self) -> Result<ConsumerGroupHeartbeatResponse> {
        let timeout = self.cluster.settings().request_timeout;
        let to = Coordinated::by_group(&self.group);
        let build = |version| self.member.lock().heartbeat(version);
        self.cluster.try_coordinator(&to, &mut self.cluster.retry_for(timeout), build, |answer, _| judged(answer)).await
    }

    async fn say(&self, farewell: &ConsumerGroupHeartbeatRequest) -> Result<ConsumerGroupHeartbeatResponse> {
        let timeout = self.cluster.settings().request_timeout;
        let to = Coordinated::by_group(&self.group);
        let build = |_: i16| farewell.clone();
        self.cluster.try_coordinator(&to, &mut self.cluster.retry_for(timeout), build, |answer, _| judged(answer)).await
    }
}

fn judged(answer: ConsumerGroupHeartbeatResponse) -> Result<ConsumerGroupHeartbeatResponse> {
    match ClientError::of(answer.error_code, answer.error_message.clone()) {
        Some(error) => Err(error),
        None => Ok(answer),
    }
}
