//! Fetching from leaders, and doing what comes of it.

use super::durability::AwaitsSync;
use super::messages::{fetch_answer, fetch_request, fetch_versions, list_offsets_request, listed};
use super::{Replication, View};
use crate::partition::Partition;
use crate::peers::{Lane, PeerFailure, broker_at};
use bytes::Bytes;
use core::time::Duration;
use ottla_net::Destination;
use ottla_protocol::ApiKey;
use ottla_protocol::messages::FetchResponse;
use ottla_records::Batches;
use ottla_replication::{
    EpochEnd, FetchFault, FetchRequest, FetcherEffect, FetcherId, FollowerEffect, ListedOffset, LogView, Logs,
    PartitionRef, StorageFailure,
};
use ottla_types::{BrokerId, LeaderEpoch, Offset, TopicIdPartition};
use std::sync::Arc;

/// The log of a partition that is held here.
pub(crate) struct PartitionLog(Arc<Partition>);

impl LogView for PartitionLog {
    fn log_start(&self) -> Offset {
        View(&self.0.log).log_start()
    }

    fn log_end(&self) -> Offset {
        View(&self.0.log).log_end()
    }

    fn high_watermark(&self) -> Offset {
        View(&self.0.log).high_watermark()
    }

    fn latest_epoch(&self) -> Option<LeaderEpoch> {
        View(&self.0.log).latest_epoch()
    }

    fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        View(&self.0.log).end_offset_for_epoch(epoch)
    }
}

impl Logs for Replication {
    type Log = PartitionLog;

    fn log(&self, partition: &TopicIdPartition) -> Option<PartitionLog> {
        self.partition(partition).filter(|partition| !partition.log.is_offline()).map(PartitionLog)
    }
}

impl Replication {
    pub(super) fn partition(&self, partition: &TopicIdPartition) -> Option<Arc<Partition>> {
        self.partitions.topic_by_id(partition.topic_id)?.partition(partition.partition)
    }

    /// Sends the Fetches that are due.
    pub(super) fn fetch_what_is_due(self: &Arc<Self>, now: Duration) {
        let mut due = Vec::new();
        let moved = self.fetchers.lock().settle(&**self);
        moved.into_iter().for_each(|effect| self.perform(effect, None));
        {
            let mut fetchers = self.fetchers.lock();
            let mut quota = self.context.throttles().follower.lock();
            let ids: Vec<FetcherId> = fetchers.iter().map(|(id, _)| id).collect();
            for id in ids {
                let fetcher = fetchers.get_mut(id);
                if let Some(request) = fetcher.and_then(|fetcher| fetcher.poll(now, &**self, &mut quota)) {
                    due.push((id, request));
                }
            }
        }
        for (id, request) in due {
            self.send_fetch(id, &request);
        }
    }

    fn send_fetch(self: &Arc<Self>, id: FetcherId, request: &FetchRequest) {
        let number = request.number;
        let Some(to) = self.address_of(id.leader, Lane::Fetcher(id.number)) else {
            return self.fetch_failed(id, number, "its address is not known");
        };
        let message = fetch_request(self.node_id, self.context.broker_epoch(), request);
        let this = self.clone();
        self.peers.ask(to, message, fetch_versions(), self.settings.answer_max, move |answer| match answer {
            Ok(response) => this.fetched(id, number, response),
            Err(failure) => this.fetch_failed(id, number, &failure.to_string()),
        });
    }

    fn address_of(&self, broker: BrokerId, lane: Lane) -> Option<Destination> {
        broker_at(&self.metadata.image(), broker, &self.listener, lane)
    }

    fn fetch_failed(&self, id: FetcherId, number: u64, reason: &str) {
        tracing::debug!(leader = %id.leader, reason, "nothing was fetched from a leader");
        let now = self.context.now();
        if let Some(fetcher) = self.fetchers.lock().get_mut(id) {
            fetcher.request_failed(number, now);
        }
        self.context.wake();
    }

    fn fetched(self: &Arc<Self>, id: FetcherId, number: u64, response: FetchResponse) {
        let (answer, mut records) = fetch_answer(response);
        let effects = {
            let now = self.context.now();
            let mut fetchers = self.fetchers.lock();
            let fetcher = fetchers.get_mut(id);
            let mut quota = self.context.throttles().follower.lock();
            fetcher.map(|fetcher| fetcher.answered(number, &answer, &**self, &mut quota, now))
        };
        for effect in effects.into_iter().flatten() {
            let records = records.remove(&effect.at.partition);
            self.perform(effect, records);
        }
        // The next one follows at once.
        self.fetch_what_is_due(self.context.now());
    }

    /// Does what a partition's machine wants, and what follows from that.
    pub(super) fn perform(self: &Arc<Self>, effect: FetcherEffect, mut records: Option<Bytes>) {
        let mut next = Some(effect);
        while let Some(effect) = next {
            next = self.perform_one(effect, records.take());
        }
    }

    fn perform_one(self: &Arc<Self>, effect: FetcherEffect, records: Option<Bytes>) -> Option<FetcherEffect> {
        let FetcherEffect { at, leader_epoch, effect } = effect;
        let partition = self.partition(&at.partition)?;
        let now = self.context.now();
        match effect {
            FollowerEffect::Append { leader_epoch: latest } => {
                let records = records.unwrap_or_default();
                let of_epoch = up_to_epoch(&records, latest);
                let appended = partition.as_follower(leader_epoch, || match of_epoch.is_empty() {
                    true => Ok(()),
                    false => partition.append_fetched(of_epoch),
                })?;
                match appended {
                    Ok(()) => self.after_sync(&partition, AwaitsSync::Appended(at)),
                    Err(refusal) => self.with_fetcher(at, |fetcher| fetcher.append_refused(at, refusal, now)),
                }
            }
            FollowerEffect::Advance { high_watermark, log_start } => {
                partition.as_follower(leader_epoch, || {
                    partition.log.set_high_watermark(high_watermark);
                    if let Some(start) = log_start
                        && let Err(error) = partition.log.advance_log_start_offset(start)
                    {
                        tracing::warn!(partition = %partition.log.topic_partition(), %error, "a log can't begin later");
                    }
                })?;
                // Consumers may read from here (KIP-392).
                partition.synced();
                None
            }
            FollowerEffect::Truncate { to, .. } => {
                let cut = partition.as_follower(leader_epoch, || partition.log.truncate_to(to).map_err(failed))?;
                self.with_fetcher(at, |fetcher| fetcher.truncated(at, cut, &View(&partition.log), now))
            }
            FollowerEffect::TruncateFully { start_at } => {
                let cut = partition.as_follower(leader_epoch, || {
                    partition.log.truncate_fully_and_start_at(start_at).map_err(failed)?;
                    partition.log.set_high_watermark(start_at);
                    Ok(())
                })?;
                self.with_fetcher(at, |fetcher| fetcher.truncated(at, cut, &View(&partition.log), now))
            }
            FollowerEffect::ListOffset(which) => {
                self.ask_for_offset(at, leader_epoch, which, partition);
                None
            }
            FollowerEffect::Fail(reason) => {
                let name = partition.log.topic_partition();
                tracing::info!(partition = %name, ?reason, "a partition is followed no more in this leader epoch");
                None
            }
        }
    }

    pub(super) fn with_fetcher(
        &self,
        at: PartitionRef,
        step: impl FnOnce(&mut ottla_replication::Fetcher) -> Option<FetcherEffect>,
    ) -> Option<FetcherEffect> {
        let mut fetchers = self.fetchers.lock();
        let id = fetchers.place_of(&at.partition)?;
        step(fetchers.get_mut(id)?)
    }

    fn ask_for_offset(
        self: &Arc<Self>,
        at: PartitionRef,
        epoch: LeaderEpoch,
        which: ListedOffset,
        partition: Arc<Partition>,
    ) {
        let id = self.fetchers.lock().place_of(&at.partition);
        let to = id.and_then(|id| self.address_of(id.leader, Lane::Fetcher(id.number)));
        let this = self.clone();
        let told = move |answer: Result<Offset, FetchFault>, partition: Arc<Partition>| {
            let now = this.context.now();
            let next = this.with_fetcher(at, |fetcher| fetcher.listed(at, which, answer, &View(&partition.log), now));
            if let Some(effect) = next {
                this.perform(effect, None);
            }
            this.context.wake();
        };
        let Some(to) = to else { return told(Err(FetchFault::Retriable), partition) };
        let request = list_offsets_request(self.node_id, &partition.topic, partition.index, epoch, which);
        self.peers.ask(to, request, ApiKey::ListOffsets.versions(), self.settings.answer_max, move |answer| {
            let answer: Result<_, PeerFailure> = answer;
            told(answer.map_or(Err(FetchFault::Retriable), |response| listed(&response)), partition);
        });
    }
}

fn failed(error: ottla_log::StorageError) -> StorageFailure {
    tracing::error!(%error, "a follower's log can't be cut");
    if error.is_passing() { StorageFailure::Passing } else { StorageFailure::Lasting }
}

/// The whole batches at the beginning that are of no later epoch.
fn up_to_epoch(records: &[u8], latest: LeaderEpoch) -> &[u8] {
    let mut length = 0;
    for batch in Batches::new(records) {
        match batch {
            Ok(batch) if batch.partition_leader_epoch() <= latest => length += batch.size(),
            // What is damaged is left to the log to refuse.
            Err(_) if length == 0 => return records,
            _ => break,
        }
    }
    records.get(..length).unwrap_or_default()
}
