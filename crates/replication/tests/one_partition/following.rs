//! What a follower does.

use crate::broker::{Broker, OneLog, PARTITION, Surroundings};
use crate::messages::{Event, Message};
use crate::model_log::{Record, index};
use crate::oracle::Violation;
use crate::settings::Mistake;
use ottla_replication::{
    AppendRefusal, FetchAnswer, FetchFault, Fetcher, FetcherEffect, FollowerEffect, ListedOffset, PartitionRef, Role,
    StorageFailure,
};
use ottla_types::{BrokerId, Offset};

impl Broker {
    fn fetcher(&mut self) -> Option<&mut Fetcher> {
        let place = self.fetchers.place_of(&PARTITION)?;
        self.fetchers.get_mut(place)
    }

    pub(crate) fn poll_fetcher(&mut self, around: &mut Surroundings) {
        let of = self.process();
        let Some((broker_epoch, _)) = self.registration else { return };
        let Some(place) = self.fetchers.place_of(&PARTITION) else { return };
        let Some(fetcher) = self.fetchers.get_mut(place) else { return };
        let Some(request) = fetcher.poll(around.now, &OneLog(&self.log), &mut self.quota) else { return };
        let leader = place.leader.0;
        let patience = 4 * around.settings.delay_max + 10;
        around.after(patience, Event::GivesUp { of, leader, number: request.number });
        around.send(leader, Message::Fetch { from: of, broker_epoch, request });
    }

    pub(crate) fn fetched(
        &mut self,
        from: i32,
        number: u64,
        answer: &FetchAnswer,
        records: Vec<Record>,
        high_watermark: Offset,
        around: &mut Surroundings,
    ) -> Result<(), Violation> {
        let Some(place) = self.fetchers.place_of(&PARTITION).filter(|place| place.leader.0 == from) else {
            return Ok(());
        };
        let Some(fetcher) = self.fetchers.get_mut(place) else { return Ok(()) };
        let effects = fetcher.answered(number, answer, &OneLog(&self.log), &mut self.quota, around.now);
        effects
            .into_iter()
            .try_for_each(|effect| self.perform_later(Some(effect), records.clone(), high_watermark, around))
    }

    /// The disk does it, sooner or later; requests go out, and bounds move, at once.
    pub(crate) fn perform_later(
        &mut self,
        effect: Option<FetcherEffect>,
        records: Vec<Record>,
        high_watermark: Offset,
        around: &mut Surroundings,
    ) -> Result<(), Violation> {
        let Some(effect) = effect else { return Ok(()) };
        let of = self.process();
        match effect.effect {
            FollowerEffect::ListOffset(which) => {
                let Some(place) = self.fetchers.place_of(&PARTITION) else { return Ok(()) };
                let leader = place.leader.0;
                around.send(leader, Message::List { from: of, at: effect.at, epoch: effect.leader_epoch, which });
                let patience = 4 * around.settings.delay_max + 10;
                around.after(patience, Event::GivesUpList { of, leader, at: effect.at, which });
                Ok(())
            }
            FollowerEffect::Advance { high_watermark, log_start } => self.advance(high_watermark, log_start, around),
            _ => {
                let delay = around.dice.below(3);
                around.after(delay, Event::Performs { of, effect, records, high_watermark });
                Ok(())
            }
        }
    }

    fn advance(
        &mut self,
        high_watermark: Offset,
        log_start: Option<Offset>,
        around: &mut Surroundings,
    ) -> Result<(), Violation> {
        let high_watermark = index(high_watermark);
        if high_watermark < self.log.high_watermark {
            return Err(format!("high-watermark-monotone: follower {} goes back to {high_watermark}", self.id));
        }
        // Both at once: what is before the leader's start has not been compared with it.
        self.log.high_watermark = high_watermark;
        self.log.start = self.log.start.max(log_start.map_or(0, index));
        around.oracle.commits(self.id, &self.log, false)
    }

    /// Does it, unless the replica is in another epoch or role by now.
    pub(crate) fn perform(
        &mut self,
        effect: FetcherEffect,
        records: &[Record],
        high_watermark: Offset,
        before: &[Record],
        around: &mut Surroundings,
    ) -> Result<(), Violation> {
        let is_follower = self.replica.as_ref().is_some_and(|replica| {
            matches!(replica.role(), Role::Follower(follower) if follower.leader_epoch == effect.leader_epoch)
        });
        if !is_follower && !around.makes(Mistake::MissedEpochKept) {
            return Ok(());
        }
        let next = match effect.effect {
            FollowerEffect::Append { leader_epoch } => self.append(effect.at, leader_epoch.0, records, around)?,
            FollowerEffect::Truncate { to, .. } => {
                if around.makes(Mistake::AdvancedBeforeTruncation) {
                    self.log.high_watermark = index(high_watermark).min(self.log.end()).max(self.log.high_watermark);
                    around.oracle.commits(self.id, &self.log, false)?;
                }
                self.cut(index(to), around)?;
                self.truncated(effect.at, around)
            }
            FollowerEffect::TruncateFully { .. } => {
                self.log.restart_at(before);
                self.truncated(effect.at, around)
            }
            FollowerEffect::Advance { .. } | FollowerEffect::ListOffset(_) | FollowerEffect::Fail(_) => None,
        };
        self.perform_later(next, Vec::new(), Offset(0), around)?;
        self.poll_fetcher(around);
        Ok(())
    }

    fn truncated(&mut self, at: PartitionRef, around: &Surroundings) -> Option<FetcherEffect> {
        let place = self.fetchers.place_of(&PARTITION)?;
        self.fetchers.get_mut(place)?.truncated(at, Ok::<(), StorageFailure>(()), &self.log, around.now)
    }

    fn cut(&mut self, to: usize, around: &mut Surroundings) -> Result<(), Violation> {
        let committed = around.oracle.committed.len();
        let has_committed = self.log.end() >= committed && around.oracle.agrees(&self.log, committed);
        if has_committed && to < committed && !around.oracle.is_loss_legal {
            return Err(format!("no-acked-loss: {} cuts at {to} what is committed up to {committed}", self.id));
        }
        self.log.truncate(to, around.makes(Mistake::ConflictingEpochStays));
        Ok(())
    }

    fn append(
        &mut self,
        at: PartitionRef,
        leader_epoch: i32,
        records: &[Record],
        around: &mut Surroundings,
    ) -> Result<Option<FetcherEffect>, Violation> {
        if around.dice.per_mille(5) {
            let now = around.now;
            let refused = |fetcher: &mut Fetcher| fetcher.append_refused(at, AppendRefusal::Corrupt, now);
            return Ok(self.fetcher().and_then(refused));
        }
        for record in records.iter().take_while(|record| record.epoch <= leader_epoch) {
            around.oracle.copied(self.id, self.log.end(), *record)?;
            self.log.append(*record);
        }
        if around.settings.flushes && !around.makes(Mistake::FetchTellsUnsynced) {
            let (of, end, delay) = (self.process(), self.log.end(), around.dice.below(4));
            around.after(delay, Event::Synced { of, at, end });
            return Ok(None);
        }
        Ok(self.appended(at, around))
    }

    /// The disk has synced what was appended.
    pub(crate) fn synced(&mut self, at: PartitionRef, end: usize, around: &mut Surroundings) -> Result<(), Violation> {
        self.log.synced = self.log.synced.max(end.min(self.log.end()));
        let next = self.appended(at, around);
        self.perform_later(next, Vec::new(), Offset(0), around)?;
        self.poll_fetcher(around);
        Ok(())
    }

    fn appended(&mut self, at: PartitionRef, around: &Surroundings) -> Option<FetcherEffect> {
        let place = self.fetchers.place_of(&PARTITION)?;
        self.fetchers.get_mut(place)?.appended(at, &self.log, around.now)
    }

    pub(crate) fn listed(
        &mut self,
        from: i32,
        at: PartitionRef,
        which: ListedOffset,
        listed: Result<Offset, FetchFault>,
        around: &mut Surroundings,
    ) -> Result<(), Violation> {
        let Some(place) = self.fetchers.place_of(&PARTITION).filter(|place| place.leader.0 == from) else {
            return Ok(());
        };
        let Some(fetcher) = self.fetchers.get_mut(place) else { return Ok(()) };
        let effect = fetcher.listed(at, which, listed, &self.log, around.now);
        self.perform_later(effect, Vec::new(), Offset(0), around)
    }

    /// No answer has come to a fetch.
    pub(crate) fn gives_up(&mut self, leader: i32, number: u64, around: &Surroundings) {
        let place = self.fetchers.iter().map(|(id, _)| id).find(|id| id.leader == BrokerId::new(leader));
        if let Some(fetcher) = place.and_then(|place| self.fetchers.get_mut(place)) {
            fetcher.request_failed(number, around.now);
        }
    }
}
