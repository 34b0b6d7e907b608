use super::QuorumError;
use super::batches::data_batch;
use super::inner::Inner;
use core::time::Duration;
use ottla_controller::{Context, Controller, Outcome, Seed};
use ottla_log::{AppendError, StorageError};
use ottla_metadata::VersionedRecord;
use ottla_protocol::ErrorCode;
use ottla_raft::Effect;
use ottla_types::{LeaderEpoch, Offset};

/// A decision whose answer waits until this offset is committed.
pub(super) struct Pending {
    pub(super) last_offset: Offset,
    pub(super) reply: Box<dyn FnOnce(Result<(), ErrorCode>) + Send>,
}

/// The world at the time of a decision.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) monotonic: Duration,
    pub(super) seed: Seed,
    pub(super) version: i16,
}

impl Inner {
    /// Has the controller decide. `reply` is called when all that the response rests on is committed and published, or will
    /// never be.
    pub(super) fn decide<T: Send + 'static>(
        &mut self,
        moment: Moment,
        decide: impl FnOnce(&mut Controller, &Context) -> Outcome<T>,
        reply: impl FnOnce(Result<T, ErrorCode>) + Send + 'static,
    ) {
        let Some(epoch) = self.active.filter(|_| self.failure.is_none()) else {
            return self.after.push(Box::new(|| reply(Err(ErrorCode::NotController))));
        };
        let context = self.context(moment);
        self.tell_voters();
        let (batches, response) = decide(&mut self.controller, &context).into_batches();
        match self.write(batches, epoch) {
            Ok(effects) => {
                self.answer_when_committed(response, reply);
                self.perform_or_give_up(effects);
            }
            Err(error) => {
                let code = self.not_written(&error);
                self.after.push(Box::new(move || reply(Err(code))));
            }
        }
    }

    pub(super) fn context(&self, moment: Moment) -> Context {
        Context {
            monotonic: moment.monotonic,
            next_offset: self.log.log_end_offset(),
            seed: moment.seed,
            version: moment.version,
        }
    }

    /// Even a response that changes nothing may rest on decisions that are not committed yet.
    fn answer_when_committed<T: Send + 'static>(
        &mut self,
        response: T,
        reply: impl FnOnce(Result<T, ErrorCode>) + Send + 'static,
    ) {
        let reply = |done: Result<(), ErrorCode>| reply(done.map(|()| response));
        match self.uncommitted.back() {
            Some(last) => self.pending.push_back(Pending { last_offset: last.last_offset, reply: Box::new(reply) }),
            None => self.after.push(Box::new(|| reply(Ok(())))),
        }
    }

    /// Records could not be appended: the code that is answered.
    fn not_written(&mut self, error: &QuorumError) -> ErrorCode {
        match error {
            // Nothing was appended, and a decision changes nothing by itself: it is as if it had not been asked for.
            QuorumError::Append(AppendError::Storage(StorageError::DiskFull(_))) => {
                tracing::error!(%error, "metadata can't be changed while the disk is full");
                ErrorCode::KafkaStorageError
            }
            QuorumError::Encode(_) | QuorumError::Build(_) => {
                tracing::error!(%error, "metadata records can't be encoded");
                ErrorCode::UnknownServerError
            }
            _ => self.give_up(error),
        }
    }

    /// Appends the batches of one decision. Returns what follows from that.
    pub(super) fn write(
        &mut self,
        batches: Vec<Vec<VersionedRecord>>,
        epoch: LeaderEpoch,
    ) -> Result<Vec<Effect>, QuorumError> {
        let mut effects = Vec::new();
        for (number, records) in batches.into_iter().enumerate() {
            let wall = self.disk_files.clock.wall();
            let bytes = data_batch(&records, self.log.log_end_offset(), epoch, wall)?;
            let appended = self.append(bytes, records, epoch);
            // With a part of a decision in the log, the rest can't be left out any more.
            effects.extend(
                appended.map_err(|error| if number == 0 { error } else { QuorumError::Half(Box::new(error)) })?,
            );
        }
        Ok(effects)
    }
}
