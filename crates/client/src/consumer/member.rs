use crate::cluster::is_stale;
use crate::error::ClientError;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::consumer_group_heartbeat_request::TopicPartitions as OwnedPartitions;
use ottla_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use ottla_types::TopicId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A partition as the consumer protocol names it.
pub(super) type AssignedPartition = (TopicId, i32);

/// What a member asks for: topics by their names, or those that an expression matches, which the coordinator finds out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) topics: BTreeSet<String>,
    pub(super) pattern: Option<String>,
}

/// What does not change while a member lives.
#[derive(Clone, Debug)]
pub(super) struct MemberSettings {
    pub(super) group: String,
    pub(super) instance_id: Option<String>,
    pub(super) rack: Option<String>,
    pub(super) assignor: Option<String>,
    pub(super) rebalance_timeout_ms: i32,
}

/// How a member stands with its group.
#[derive(Clone, Debug)]
pub(super) enum Standing {
    /// It is about to join.
    Joining,
    /// It is a member.
    Member,
    /// It is no member any more, and what it had belongs to others: the group gave it up, or it left because nobody
    /// polled. It joins again when it has let go of everything.
    Lost,
    /// The group refuses it for good.
    Refused(ClientError),
}

/// What to do after a heartbeat that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reaction {
    /// Beat again after a pause.
    Again,
    /// Nothing: the consumer has to let go first, or is refused.
    Stop,
}

/// The epochs that say that a member leaves: for good, or, a static one, to come back.
const LEAVES: i32 = -1;
const LEAVES_FOR_A_WHILE: i32 = -2;
/// The version in which the member chooses its id (KIP-1082), and in which it may send an expression.
const CHOOSES_ID_SINCE: i16 = 1;

/// What the coordinator knows of the member.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    wanted: Wanted,
    owned: BTreeSet<AssignedPartition>,
}

/// A member of a group of the consumer protocol (KIP-848). Pure: it writes heartbeats and reads their answers, and is told
/// what the consumer did.
///
/// Invariants:
/// - what it says it owns is what the consumer reads or still lets go of: a partition is left out only after its records
///   are no longer handed out and its position is committed;
/// - what the coordinator heard already is not said again, unless an answer did not come: then everything is.
#[derive(Debug)]
pub(super) struct Member {
    settings: MemberSettings,
    standing: Standing,
    member_id: String,
    epoch: i32,
    wanted: Wanted,
    owned: BTreeSet<AssignedPartition>,
    /// What the coordinator assigned last; `None` before it said anything.
    target: Option<BTreeSet<AssignedPartition>>,
    /// What the coordinator answered to.
    heard: Option<Said>,
    /// What is on its way to it.
    saying: Option<Said>,
    interval: Duration,
}

impl Member {
    /// A member that is about to join under an id of its own choice.
    pub(super) fn new(settings: MemberSettings, member_id: String, wanted: Wanted) -> Self {
        Self {
            settings,
            standing: Standing::Joining,
            member_id,
            epoch: 0,
            wanted,
            owned: BTreeSet::new(),
            target: None,
            heard: None,
            saying: None,
            // Until the coordinator says how often, which it does in its first answer.
            interval: Duration::from_secs(5),
        }
    }

    pub(super) fn standing(&self) -> &Standing {
        &self.standing
    }

    pub(super) fn id(&self) -> &str {
        &self.member_id
    }

    pub(super) fn epoch(&self) -> i32 {
        self.epoch
    }

    /// How often the coordinator wants to hear from it.
    pub(super) fn interval(&self) -> Duration {
        self.interval
    }

    /// Whether it has heartbeats to send.
    pub(super) fn beats(&self) -> bool {
        matches!(self.standing, Standing::Joining | Standing::Member)
    }

    /// Whether there is something that the coordinator should hear at once.
    pub(super) fn has_news(&self) -> bool {
        match (&self.standing, &self.heard) {
            (Standing::Joining, _) => true,
            (Standing::Member, Some(heard)) => heard.wanted != self.wanted || heard.owned != self.owned,
            _ => false,
        }
    }

    /// The next heartbeat, in the version that the coordinator knows.
    pub(super) fn heartbeat(&mut self, version: i16) -> ConsumerGroupHeartbeatRequest {
        let is_joining = matches!(self.standing, Standing::Joining);
        // One that joins owns nothing: it let go of everything before.
        let said = Said { wanted: self.wanted.clone(), owned: self.owned.clone() };
        let news_of = |differs: fn(&Said, &Said) -> bool| {
            is_joining || self.heard.as_ref().is_none_or(|heard| differs(heard, &said))
        };
        let says_wanted = news_of(|heard, said| heard.wanted != said.wanted);
        let says_owned = news_of(|heard, said| heard.owned != said.owned);
        let says_all = is_joining || self.heard.is_none();
        let had_pattern = self.heard.as_ref().is_some_and(|heard| heard.wanted.pattern.is_some());
        let pattern = self.wanted.pattern.clone().or_else(|| had_pattern.then(String::new));
        let member_id = if is_joining && version < CHOOSES_ID_SINCE { String::new() } else { self.member_id.clone() };
        let request = ConsumerGroupHeartbeatRequest {
            group_id: self.settings.group.clone(),
            member_id,
            member_epoch: self.epoch,
            instance_id: self.settings.instance_id.clone(),
            rack_id: self.settings.rack.clone().filter(|_| says_all),
            rebalance_timeout_ms: if says_all { self.settings.rebalance_timeout_ms } else { -1 },
            subscribed_topic_names: says_wanted.then(|| self.wanted.topics.iter().cloned().collect()),
            subscribed_topic_regex: pattern.filter(|_| says_wanted),
            server_assignor: self.settings.assignor.clone().filter(|_| says_all),
            topic_partitions: says_owned.then(|| owned_partitions(&self.owned)),
            ..Default::default()
        };
        self.saying = Some(said);
        request
    }

    /// The heartbeat that says that it leaves.
    pub(super) fn farewell(&self) -> ConsumerGroupHeartbeatRequest {
        let member_epoch = if self.settings.instance_id.is_some() { LEAVES_FOR_A_WHILE } else { LEAVES };
        ConsumerGroupHeartbeatRequest {
            group_id: self.settings.group.clone(),
            member_id: self.member_id.clone(),
            member_epoch,
            instance_id: self.settings.instance_id.clone(),
            ..Default::default()
        }
    }

    /// The coordinator answered a heartbeat.
    pub(super) fn answered(&mut self, answer: ConsumerGroupHeartbeatResponse) {
        if !self.beats() {
            return;
        }
        self.standing = Standing::Member;
        self.epoch = answer.member_epoch;
        if let Some(id) = answer.member_id.filter(|id| !id.is_empty()) {
            self.member_id = id;
        }
        self.interval = Duration::from_millis(u64::try_from(answer.heartbeat_interval_ms).unwrap_or_default());
        self.heard = self.saying.take();
        if let Some(assignment) = answer.assignment {
            let partitions = assignment.topic_partitions.into_iter();
            let of_topic = |topic: ottla_protocol::messages::consumer_group_heartbeat_response::TopicPartitions| {
                let id = topic.topic_id;
                topic.partitions.into_iter().map(move |index| (id, index))
            };
            self.target = Some(partitions.flat_map(of_topic).collect());
        }
    }

    /// A heartbeat failed, or its answer did not come.
    pub(super) fn failed(&mut self, error: ClientError) -> Reaction {
        self.saying = None;
        self.heard = None;
        match error.code() {
            Some(ErrorCode::UnknownMemberId | ErrorCode::FencedMemberEpoch) => {
                self.standing = Standing::Lost;
                Reaction::Stop
            }
            _ if error.is_retriable() || is_stale(&error) => Reaction::Again,
            _ => self.refuse(error),
        }
    }

    fn refuse(&mut self, error: ClientError) -> Reaction {
        self.standing = Standing::Refused(error);
        Reaction::Stop
    }

    /// It left because nobody polled.
    pub(super) fn left(&mut self) {
        self.standing = Standing::Lost;
    }

    /// The consumer wants something else.
    pub(super) fn want(&mut self, wanted: Wanted) {
        self.wanted = wanted;
    }

    /// The consumer let go of everything and begins anew.
    pub(super) fn join_again(&mut self) {
        self.standing = Standing::Joining;
        self.epoch = 0;
        self.owned.clear();
        self.target = None;
        self.heard = None;
        self.saying = None;
    }

    /// What the coordinator wants the consumer to read, where that is not what it reads.
    pub(super) fn to_reconcile(&self) -> Option<&BTreeSet<AssignedPartition>> {
        let is_member = matches!(self.standing, Standing::Member);
        self.target.as_ref().filter(|target| is_member && **target != self.owned)
    }

    /// The consumer reads these now, and let go of all others.
    pub(super) fn reconciled(&mut self, owned: BTreeSet<AssignedPartition>) {
        self.owned = owned;
    }
}

fn owned_partitions(owned: &BTreeSet<AssignedPartition>) -> Vec<OwnedPartitions> {
    let mut topics = BTreeMap::<TopicId, Vec<i32>>::new();
    for (topic, index) in owned {
        topics.entry(*topic).or_default().push(*index);
    }
    let topic = |(topic_id, partitions)| OwnedPartitions { topic_id, partitions, ..Default::default() };
    topics.into_iter().map(topic).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_protocol::messages::consumer_group_heartbeat_response::{Assignment, TopicPartitions};

    const TOPIC: TopicId = ottla_types::Uuid([7; 16]);

    fn member(topics: &[&str]) -> Member {
        let settings = MemberSettings {
            group: "g".to_owned(),
            instance_id: None,
            rack: Some("r".to_owned()),
            assignor: Some("uniform".to_owned()),
            rebalance_timeout_ms: 1_000,
        };
        Member::new(settings, "m".to_owned(), wanted(topics))
    }

    fn wanted(topics: &[&str]) -> Wanted {
        Wanted { topics: topics.iter().map(|topic| (*topic).to_owned()).collect(), pattern: None }
    }

    fn answer(epoch: i32, partitions: Option<&[i32]>) -> ConsumerGroupHeartbeatResponse {
        let assignment = partitions.map(|partitions| Assignment {
            topic_partitions: vec![TopicPartitions {
                topic_id: TOPIC,
                partitions: partitions.to_vec(),
                ..Default::default()
            }],
            ..Default::default()
        });
        ConsumerGroupHeartbeatResponse {
            member_epoch: epoch,
            heartbeat_interval_ms: 3_000,
            assignment,
            ..Default::default()
        }
    }

    fn api(code: ErrorCode) -> ClientError {
        ClientError::Api { code, message: None }
    }

    #[test]
    fn one_that_joins_says_everything_and_then_only_what_is_new() {
        let mut member = member(&["a"]);
        assert!(member.has_news());
        let join = member.heartbeat(1);
        assert_eq!((join.member_epoch, join.member_id.as_str(), join.rebalance_timeout_ms), (0, "m", 1_000));
        assert_eq!(join.subscribed_topic_names, Some(vec!["a".to_owned()]));
        assert_eq!((join.topic_partitions, join.server_assignor.as_deref()), (Some(vec![]), Some("uniform")));
        assert_eq!(join.rack_id.as_deref(), Some("r"));
        member.answered(answer(1, Some(&[])));
        assert!(!member.has_news());
        let beat = member.heartbeat(1);
        let quiet = ConsumerGroupHeartbeatRequest {
            group_id: "g".to_owned(),
            member_id: "m".to_owned(),
            member_epoch: 1,
            ..Default::default()
        };
        assert_eq!(beat, quiet);
        member.answered(answer(1, None));
        member.want(wanted(&["a", "b"]));
        assert!(member.has_news());
        let names = member.heartbeat(1).subscribed_topic_names;
        assert_eq!(names, Some(vec!["a".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn an_older_coordinator_gives_the_id() {
        let mut member = member(&["a"]);
        assert_eq!(member.heartbeat(0).member_id, "");
        member.answered(ConsumerGroupHeartbeatResponse { member_id: Some("given".to_owned()), ..answer(1, None) });
        assert_eq!(member.heartbeat(0).member_id, "given");
    }

    #[test]
    fn what_it_reads_is_said_when_it_is_read() {
        let mut member = member(&["a"]);
        member.heartbeat(1);
        member.answered(answer(2, Some(&[0, 1])));
        assert_eq!(member.to_reconcile(), Some(&[(TOPIC, 0), (TOPIC, 1)].into()));
        assert!(!member.has_news(), "nothing is said before the consumer did it");
        member.reconciled([(TOPIC, 0), (TOPIC, 1)].into());
        assert!(member.has_news() && member.to_reconcile().is_none());
        let said = member.heartbeat(1).topic_partitions.unwrap();
        assert_eq!((said[0].topic_id, &said[0].partitions), (TOPIC, &vec![0, 1]));
        member.answered(answer(2, None));
        assert!(!member.has_news());
        member.heartbeat(1);
        member.answered(answer(3, Some(&[1])));
        assert_eq!(member.to_reconcile(), Some(&[(TOPIC, 1)].into()));
    }

    #[test]
    fn after_an_answer_that_did_not_come_everything_is_said_again() {
        let mut member = member(&["a"]);
        member.heartbeat(1);
        member.answered(answer(2, Some(&[0])));
        member.reconciled([(TOPIC, 0)].into());
        member.heartbeat(1);
        let lost = ClientError::Disconnected { address: "a:1".to_owned() };
        assert_eq!(member.failed(lost), Reaction::Again);
        let beat = member.heartbeat(1);
        assert_eq!((beat.member_epoch, beat.rebalance_timeout_ms), (2, 1_000));
        assert!(beat.subscribed_topic_names.is_some() && beat.topic_partitions.is_some_and(|owned| owned.len() == 1));
    }

    #[test]
    fn a_fenced_member_joins_again_under_its_id_when_it_has_let_go() {
        for code in [ErrorCode::FencedMemberEpoch, ErrorCode::UnknownMemberId] {
            let mut member = member(&["a"]);
            member.heartbeat(1);
            member.answered(answer(2, Some(&[0])));
            member.reconciled([(TOPIC, 0)].into());
            assert_eq!(member.failed(api(code)), Reaction::Stop);
            assert!(matches!(member.standing(), Standing::Lost) && !member.beats());
            member.join_again();
            let join = member.heartbeat(1);
            assert_eq!((join.member_epoch, join.member_id.as_str(), join.topic_partitions), (0, "m", Some(vec![])));
        }
    }

    #[test]
    fn a_refused_member_stays_refused() {
        for code in [ErrorCode::UnsupportedAssignor, ErrorCode::InvalidRegularExpression, ErrorCode::FencedInstanceId] {
            let mut member = member(&["a"]);
            assert_eq!(member.failed(api(code)), Reaction::Stop);
            assert!(matches!(member.standing(), Standing::Refused(error) if error.is(code)));
        }
        let mut member = member(&["a"]);
        assert_eq!(member.failed(api(ErrorCode::CoordinatorLoadInProgress)), Reaction::Again);
    }

    #[test]
    fn an_expression_is_said_once_and_taken_back_when_names_follow() {
        let mut member = member(&[]);
        member.want(Wanted { topics: BTreeSet::new(), pattern: Some("a.*".to_owned()) });
        assert_eq!(member.heartbeat(1).subscribed_topic_regex.as_deref(), Some("a.*"));
        member.answered(answer(1, None));
        assert_eq!(member.heartbeat(1).subscribed_topic_regex, None);
        member.answered(answer(1, None));
        member.want(wanted(&["a"]));
        assert_eq!(member.heartbeat(1).subscribed_topic_regex.as_deref(), Some(""));
    }

    #[test]
    fn a_static_member_leaves_for_a_while() {
        let mut member = member(&["a"]);
        assert_eq!(member.farewell().member_epoch, -1);
        member.settings.instance_id = Some("i".to_owned());
        assert_eq!((member.farewell().member_epoch, member.farewell().instance_id.as_deref()), (-2, Some("i")));
    }
}
