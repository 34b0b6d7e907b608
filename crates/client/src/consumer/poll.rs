use super::decode::{DecodeRules, FetchedBatches};
use super::fetch::{FetchItem, FetchItems, FetchedPartition, fetch, item};
use super::lookup::{Found, Lookup, may_reset, no_offset};
use super::membership::Joined;
use super::partitions::{PartitionState, reset_spec};
use super::{Consumer, Subscription};
use crate::admin::OffsetAndMetadata;
use crate::cluster::{AutoCreate, is_stale};
use crate::error::{ClientError, Result};
use crate::producer::now_ms;
use crate::record::ConsumerRecord;
use ottla_protocol::ErrorCode;
use ottla_types::{NodeId, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// What the consumer's helpers tell it.
pub(super) enum Event {
    Fetched {
        node: NodeId,
        items: FetchItems,
        result: Result<BTreeMap<TopicPartition, FetchedPartition>>,
    },
    Positions {
        lookup: Lookup,
        result: Result<Found>,
    },
    Joined {
        number: u64,
        result: Result<Joined>,
    },
    Refreshed(Result<()>),
    /// An automatic commit has ended.
    Committed,
    /// The commit of partitions that are let go of has ended.
    LetGo,
}

impl Consumer {
    /// Returns records as soon as there are any, at most `max.poll.records`; none when the time is over.
    ///
    /// Of each partition two answers are fetched ahead and no more: a consumer that does not poll fetches nothing. Dropping
    /// this future loses nothing: what was fetched is returned by the next call.
    ///
    /// # Errors
    /// The group refuses this member, a position can't be had, records can't be read, or access is refused. The
    /// consumer can still be used; the next call goes on where this one stopped.
    pub async fn poll(&mut self, timeout: Duration) -> Result<Vec<ConsumerRecord>> {
        let deadline = Instant::now() + timeout.min(Duration::from_secs(u64::from(u32::MAX)));
        loop {
            while let Ok(event) = self.events.try_recv() {
                self.take(event)?;
            }
            self.keep_membership()?;
            self.ask_metadata();
            self.ask_positions();
            self.commit_when_due();
            let records = self.take_records()?;
            self.start_fetches();
            let now = Instant::now();
            if !records.is_empty() || now >= deadline {
                self.counters.note_records(&records);
                return Ok(records);
            }
            let wake_at = deadline.min(self.next_wake(now));
            tokio::select! {
                event = self.events.recv() => if let Some(event) = event { self.take(event)? },
                () = self.changed.notified() => {}
                () = tokio::time::sleep_until(wake_at.into()) => {}
            }
        }
    }

    fn next_wake(&self, now: Instant) -> Instant {
        let idle = now + Duration::from_secs(1);
        let mut wake = if self.quiet_until > now { self.quiet_until.min(idle) } else { idle };
        if self.settings.auto_commit && self.next_commit > now {
            wake = wake.min(self.next_commit);
        }
        wake
    }

    fn take(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Fetched { node, items, result } => self.take_fetched(node, &items, result),
            Event::Positions { lookup, result } => self.take_positions(&lookup, result),
            Event::Joined { number, result } => self.take_joined(number, result),
            Event::Refreshed(result) => {
                self.is_refreshing = false;
                self.quiet_until = Instant::now() + self.settings.client.retry_backoff;
                if let Err(error) = result {
                    tracing::debug!(%error, "asking for metadata failed");
                    self.needs_metadata = true;
                }
                self.match_topics();
                Ok(())
            }
            Event::Committed => {
                self.is_committing = false;
                Ok(())
            }
            Event::LetGo => {
                self.take_let_go();
                Ok(())
            }
        }
    }

    /// Finds the topics that a pattern matches.
    fn match_topics(&mut self) {
        let excludes_internal = self.settings.excludes_internal_topics;
        let metadata = self.cluster.metadata();
        if let Subscription::Matching { matches, topics } = &mut self.subscription {
            let shown = metadata.topics.iter().filter(|(_, topic)| !(topic.is_internal && excludes_internal));
            *topics = shown.map(|(name, _)| name.clone()).filter(|name| matches(name)).collect();
        }
    }

    fn ask_metadata(&mut self) {
        let is_old = self.cluster.metadata_age().is_none_or(|age| age >= self.settings.client.metadata_age_max);
        let now = Instant::now();
        if !(self.needs_metadata || is_old) || self.is_refreshing || self.quiet_until > now {
            return;
        }
        let topics: Option<BTreeSet<String>> = match &self.subscription {
            Subscription::Nothing => return,
            Subscription::Matching { .. } => None,
            subscription => {
                let mut topics = subscription.topics().cloned().unwrap_or_default();
                topics.extend(self.partitions.states.keys().map(|partition| partition.topic.to_string()));
                let watched = self.membership.joined.as_ref().and_then(|joined| joined.watched.as_ref());
                topics.extend(watched.into_iter().flat_map(|watched| watched.keys().cloned()));
                Some(topics)
            }
        };
        self.needs_metadata = false;
        self.is_refreshing = true;
        let create = if self.settings.may_create_topics { AutoCreate::Allowed } else { AutoCreate::Forbidden };
        let (cluster, reports) = (self.cluster.clone(), self.reports.clone());
        let ids = self.unknown_topics.clone();
        tokio::spawn(async move {
            let mut result = cluster.refresh(topics.as_ref(), create).await.map(|_| ());
            if result.is_ok() && !ids.is_empty() {
                result = cluster.refresh_by_id(&ids).await;
            }
            let _ = reports.send(Event::Refreshed(result)).await;
        });
    }

    fn ask_positions(&mut self) {
        if self.is_looking_up || self.quiet_until > Instant::now() {
            return;
        }
        let Some(lookup) = Lookup::of(&self.partitions) else { return };
        self.is_looking_up = true;
        let (cluster, settings, reports) = (self.cluster.clone(), self.settings.clone(), self.reports.clone());
        tokio::spawn(async move {
            let result = lookup.run(&cluster, &settings).await;
            let _ = reports.send(Event::Positions { lookup, result }).await;
        });
    }

    fn take_positions(&mut self, lookup: &Lookup, result: Result<Found>) -> Result<()> {
        self.is_looking_up = false;
        let found = match result {
            Ok(found) => found,
            Err(error) if error.is_retriable() || is_stale(&error) => {
                self.quiet_until = Instant::now() + self.settings.client.retry_backoff;
                self.needs_metadata = true;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let mut failure = None;
        for (partition, position) in found {
            let Some(state) = self.partitions.states.get_mut(&partition) else { continue };
            // The application moved the position meanwhile: what was found is not what it wants any more.
            if lookup.states.get(&partition) != Some(&state.seeks) {
                continue;
            }
            match position {
                Ok(position) => state.move_to(Some(position), None),
                Err(error) if error.is_retriable() || is_stale(&error) => self.needs_metadata = true,
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(()), Err)
    }

    fn commit_when_due(&mut self) {
        let now = Instant::now();
        if !self.settings.auto_commit || self.is_committing || self.next_commit > now {
            return;
        }
        self.next_commit = now + self.settings.auto_commit_interval;
        if !self.is_lost() {
            self.commit_in_background(&self.partitions.assigned());
        }
    }

    /// Starts a fetch at each node that leads a partition of which more is wanted and that is not fetched from already.
    fn start_fetches(&mut self) {
        let metadata = self.cluster.metadata();
        let now = Instant::now();
        let mut by_node = BTreeMap::<NodeId, FetchItems>::new();
        for (partition, state) in &mut self.partitions.states {
            let Some(offset) = state.fetch_offset() else { continue };
            let Some((leader, _)) = metadata.leader(&partition.topic, partition.partition.value()) else {
                self.needs_metadata = true;
                continue;
            };
            let preferred = state.preferred.filter(|(node, until)| *until > now && metadata.brokers.contains_key(node));
            let node = preferred.map_or(leader, |(node, _)| node);
            if self.fetching.contains(&node) {
                continue;
            }
            if let Some(item) = item(&metadata, partition, offset, state.seeks) {
                state.is_fetching = true;
                by_node.entry(node).or_default().insert(partition.clone(), item);
            }
        }
        for (node, items) in by_node {
            self.fetching.insert(node);
            let (cluster, settings, reports) = (self.cluster.clone(), self.settings.clone(), self.reports.clone());
            tokio::spawn(async move {
                let result = match cluster.node(node).await {
                    Ok(connection) => fetch(&connection, &settings, &items).await,
                    Err(error) => Err(error),
                };
                let _ = reports.send(Event::Fetched { node, items, result }).await;
            });
        }
    }

    fn take_fetched(
        &mut self,
        node: NodeId,
        items: &FetchItems,
        result: Result<BTreeMap<TopicPartition, FetchedPartition>>,
    ) -> Result<()> {
        self.fetching.remove(&node);
        for partition in items.keys() {
            if let Some(state) = self.partitions.states.get_mut(partition) {
                state.is_fetching = false;
            }
        }
        let mut fetched = match result {
            Ok(fetched) => fetched,
            Err(error) => {
                tracing::debug!(%node, %error, "a fetch failed");
                self.needs_metadata = true;
                for partition in items.keys() {
                    if let Some(state) = self.partitions.states.get_mut(partition) {
                        state.preferred = None;
                    }
                }
                return if error.is_retriable() || is_stale(&error) { Ok(()) } else { Err(error) };
            }
        };
        let bytes: usize = fetched.values().map(|answer| answer.records.len()).sum();
        self.counters.fetches.note(bytes as u64);
        let mut failure = None;
        for (partition, item) in items {
            let Some(answer) = fetched.remove(partition) else { continue };
            if let Err(error) = self.take_partition(partition, item, answer) {
                failure = Some(error);
            }
        }
        failure.map_or(Ok(()), Err)
    }

    fn take_partition(&mut self, partition: &TopicPartition, item: &FetchItem, answer: FetchedPartition) -> Result<()> {
        let age = self.settings.client.metadata_age_max;
        let reset = self.settings.offset_reset;
        let Some(state) = self.partitions.states.get_mut(partition).filter(|state| state.seeks == item.seeks) else {
            return Ok(());
        };
        match answer.error {
            ErrorCode::None => {
                state.high_watermark = Some(answer.high_watermark);
                if let Some(node) = answer.preferred_replica {
                    state.preferred = Some((node, Instant::now() + age));
                }
                if !answer.records.is_empty() {
                    let (topic, index) = (partition.topic.clone(), partition.partition.value());
                    let batches = FetchedBatches::new(topic, index, answer.records, item.offset, answer.aborted);
                    state.fetched.push_back(batches);
                }
                Ok(())
            }
            // A replica that is behind does not have the offset yet; the leader knows.
            ErrorCode::OffsetOutOfRange if state.preferred.is_some() => {
                state.preferred = None;
                Ok(())
            }
            ErrorCode::OffsetOutOfRange if state.has_buffered() => Ok(()),
            ErrorCode::OffsetOutOfRange if may_reset(reset) => {
                tracing::info!(%partition, offset = item.offset, "the offset is out of range, it is reset");
                state.move_to(None, reset_spec(reset, now_ms()));
                Ok(())
            }
            ErrorCode::OffsetOutOfRange => Err(no_offset(partition)),
            code => {
                let error = ClientError::Api { code, message: None };
                if is_stale(&error) || error.is_retriable() {
                    self.needs_metadata = true;
                    Ok(())
                } else {
                    Err(error)
                }
            }
        }
    }

    /// Takes records out of what was fetched, one partition after the other, each call beginning at another one.
    fn take_records(&mut self) -> Result<Vec<ConsumerRecord>> {
        let rules =
            DecodeRules { isolation: self.settings.isolation, checks_checksums: self.settings.checks_checksums };
        let mut taken = Vec::new();
        let count = self.partitions.states.len();
        let start = self.partitions.turn.checked_rem(count).unwrap_or(0);
        for round in 0..count {
            let index = (start + round) % count;
            let Some((_, state)) = self.partitions.states.iter_mut().nth(index) else { continue };
            if state.is_paused || state.is_let_go {
                continue;
            }
            while taken.len() < self.settings.poll_records_max {
                if let Some(record) = state.records.pop_front() {
                    advance(state, &record);
                    taken.push(record);
                    continue;
                }
                let Some(fetched) = state.fetched.front_mut() else { break };
                match fetched.decode_next(rules, &mut self.decompressor, &mut state.records) {
                    Ok(true) => {}
                    Ok(false) => finish(state),
                    // What was read before it is given out first; the error comes with the next call.
                    Err(_) if !taken.is_empty() => return Ok(taken),
                    Err(error) => {
                        let position = state.position.clone();
                        state.move_to(position, None);
                        return Err(error);
                    }
                }
            }
            if taken.len() >= self.settings.poll_records_max {
                self.partitions.turn = index;
                break;
            }
            self.partitions.turn = index + 1;
        }
        Ok(taken)
    }
}

/// The position is behind the record.
fn advance(state: &mut PartitionState, record: &ConsumerRecord) {
    let (offset, leader_epoch) = (record.offset + 1, record.leader_epoch);
    state.position = Some(OffsetAndMetadata { offset, leader_epoch, metadata: String::new() });
}

/// An answer is read to its end: the position is behind it, also where its last records are not shown.
fn finish(state: &mut PartitionState) {
    let Some(fetched) = state.fetched.pop_front() else { return };
    if let Some(position) = &mut state.position {
        position.offset = position.offset.max(fetched.next_offset());
    }
}
