//! What is asked of the quorum itself: other voters, another level of `kraft.version`.

use super::inner::{CallReply, Inner};
use super::pending::Moment;
use super::{MetadataQuorum, QuorumError};
use ottla_controller::Context;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};
use ottla_raft::{Effect, KraftVersion};
use ottla_types::{LeaderEpoch, Offset};

/// Up to where the controller knows what the quorum's log says of the quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ToldVoters {
    epoch: LeaderEpoch,
    voters_at: Option<Offset>,
    version: KraftVersion,
}

impl MetadataQuorum {
    /// Has the machine of the quorum answer somebody who is no replica. `reply` is dropped when there will be no answer.
    pub(crate) fn ask_machine(
        &self,
        version: i16,
        request: ottla_raft::Request,
        reply: impl FnOnce(ottla_raft::Response) + Send + 'static,
    ) {
        let reply: CallReply = Box::new(reply);
        self.with(|inner| {
            let listener = inner.raft.settings().listener.clone();
            inner.call(version, &listener, request, reply);
        });
    }

    /// UpdateFeatures: the controller decides, and the quorum's own level is the quorum's.
    pub(crate) fn update_features(
        &self,
        version: i16,
        request: UpdateFeaturesRequest,
        reply: impl FnOnce(Result<UpdateFeaturesResponse, ErrorCode>) + Send + 'static,
    ) {
        let moment = self.moment(version);
        self.with(|inner| inner.update_features(moment, &request, reply));
    }
}

impl Inner {
    fn update_features(
        &mut self,
        moment: Moment,
        request: &UpdateFeaturesRequest,
        reply: impl FnOnce(Result<UpdateFeaturesResponse, ErrorCode>) + Send + 'static,
    ) {
        let Some(epoch) = self.active.filter(|_| self.failure.is_none()) else {
            return self.after.push(Box::new(|| reply(Err(ErrorCode::NotController))));
        };
        self.tell_voters();
        let now = self.monotonic();
        let mut effects = Vec::new();
        let raft = &mut self.raft;
        let mut upgrade = |level: i16, validate_only: bool| -> Result<(), String> {
            let version =
                KraftVersion::from_level(level).ok_or_else(|| format!("There is no kraft.version {level}."))?;
            let upgraded = raft.upgrade_kraft_version(now, epoch, version, validate_only);
            effects.extend(upgraded.map_err(|error| format!("{error}."))?);
            Ok(())
        };
        let outcome = self.controller.update_features(moment.version, request, &mut upgrade);
        // The machine counts on its records already; what the controller adds comes behind them.
        if let Err(error) = self.perform(effects) {
            let code = self.give_up(&error);
            return self.after.push(Box::new(move || reply(Err(code))));
        }
        self.decide(moment, |_, _: &Context| outcome, reply);
    }

    /// Tells the controller who the voters are and what their level is, if it does not know.
    pub(super) fn tell_voters(&mut self) {
        let (log, epoch) = (self.raft.log(), self.raft.epoch());
        let voters_at = log.voters_entry().map(|(offset, _)| offset);
        let told = ToldVoters { epoch, voters_at, version: log.version() };
        if self.told_voters.replace(told) != Some(told) {
            self.controller.set_voters(self.raft.voters().ids().collect());
            self.controller.set_kraft_version(told.version.level());
        }
    }

    /// What a fetch, a vote or a change of voters led to could not be done.
    pub(super) fn perform_or_give_up(&mut self, effects: Vec<Effect>) {
        let performed: Result<(), QuorumError> = self.perform(effects);
        if let Err(error) = performed {
            self.give_up(&error);
        }
        if self.active.is_some() {
            self.tell_voters();
        }
    }
}
