use crate::dice::Dice;
use std::time::Duration;

/// What one run is like; drawn from its seed.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) replicas: i32,
    pub(crate) min_in_sync: usize,
    /// Whether one broker has no replica at first, so that reassignments have a place to go to.
    pub(crate) has_spare: bool,
    /// Eligible leader replicas (KIP-966). Without them the last replica in sync stays in sync when it is gone.
    pub(crate) has_eligible: bool,
    pub(crate) allows_unclean_elections: bool,
    /// `flush.messages=1`: nothing is acknowledged, nor told by a fetch, before it is on the disk.
    pub(crate) flushes: bool,
    /// Whether leaders keep fetch sessions.
    pub(crate) has_sessions: bool,
    pub(crate) loss_per_mille: u64,
    pub(crate) duplicates_per_mille: u64,
    pub(crate) delay_max: u64,
    pub(crate) lag_max: Duration,
    /// Whether brokers may lose what they have not synced.
    pub(crate) loses_power: bool,
    pub(crate) faults_per_mille: u64,
    pub(crate) mistake: Option<Mistake>,
}

impl Settings {
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        let replicas = i32::try_from(dice.between(3, 5)).unwrap();
        Self {
            replicas,
            min_in_sync: if dice.per_mille(750) { 2 } else { usize::try_from(dice.between(1, 3)).unwrap() },
            has_spare: replicas > 3 && dice.per_mille(500),
            has_eligible: true,
            allows_unclean_elections: dice.per_mille(150),
            flushes: dice.per_mille(300),
            has_sessions: dice.per_mille(500),
            loss_per_mille: dice.pick(&[0, 10, 50, 150]).unwrap(),
            duplicates_per_mille: dice.pick(&[0, 20, 100]).unwrap(),
            delay_max: dice.pick(&[2, 6, 20]).unwrap(),
            lag_max: Duration::from_millis(dice.between(20, 60)),
            loses_power: dice.per_mille(700),
            faults_per_mille: dice.pick(&[20, 80, 160, 250]).unwrap(),
            mistake: None,
        }
    }
}

impl Settings {
    /// What makes a mistake show soon.
    pub(crate) fn provoke(&mut self, mistake: Mistake) {
        self.mistake = Some(mistake);
        self.allows_unclean_elections = false;
        self.min_in_sync = 2;
        self.faults_per_mille = 200;
        self.loses_power = true;
        self.loss_per_mille = 150;
        self.flushes = matches!(mistake, Mistake::FetchTellsUnsynced | Mistake::LeaderCountsUnsynced);
    }
}

/// What can be done wrong around the machines, each as it was done wrong once. The checks must find every one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// KIP-101: a new follower cuts to its own high watermark and compares no epochs.
    TruncateToHighWatermark,
    /// KIP-320: fetches do not say the epoch of the last record.
    NoLastFetchedEpoch,
    /// KIP-279: a leader asked about an epoch that it does not have answers with its own end.
    OnlyLastEpochCompared,
    /// KIP-320: fetches do not say the leader epoch, and answers of any epoch are taken.
    UnfencedFetches,
    /// KAFKA-14139, KIP-903: nobody says or compares broker epochs.
    NoBrokerEpochs,
    /// KAFKA-15583: the high watermark moves below the minimum.
    MinInSyncIgnored,
    /// Records are acknowledged when the leader has them.
    AcknowledgedByLeaderAlone,
    /// KAFKA-14704: the high watermark of a diverging answer is taken over before the log is cut.
    AdvancedBeforeTruncation,
    /// A follower says that it has what it has not yet synced.
    FetchTellsUnsynced,
    /// A leader counts itself with what it has not yet synced.
    LeaderCountsUnsynced,
    /// KAFKA-10706: an epoch without records stays at the end of a log that was cut there.
    ConflictingEpochStays,
    /// KAFKA-7164: a follower of the same leader does not begin anew in a later epoch.
    MissedEpochKept,
    /// KIP-497: a proposal of which nothing is known is taken for one that was not applied.
    OutdatedTakenForRefused,
    /// KIP-841: fenced brokers and those that shut down are taken in.
    FencedReplicasJoin,
    /// An empty disk registers as if it had been shut down cleanly.
    UncleanTakenForClean,
    /// A broker leads and follows by metadata older than its registration.
    ServesBeforeCaughtUp,
    /// What waits for a leader goes on waiting when it follows.
    WaitingSurvivesLeadership,
}

impl Mistake {
    pub(crate) const ALL: [Self; 17] = [
        Self::TruncateToHighWatermark,
        Self::NoLastFetchedEpoch,
        Self::OnlyLastEpochCompared,
        Self::UnfencedFetches,
        Self::NoBrokerEpochs,
        Self::MinInSyncIgnored,
        Self::AcknowledgedByLeaderAlone,
        Self::AdvancedBeforeTruncation,
        Self::FetchTellsUnsynced,
        Self::LeaderCountsUnsynced,
        Self::ConflictingEpochStays,
        Self::MissedEpochKept,
        Self::OutdatedTakenForRefused,
        Self::FencedReplicasJoin,
        Self::UncleanTakenForClean,
        Self::ServesBeforeCaughtUp,
        Self::WaitingSurvivesLeadership,
    ];
}
