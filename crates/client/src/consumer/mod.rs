//! The consumer: positions, fetches, membership of a group.

mod assignor;
mod beats;
mod decode;
mod fetch;
mod group_metadata;
mod heartbeat;
mod lookup;
mod member;
mod membership;
mod metrics;
mod offsets;
mod partitions;
mod poll;
mod protocol;
mod rebalance;
mod reconciling;
mod settings;

pub use assignor::Assignor;
pub use group_metadata::ConsumerGroupMetadata;
pub use rebalance::{Rebalance, RebalanceListener};
pub use settings::{ConsumerSettings, GroupProtocol, OffsetReset, iso_duration};

pub(crate) use offsets::{commit_offsets, fetch_offsets};

use crate::admin::{ListedOffset, OffsetAndMetadata, OffsetSpec, list_offsets};
use crate::cluster::Cluster;
use crate::error::{ClientError, Result};
use crate::settings::invalid;
use metrics::ConsumerCounters;
use ottla_records::Decompressor;
use ottla_types::{NodeId, TopicId, TopicPartition};
use partitions::Partitions;
use poll::Event;
use rebalance::Membership;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{Notify, mpsc};

/// Reads records, alone or as a member of a group.
///
/// - A member of a group ([`subscribe`](Self::subscribe)) reads the partitions that the group assigns to it; a consumer
///   that stands alone ([`assign`](Self::assign)) reads those that it is told.
/// - [`poll`](Self::poll) does the work, joining the group included: call it again and again, at least every
///   `max.poll.interval.ms`. Heartbeats go on between the calls.
/// - Records of one partition come in the order of their offsets. They count as read when `poll` has returned them; what
///   is committed, by [`commit`](Self::commit) or automatically, is the position behind the records returned.
/// - Dropping a future of `poll` loses nothing: what was fetched is returned by the next call.
/// - Dropping the consumer stops it at once: the group notices after `session.timeout.ms`.
///   [`close`](Self::close) commits, leaves, and lets the others take over at once.
pub struct Consumer {
    settings: ConsumerSettings,
    cluster: Cluster,
    subscription: Subscription,
    partitions: Partitions,
    membership: Membership,
    decompressor: Decompressor,
    events: mpsc::Receiver<Event>,
    reports: mpsc::Sender<Event>,
    fetching: BTreeSet<NodeId>,
    is_looking_up: bool,
    is_refreshing: bool,
    is_committing: bool,
    needs_metadata: bool,
    /// Topics that the coordinator named by their ids and whose names are not known.
    unknown_topics: BTreeSet<TopicId>,
    /// Not before this time is metadata or a position asked for again.
    quiet_until: Instant,
    next_commit: Instant,
    /// Told when the membership changed.
    changed: Arc<Notify>,
    listener: Option<RebalanceListener>,
    counters: ConsumerCounters,
}

/// Reports that wait; more helpers than this wait with theirs.
const REPORTS_MAX: usize = 256;

/// What a consumer reads.
enum Subscription {
    Nothing,
    /// These partitions.
    Partitions,
    /// What the group assigns of these topics.
    Topics(BTreeSet<String>),
    /// What the group assigns of the topics that the coordinator finds to match.
    Pattern(String),
    /// What the group assigns of the topics that match.
    Matching {
        matches: Box<dyn Fn(&str) -> bool + Send + Sync>,
        topics: BTreeSet<String>,
    },
}

impl Subscription {
    /// The topics that the group is asked for; `None` without a group.
    fn topics(&self) -> Option<&BTreeSet<String>> {
        match self {
            Self::Topics(topics) | Self::Matching { topics, .. } => Some(topics),
            Self::Nothing | Self::Partitions | Self::Pattern(_) => None,
        }
    }
}

impl Consumer {
    /// A consumer. Must be called within a tokio runtime; nothing is sent yet.
    ///
    /// # Errors
    /// A setting is not allowed, or settings contradict each other.
    pub fn new(settings: ConsumerSettings) -> Result<Self> {
        if settings.group_protocol == GroupProtocol::Classic && settings.heartbeat_interval >= settings.session_timeout
        {
            let value = settings.heartbeat_interval.as_millis().to_string();
            return Err(invalid("heartbeat.interval.ms", &value, "less than session.timeout.ms"));
        }
        let cluster = Cluster::new(settings.client.clone())?;
        let (reports, events) = mpsc::channel(REPORTS_MAX);
        let now = Instant::now();
        Ok(Self {
            cluster,
            subscription: Subscription::Nothing,
            partitions: Partitions::default(),
            membership: Membership::default(),
            decompressor: Decompressor::new(settings.decompressed_bytes_max),
            events,
            reports,
            fetching: BTreeSet::new(),
            is_looking_up: false,
            is_refreshing: false,
            is_committing: false,
            needs_metadata: true,
            unknown_topics: BTreeSet::new(),
            quiet_until: now,
            next_commit: now + settings.auto_commit_interval,
            changed: Arc::default(),
            listener: None,
            counters: ConsumerCounters::default(),
            settings,
        })
    }

    /// The cluster that records come from.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Reads, as a member of the group, what it assigns of these topics. Replaces what was read before.
    ///
    /// # Errors
    /// There is no `group.id`.
    pub fn subscribe<T: Into<String>>(&mut self, topics: impl IntoIterator<Item = T>) -> Result<()> {
        let topics = topics.into_iter().map(Into::into).collect();
        self.set_subscription(Subscription::Topics(topics))
    }

    /// As [`subscribe`](Self::subscribe), for all topics whose names match, also those that come to be later.
    ///
    /// # Errors
    /// There is no `group.id`.
    pub fn subscribe_matching(&mut self, matches: impl Fn(&str) -> bool + Send + Sync + 'static) -> Result<()> {
        let matches = Box::new(matches);
        self.set_subscription(Subscription::Matching { matches, topics: BTreeSet::new() })
    }

    /// As [`subscribe`](Self::subscribe), for all topics whose names match the expression as a whole, in the syntax of
    /// RE2. The coordinator matches them, so it needs `group.protocol=consumer`.
    ///
    /// # Errors
    /// There is no `group.id`, or the group's protocol is the classic one. That the expression is wrong is told by
    /// [`poll`](Self::poll).
    pub fn subscribe_pattern(&mut self, expression: impl Into<String>) -> Result<()> {
        if self.settings.group_protocol == GroupProtocol::Classic {
            return Err(ClientError::State("an expression needs group.protocol=consumer"));
        }
        self.set_subscription(Subscription::Pattern(expression.into()))
    }

    fn set_subscription(&mut self, subscription: Subscription) -> Result<()> {
        if self.settings.group_id.is_none() {
            return Err(ClientError::State("a group.id is needed to subscribe"));
        }
        if matches!(self.subscription, Subscription::Partitions) {
            self.partitions = Partitions::default();
        }
        self.subscription = subscription;
        self.needs_metadata = true;
        self.membership.needs_join = true;
        Ok(())
    }

    /// Reads these partitions, without a group. Replaces what was read before.
    pub fn assign(&mut self, partitions: impl IntoIterator<Item = TopicPartition>) {
        self.subscription = Subscription::Partitions;
        self.membership = Membership::default();
        self.partitions.assign(&partitions.into_iter().collect());
        self.needs_metadata = true;
    }

    /// Is told what the group takes and gives.
    pub fn set_rebalance_listener(&mut self, listener: RebalanceListener) {
        self.listener = Some(listener);
    }

    /// The partitions that are read at the moment.
    pub fn assignment(&self) -> BTreeSet<TopicPartition> {
        self.partitions.assigned()
    }

    /// The offset of the next record that `poll` returns of the partition; `None` while it is not known.
    pub fn position(&self, partition: &TopicPartition) -> Option<i64> {
        Some(self.partitions.states.get(partition)?.position.as_ref()?.offset)
    }

    /// The positions behind all records that `poll` returned, of the partitions that have one: what
    /// [`commit`](Self::commit) commits.
    pub fn positions(&self) -> BTreeMap<TopicPartition, OffsetAndMetadata> {
        self.partitions.positions()
    }

    /// The end of the partition as the last fetch told it; `None` before the first.
    pub fn high_watermark(&self, partition: &TopicPartition) -> Option<i64> {
        self.partitions.states.get(partition)?.high_watermark
    }

    /// Goes on at this offset.
    ///
    /// # Errors
    /// The partition is not assigned.
    pub fn seek(&mut self, partition: &TopicPartition, offset: i64) -> Result<()> {
        self.state(partition)?.move_to(Some(OffsetAndMetadata::new(offset)), None);
        Ok(())
    }

    /// Goes on where this says; it is looked up by the next `poll`.
    ///
    /// # Errors
    /// The partition is not assigned.
    pub fn seek_to(&mut self, partition: &TopicPartition, spec: OffsetSpec) -> Result<()> {
        self.state(partition)?.move_to(None, Some(spec));
        Ok(())
    }

    /// Goes on, in all partitions, at the committed offsets, which the next `poll` looks up: for what was read in a
    /// transaction that was aborted.
    pub fn seek_to_committed(&mut self) {
        for state in self.partitions.states.values_mut() {
            state.move_to(None, None);
        }
    }

    /// Fetches no more of the partition, and returns none of its records, until [`resume`](Self::resume).
    ///
    /// # Errors
    /// The partition is not assigned.
    pub fn pause(&mut self, partition: &TopicPartition) -> Result<()> {
        self.state(partition)?.is_paused = true;
        Ok(())
    }

    /// Takes a pause back.
    ///
    /// # Errors
    /// The partition is not assigned.
    pub fn resume(&mut self, partition: &TopicPartition) -> Result<()> {
        self.state(partition)?.is_paused = false;
        Ok(())
    }

    fn state(&mut self, partition: &TopicPartition) -> Result<&mut partitions::PartitionState> {
        let state = self.partitions.states.get_mut(partition);
        state.ok_or(ClientError::State("the partition is not assigned to this consumer"))
    }

    /// Commits the positions behind all records that `poll` returned.
    ///
    /// Dropping this future leaves open whether they are committed; a later commit commits the same and more.
    ///
    /// # Errors
    /// There is no `group.id`; the group gave this member up or rebalances; or no answer could be had.
    pub async fn commit(&mut self) -> Result<()> {
        let positions = self.partitions.positions();
        self.commit_offsets(&positions).await
    }

    /// Commits these offsets: of each partition that of the next record to read.
    ///
    /// Dropping this future leaves open whether they are committed.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub async fn commit_offsets(&mut self, offsets: &BTreeMap<TopicPartition, OffsetAndMetadata>) -> Result<()> {
        let committer = self.group_metadata()?;
        if offsets.is_empty() {
            return Ok(());
        }
        let committer = self.committer(committer);
        commit_offsets(&self.cluster, committer, offsets).await?.into_values().collect()
    }

    /// The committed offsets of these partitions; one without is left out. Dropping this future changes nothing.
    ///
    /// # Errors
    /// There is no `group.id`, or no answer could be had.
    pub async fn committed(
        &self,
        partitions: &BTreeSet<TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>> {
        fetch_offsets(&self.cluster, &self.group()?, Some(partitions)).await
    }

    /// Looks offsets up: the first, the last, those of a time. Dropping this future changes nothing.
    ///
    /// # Errors
    /// No answer could be had.
    pub async fn list_offsets(
        &self,
        specs: &BTreeMap<TopicPartition, OffsetSpec>,
    ) -> Result<BTreeMap<TopicPartition, Result<ListedOffset>>> {
        list_offsets(&self.cluster, specs, self.settings.isolation).await
    }

    /// Commits where that is automatic, leaves the group (a static member only for a while) and closes the connections.
    ///
    /// Dropping this future drops the consumer: the group notices after the session timeout.
    ///
    /// # Errors
    /// The commit failed; everything else is done all the same.
    pub async fn close(mut self) -> Result<()> {
        let committed = if self.settings.auto_commit && self.settings.group_id.is_some() && !self.is_lost() {
            self.commit().await
        } else {
            Ok(())
        };
        self.leave("the consumer is being closed").await;
        self.cluster.close();
        committed
    }

    fn group(&self) -> Result<String> {
        self.settings.group_id.clone().ok_or(ClientError::State("a group.id is needed for offsets of a group"))
    }

    /// As whom this consumer commits at the moment, for
    /// [`send_offsets_to_transaction`](crate::Producer::send_offsets_to_transaction). To be asked anew for each transaction.
    ///
    /// # Errors
    /// There is no `group.id`.
    pub fn group_metadata(&self) -> Result<ConsumerGroupMetadata> {
        let outsider = ConsumerGroupMetadata::outsider(self.group()?);
        if let Some(beats) = &self.membership.beats {
            return Ok(beats.committer(self.settings.instance_id.clone())());
        }
        Ok(match &self.membership.joined {
            Some(joined) => ConsumerGroupMetadata {
                generation: joined.generation,
                member_id: joined.member_id.clone(),
                instance_id: self.settings.instance_id.clone(),
                ..outsider
            },
            None => outsider,
        })
    }

    /// As whom is committed at each try: a member of the consumer protocol gets other epochs meanwhile.
    fn committer(&self, now: ConsumerGroupMetadata) -> Box<dyn Fn() -> ConsumerGroupMetadata + Send + Sync> {
        match &self.membership.beats {
            Some(beats) => Box::new(beats.committer(self.settings.instance_id.clone())),
            None => Box::new(move || now.clone()),
        }
    }
}
