use crate::{Context, Controller, Outcome};
use ottla_types::BrokerId;
use std::time::Duration;

/// How often the controller does what nobody asks for; `None` for never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Periods {
    /// `metadata.max.idle.interval.ms`: a no-op record, so that everybody sees that the log still moves.
    pub no_op: Option<Duration>,
    /// `leader.imbalance.check.interval.seconds`, if `auto.leader.rebalance.enable`: leaderships back to the preferred
    /// replicas.
    pub balance_leaders: Option<Duration>,
    /// `unclean.leader.election.interval.ms`: unclean elections where topics allow them.
    pub elect_unclean_leaders: Option<Duration>,
}

impl Default for Periods {
    /// Kafka's defaults.
    fn default() -> Self {
        Self {
            no_op: Some(Duration::from_millis(500)),
            balance_leaders: Some(Duration::from_secs(300)),
            elect_unclean_leaders: Some(Duration::from_secs(300)),
        }
    }
}

/// What a [`Controller::tick`] has decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// The broker's session has run out: it is fenced.
    Fence(BrokerId),
    /// Leaders are elected that the controller before did not come to elect.
    ElectLeaders,
    /// A no-op record.
    NoOp,
    /// Preferred leaders are elected.
    BalanceLeaders,
    /// Leaders are elected uncleanly.
    ElectUncleanLeaders,
}

/// When each piece of periodic work is due.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Schedule {
    is_active: bool,
    /// Once, at the beginning: of a decision about many partitions the log may have only the first batches.
    elect_leaders: Option<Duration>,
    no_op: Option<Duration>,
    balance_leaders: Option<Duration>,
    elect_unclean_leaders: Option<Duration>,
}

impl Schedule {
    pub(crate) fn starting(periods: &Periods, now: Duration) -> Self {
        Self {
            is_active: true,
            elect_leaders: Some(now),
            no_op: after(now, periods.no_op),
            balance_leaders: after(now, periods.balance_leaders),
            elect_unclean_leaders: after(now, periods.elect_unclean_leaders),
        }
    }

    /// No-op records come from now on, the first one at once, or no more.
    pub(crate) fn set_periods(&mut self, periods: &Periods) {
        self.no_op = match periods.no_op {
            Some(_) if self.is_active => Some(self.no_op.unwrap_or(Duration::ZERO)),
            _ => None,
        };
    }

    fn next(&self) -> Option<Duration> {
        let all = [self.elect_leaders, self.no_op, self.balance_leaders, self.elect_unclean_leaders];
        all.into_iter().flatten().min()
    }
}

fn after(now: Duration, period: Option<Duration>) -> Option<Duration> {
    Some(now.saturating_add(period?))
}

fn is_due(at: Option<Duration>, now: Duration) -> bool {
    at.is_some_and(|at| at <= now)
}

impl Controller {
    /// When to call [`Self::tick`], on the monotonic clock; `None` while this controller is not the active one.
    pub fn next_deadline(&self) -> Option<Duration> {
        let look = self.heartbeats.next_look();
        self.schedule.is_active.then(|| self.schedule.next().map_or(look, |next| next.min(look)))
    }

    /// Does one piece of the work that is due and has something to write. Append and replay what it returns, and call it
    /// again until it returns `None`.
    pub fn tick(&mut self, context: &Context) -> Outcome<Option<Task>> {
        if !self.schedule.is_active {
            return Outcome::answer(None);
        }
        let (now, periods) = (context.monotonic, self.periods());
        self.heartbeats.look(now);
        let fenced = self.fence_expired_broker(now);
        if let Some(id) = fenced.response {
            return done(fenced.records, Task::Fence(id));
        }
        if is_due(self.schedule.elect_leaders, now) {
            let elected = self.elect_missing_leaders();
            if !elected.response {
                self.schedule.elect_leaders = None;
            }
            if !elected.records.is_empty() {
                return done(elected.records, Task::ElectLeaders);
            }
        }
        if is_due(self.schedule.no_op, now) {
            self.schedule.no_op = after(now, periods.no_op);
            return done(self.no_op().records, Task::NoOp);
        }
        if is_due(self.schedule.balance_leaders, now) {
            let balanced = self.balance_leaders();
            if !balanced.response {
                self.schedule.balance_leaders = after(now, periods.balance_leaders);
            }
            if !balanced.records.is_empty() {
                return done(balanced.records, Task::BalanceLeaders);
            }
        }
        if is_due(self.schedule.elect_unclean_leaders, now) {
            let elected = self.elect_unclean_leaders();
            if !elected.response {
                self.schedule.elect_unclean_leaders = after(now, periods.elect_unclean_leaders);
            }
            if !elected.records.is_empty() {
                return done(elected.records, Task::ElectUncleanLeaders);
            }
        }
        Outcome::answer(None)
    }
}

fn done(records: Vec<ottla_metadata::VersionedRecord>, task: Task) -> Outcome<Option<Task>> {
    Outcome::in_batches(records, Some(task))
}
