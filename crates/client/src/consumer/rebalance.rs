use super::beats::Beats;
use super::heartbeat::{Heartbeat, Standing};
use super::membership::{Joined, Joining, counts, join, leave};
use super::poll::Event;
use super::reconciling::LettingGo;
use super::settings::GroupProtocol;
use super::{Consumer, Subscription, commit_offsets, member};
use crate::admin::OffsetAndMetadata;
use crate::error::{ClientError, Result};
use ottla_types::TopicPartition;
use std::collections::{BTreeMap, BTreeSet};
use tokio::task::JoinHandle;

/// A change of what a member reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rebalance {
    /// These are taken away in good order: their positions are committed where that is automatic.
    Revoked(BTreeSet<TopicPartition>),
    /// These were lost: the group gave the member up, and others may read them already.
    Lost(BTreeSet<TopicPartition>),
    /// These are read from now on.
    Assigned(BTreeSet<TopicPartition>),
}

/// Is called within `poll` at each change of what a member reads.
pub type RebalanceListener = Box<dyn FnMut(&Rebalance) + Send>;

/// A consumer's place in its group.
#[derive(Default)]
pub(super) struct Membership {
    pub(super) needs_join: bool,
    pub(super) joined: Option<Joined>,
    pub(super) heartbeat: Option<Heartbeat>,
    joining: Option<Attempt>,
    /// The member, where the group's protocol is the consumer protocol.
    pub(super) beats: Option<Beats>,
    pub(super) letting_go: LettingGo,
    attempts: u64,
    /// The id that the group gave, kept over rebalances.
    member_id: String,
    /// What the member asked for when it joined.
    joined_topics: BTreeSet<String>,
    /// The last generation that it was a member of.
    generation: i32,
}

/// A task that joins. Ends when dropped.
struct Attempt {
    number: u64,
    task: JoinHandle<()>,
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Consumer {
    /// Looks after the membership: joins when that is due.
    pub(super) fn keep_membership(&mut self) -> Result<()> {
        if self.settings.group_protocol == GroupProtocol::Consumer {
            return self.keep_consumer_membership();
        }
        let Some(topics) = self.subscription.topics() else { return Ok(()) };
        if *topics != self.membership.joined_topics && self.membership.joining.is_none() {
            self.membership.needs_join = true;
        }
        let standing = self.membership.heartbeat.as_ref().map(|heartbeat| {
            heartbeat.polled();
            heartbeat.standing()
        });
        match standing {
            None | Some(Standing::Member) => {}
            Some(Standing::Rebalancing) => self.membership.needs_join = true,
            Some(Standing::Lost) => {
                self.lose();
                self.membership.needs_join = true;
            }
            Some(Standing::Refused(error)) => {
                self.lose();
                return Err(error);
            }
        }
        if self.topics_changed() {
            self.membership.needs_join = true;
        }
        // Topics that match a pattern are known only when the metadata is.
        let is_ready =
            !matches!(self.subscription, Subscription::Matching { .. }) || self.cluster.metadata_age().is_some();
        if self.membership.needs_join && self.membership.joining.is_none() && is_ready {
            self.start_join();
        }
        Ok(())
    }

    /// Whether the leader's assignment was made of other topics than there are now.
    fn topics_changed(&self) -> bool {
        let watched = self.membership.joined.as_ref().and_then(|joined| joined.watched.as_ref());
        watched.is_some_and(|watched| *watched != counts(&self.cluster, &watched.keys().cloned().collect()))
    }

    /// Begins to join. A member that is not cooperative gives up first what it reads.
    fn start_join(&mut self) {
        let Some(group) = self.settings.group_id.clone() else { return };
        let is_cooperative = self.settings.assignors.iter().all(|assignor| assignor.is_cooperative());
        let positions = self.partitions.positions();
        let Ok(now) = self.group_metadata() else { return };
        if !is_cooperative {
            self.revoke(&self.partitions.assigned());
        }
        let membership = &mut self.membership;
        membership.needs_join = false;
        membership.heartbeat = None;
        membership.joined_topics = self.subscription.topics().cloned().unwrap_or_default();
        membership.attempts += 1;
        let owned = if is_cooperative { self.partitions.assigned() } else { BTreeSet::new() };
        let generation = if owned.is_empty() { -1 } else { membership.generation };
        let number = membership.attempts;
        let joining = Joining {
            group,
            member_id: membership.member_id.clone(),
            topics: membership.joined_topics.clone(),
            owned,
            generation,
        };
        let commit = self.settings.auto_commit && now.generation >= 0 && !positions.is_empty();
        let (cluster, settings, reports) = (self.cluster.clone(), self.settings.clone(), self.reports.clone());
        let committer = self.committer(now);
        let task = tokio::spawn(async move {
            if commit {
                note_commit(commit_offsets(&cluster, committer, &positions).await);
            }
            let result = join(cluster, settings, joining).await;
            let _ = reports.send(Event::Joined { number, result }).await;
        });
        self.membership.joining = Some(Attempt { number, task });
    }

    /// Takes what an attempt to join came to.
    pub(super) fn take_joined(&mut self, number: u64, result: Result<Joined>) -> Result<()> {
        if self.membership.joining.as_ref().is_none_or(|attempt| attempt.number != number) {
            return Ok(());
        }
        self.membership.joining = None;
        let joined = match result {
            Ok(joined) => joined,
            Err(error) => {
                self.membership.needs_join = true;
                return Err(error);
            }
        };
        let before = self.partitions.assigned();
        let revoked: BTreeSet<_> = before.difference(&joined.assignment).cloned().collect();
        let added: BTreeSet<_> = joined.assignment.difference(&before).cloned().collect();
        let membership = &mut self.membership;
        membership.member_id = joined.member_id.clone();
        membership.generation = joined.generation;
        // What it had to give up goes to others when it joins again, which it does at once (KIP-429).
        membership.needs_join = !revoked.is_empty();
        membership.joined = Some(joined.clone());
        if let Some(group) = self.settings.group_id.clone() {
            let (cluster, settings) = (self.cluster.clone(), self.settings.clone());
            let heartbeat = Heartbeat::start(cluster, settings, group, joined.clone(), self.changed.clone());
            self.membership.heartbeat = Some(heartbeat);
        }
        self.commit_in_background(&revoked);
        self.revoke(&revoked);
        self.partitions.assign(&joined.assignment);
        self.needs_metadata |= !added.is_empty();
        self.tell(Rebalance::Assigned(added));
        Ok(())
    }

    /// Stops reading these in good order.
    pub(super) fn revoke(&mut self, revoked: &BTreeSet<TopicPartition>) {
        if revoked.is_empty() {
            return;
        }
        self.tell(Rebalance::Revoked(revoked.clone()));
        let kept = self.partitions.assigned().difference(revoked).cloned().collect();
        self.partitions.assign(&kept);
    }

    /// Stops reading everything: it is not this member's any more.
    fn lose(&mut self) {
        let lost = self.partitions.assigned();
        if !lost.is_empty() {
            self.tell(Rebalance::Lost(lost));
        }
        self.partitions.assign(&BTreeSet::new());
        let membership = &mut self.membership;
        membership.joined = None;
        membership.heartbeat = None;
        membership.member_id.clear();
        membership.generation = -1;
    }

    pub(super) fn tell(&mut self, rebalance: Rebalance) {
        self.counters.rebalances.add(u64::from(matches!(rebalance, Rebalance::Assigned(_))));
        if let Some(listener) = &mut self.listener {
            listener(&rebalance);
        }
    }

    /// Whether the group gave this member up and it did not notice by `poll` yet.
    pub(super) fn is_lost(&self) -> bool {
        if let Some(beats) = &self.membership.beats {
            return matches!(beats.standing(), member::Standing::Lost | member::Standing::Refused(_));
        }
        let standing = self.membership.heartbeat.as_ref().map(Heartbeat::standing);
        matches!(standing, Some(Standing::Lost | Standing::Refused(_)))
    }

    /// Commits the positions of these partitions, where that is automatic, without waiting.
    pub(super) fn commit_in_background(&mut self, partitions: &BTreeSet<TopicPartition>) {
        if !self.settings.auto_commit || partitions.is_empty() {
            return;
        }
        let mut positions = self.partitions.positions();
        positions.retain(|partition, _| partitions.contains(partition));
        self.is_committing |= self.commit_positions_in_background(positions, Event::Committed);
    }

    /// Commits these, without waiting, and tells by the event when it is done. Answers whether there is anything to do.
    pub(super) fn commit_positions_in_background(
        &mut self,
        positions: BTreeMap<TopicPartition, OffsetAndMetadata>,
        done: Event,
    ) -> bool {
        let Ok(now) = self.group_metadata() else { return false };
        if positions.is_empty() {
            return false;
        }
        let (cluster, reports) = (self.cluster.clone(), self.reports.clone());
        let committer = self.committer(now);
        tokio::spawn(async move {
            note_commit(commit_offsets(&cluster, committer, &positions).await);
            let _ = reports.send(done).await;
        });
        true
    }

    /// Leaves the group, so that others take over at once; a static member is expected back and stays.
    pub(super) async fn leave(&mut self, reason: &str) {
        self.membership.heartbeat = None;
        self.membership.joining = None;
        if let Some(beats) = self.membership.beats.take()
            && let Err(error) = beats.leave().await
        {
            tracing::debug!(%error, "leaving the group failed");
        }
        let joined = self.membership.joined.take();
        if let (Some(joined), Some(group), None) = (joined, &self.settings.group_id, &self.settings.instance_id)
            && let Err(error) = leave(&self.cluster, group, &joined, reason).await
        {
            tracing::debug!(%group, %error, "leaving the group failed");
        }
    }

    /// Stops reading; leaves the group, where it is a member of one.
    ///
    /// Dropping this future leaves open whether the group knows; what was read goes on to be read until it is called again.
    pub async fn unsubscribe(&mut self) {
        self.leave("the consumer unsubscribed from all topics").await;
        self.revoke(&self.partitions.assigned());
        self.subscription = Subscription::Nothing;
        self.membership = Membership::default();
    }
}

/// An automatic commit that fails is only noted: the next one commits the same and more.
fn note_commit(result: Result<BTreeMap<TopicPartition, Result<()>>>) {
    let error: Option<ClientError> = match result {
        Ok(results) => results.into_values().find_map(Result::err),
        Err(error) => Some(error),
    };
    if let Some(error) = error {
        tracing::warn!(%error, "an automatic commit failed");
    }
}
