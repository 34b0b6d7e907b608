//! What a leader does for others.

use crate::broker::{Broker, PARTITION, ServerSession, Surroundings, Waiting};
use crate::messages::{Message, Process};
use crate::model_log::{Record, index, offset};
use crate::oracle::Violation;
use crate::settings::Mistake;
use ottla_replication::{
    EpochRefusal, FetchAnswer, FetchFault, FetchPartition, FetchRead, FetchRefusal, FetchRequest, FetchedData,
    FetcherEpoch, FollowerFetch, ListedOffset, LogView, PartitionAnswer, PartitionRef, Replica, SessionAnswer,
    read_position,
};
use ottla_types::{BrokerEpoch, BrokerId, LeaderEpoch, Offset};

impl Broker {
    /// A client sends records and waits for all replicas.
    pub(crate) fn produce(&mut self, around: &mut Surroundings) -> Result<(), Violation> {
        let Some(leader) = self.replica.as_ref().and_then(Replica::leader) else { return Ok(()) };
        if leader.check_append_with_all_acks().is_err() {
            return Ok(());
        }
        let (epoch, from) = (leader.leader_epoch().0, self.log.end());
        let mut values = Vec::new();
        for _ in 0..around.dice.between(1, 3) {
            self.next_value += 1;
            let value = u64::try_from(self.id).unwrap() * 1_000_000_000 + self.next_value;
            let record = Record::after(self.log.last(), epoch, value);
            around.oracle.appended(epoch, self.log.end(), record)?;
            self.log.append(record);
            values.push(value);
        }
        self.waiting.push(Waiting { from, values });
        let (end, acknowledgeable) = (self.log.log_end(), self.acknowledgeable(around));
        let leader = self.replica.as_mut().and_then(Replica::leader_mut);
        let progress = leader.map(|leader| leader.appended(end, acknowledgeable, around.now)).unwrap_or_default();
        self.progressed(progress, around)
    }

    /// An operator deletes everything committed.
    pub(crate) fn delete_records(&mut self, around: &mut Surroundings) -> Result<(), Violation> {
        let Some(leader) = self.replica.as_mut().and_then(Replica::leader_mut) else { return Ok(()) };
        let Ok(before) = leader.delete_records_before(Offset(-1)) else { return Ok(()) };
        self.log.start = self.log.start.max(index(before));
        let progress = leader.log_start_moved(before, around.now);
        self.progressed(progress, around)
    }

    pub(crate) fn fetch_arrived(
        &mut self,
        from: Process,
        broker_epoch: i64,
        request: &FetchRequest,
        around: &mut Surroundings,
    ) -> Result<(), Violation> {
        let (session, wanted, is_full) = self.session_of(from.broker, request, around);
        let mut answer = FetchAnswer { session, partitions: Vec::new() };
        let mut records = Vec::new();
        let mut high_watermark = offset(self.log.high_watermark);
        if let Some(wanted) = wanted {
            let (partition, read) = self.read_for(from.broker, broker_epoch, wanted, around)?;
            records = read;
            high_watermark = offset(self.log.high_watermark);
            let bounds = (high_watermark, self.log.log_start());
            let told = self.sessions.get_mut(&from.broker).map(|session| session.told.replace(bounds));
            let is_news = !matches!(partition, PartitionAnswer::Data(data) if data.bytes == 0);
            if is_full || is_news || told != Some(Some(bounds)) {
                answer.partitions.push((PARTITION, partition));
            }
        }
        let message = Message::Fetched { from: self.id, number: request.number, answer, records, high_watermark };
        around.answer(from, message);
        Ok(())
    }

    /// Finds the session of a request, what it wants, and whether the answer must name all of it.
    fn session_of(
        &mut self,
        from: i32,
        request: &FetchRequest,
        around: &mut Surroundings,
    ) -> (SessionAnswer, Option<FetchPartition>, bool) {
        let (asked, named) = (&request.session, request.session.partitions.first().copied());
        if asked.epoch == 0 {
            self.sessions.remove(&from);
            if !around.settings.has_sessions {
                return (SessionAnswer::Accepted { id: 0 }, named, true);
            }
            self.sessions_made += 1;
            let id = self.sessions_made;
            self.sessions.insert(from, ServerSession { id, epoch: 1, partition: named, told: None });
            return (SessionAnswer::Accepted { id }, named, true);
        }
        match self.sessions.get_mut(&from).filter(|session| session.id == asked.id) {
            None => (SessionAnswer::Unknown, None, false),
            Some(session) if session.epoch != asked.epoch => (SessionAnswer::Refused, None, false),
            Some(session) => {
                session.epoch += 1;
                if asked.forgotten.contains(&PARTITION) {
                    session.partition = None;
                }
                session.partition = named.or(session.partition);
                (SessionAnswer::Accepted { id: session.id }, session.partition, false)
            }
        }
    }

    fn read_for(
        &mut self,
        from: i32,
        broker_epoch: i64,
        wanted: FetchPartition,
        around: &mut Surroundings,
    ) -> Result<(PartitionAnswer, Vec<Record>), Violation> {
        let fetch = self.fetch_of(from, broker_epoch, wanted, around);
        let Some(replica) = &mut self.replica else { return Ok((fault(FetchRefusal::NotLeader), Vec::new())) };
        let outcome = replica
            .leader_for(fetch.position.leader_epoch)
            .and_then(|leader| leader.follower_fetched(fetch, &self.log, around.now));
        Ok(match outcome {
            Err(refusal) => (fault(refusal), Vec::new()),
            Ok((FetchRead::Diverging(end), progress)) => {
                self.progressed(progress, around)?;
                (PartitionAnswer::Diverging(end), Vec::new())
            }
            Ok((FetchRead::From(start), progress)) => {
                self.progressed(progress, around)?;
                let start = index(start);
                let missing = self.log.end() - start;
                // Sometimes little fits in an answer, sometimes all.
                let count = if around.dice.per_mille(500) { missing } else { missing.min(3) };
                let data = FetchedData {
                    bytes: count,
                    high_watermark: offset(self.log.high_watermark),
                    log_start: self.log.log_start(),
                };
                (PartitionAnswer::Data(data), self.log.records[start..start + count].to_vec())
            }
        })
    }

    fn fetch_of(&self, from: i32, broker_epoch: i64, wanted: FetchPartition, around: &Surroundings) -> FollowerFetch {
        let mut position = wanted.position;
        if around.makes(Mistake::NoLastFetchedEpoch) || around.makes(Mistake::TruncateToHighWatermark) {
            position.last_fetched_epoch = None;
        }
        if around.makes(Mistake::UnfencedFetches) {
            position.leader_epoch = None;
            position.last_fetched_epoch = None;
        }
        if around.makes(Mistake::OnlyLastEpochCompared)
            && let Ok(FetchRead::Diverging(end)) = read_position(&self.log, position)
            && end.end_offset >= position.offset
        {
            position.last_fetched_epoch = None;
        }
        let is_unsaid = around.makes(Mistake::NoBrokerEpochs);
        FollowerFetch {
            replica: BrokerId::new(from),
            broker_epoch: if is_unsaid { FetcherEpoch::Unsaid } else { FetcherEpoch::Said(BrokerEpoch(broker_epoch)) },
            position,
            log_start: wanted.log_start,
        }
    }

    /// A follower asks where the log starts or ends.
    pub(crate) fn list_arrived(
        &mut self,
        from: Process,
        at: PartitionRef,
        epoch: LeaderEpoch,
        which: ListedOffset,
        around: &mut Surroundings,
    ) {
        let Some(replica) = &mut self.replica else { return };
        let listed = replica.leader_for(Some(epoch)).map_err(fault_of).map(|_| match which {
            ListedOffset::Latest => self.log.log_end(),
            ListedOffset::Earliest => self.log.log_start(),
        });
        around.answer(from, Message::Listed { from: self.id, at, which, listed });
    }
}

fn fault(refusal: FetchRefusal) -> PartitionAnswer {
    PartitionAnswer::Fault(fault_of(refusal))
}

fn fault_of(refusal: FetchRefusal) -> FetchFault {
    match refusal {
        FetchRefusal::OutOfRange { .. } => FetchFault::OffsetOutOfRange,
        FetchRefusal::Epoch(EpochRefusal::Fenced { .. }) => FetchFault::FencedLeaderEpoch,
        _ => FetchFault::Retriable,
    }
}
