use crate::{KraftVersion, ReplicaKey, VoterSet};
use ottla_types::{DirectoryId, LeaderEpoch, NodeId};
use serde_json::Value;
use std::fmt::Write as _;
use thiserror::Error;

/// What a replica must never forget: the newest epoch it has seen, who leads it, and for whom it has voted in it. Kept in
/// the file `quorum-state`, made durable before anything is done that rests on it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ElectionState {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// Its leader, if known.
    pub leader: Option<NodeId>,
    /// The candidate that got this replica's vote in this epoch.
    pub voted: Option<ReplicaKey>,
}

/// The file `quorum-state` can't be understood. It must not be taken for missing: the node could then vote twice.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum QuorumStateError {
    /// Not a JSON object.
    #[error("it is not a JSON object: {0}")]
    Json(String),
    /// A field is missing or of another type.
    #[error("the field {0} is missing or not what it should be")]
    Field(&'static str),
    /// A version of a later release.
    #[error("its version {0} is not one of 0 and 1")]
    Version(i64),
}

impl ElectionState {
    /// Epoch 0, in which nobody leads and nobody has voted: a replica that has never started.
    pub const fn initial() -> Self {
        Self { epoch: LeaderEpoch(0), leader: None, voted: None }
    }

    /// Whether the vote went to that replica.
    pub fn has_voted_for(&self, replica: &ReplicaKey) -> bool {
        self.voted.is_some_and(|voted| voted.matches(replica))
    }

    /// The content of `quorum-state`, byte for byte as Kafka writes it. With static voters it lists their ids and knows no
    /// directories; with dynamic ones it is the other way round.
    pub fn to_file(&self, version: KraftVersion, voters: &VoterSet) -> String {
        let leader = self.leader.unwrap_or(NodeId::NONE);
        let voted = self.voted.map_or(NodeId::NONE, |key| key.id);
        let epoch = self.epoch;
        let mut text = String::new();
        // Writing to a string can't fail.
        let _ = match version {
            KraftVersion::Static => {
                let list: Vec<String> = voters.ids().map(|id| format!("{{\"voterId\":{id}}}")).collect();
                write!(
                    text,
                    "{{\"clusterId\":\"\",\"leaderId\":{leader},\"leaderEpoch\":{epoch},\"votedId\":{voted},\
                     \"appliedOffset\":0,\"currentVoters\":[{}],\"data_version\":0}}",
                    list.join(",")
                )
            }
            KraftVersion::Dynamic => {
                let directory = self.voted.and_then(|key| key.directory).unwrap_or(DirectoryId::ZERO);
                write!(
                    text,
                    "{{\"leaderId\":{leader},\"leaderEpoch\":{epoch},\"votedId\":{voted},\
                     \"votedDirectoryId\":\"{directory}\",\"data_version\":1}}"
                )
            }
        };
        text
    }

    /// Reads the content of `quorum-state`, of either version. Only the first line counts, as for Kafka.
    ///
    /// # Errors
    /// When it is not what Kafka or Ottla writes.
    pub fn from_file(text: &str) -> Result<Self, QuorumStateError> {
        let line = text.lines().next().unwrap_or_default();
        let value: Value = serde_json::from_str(line).map_err(|error| QuorumStateError::Json(error.to_string()))?;
        if !value.is_object() {
            return Err(QuorumStateError::Json("another kind of value".to_owned()));
        }
        let number = |field: &'static str| {
            let number = value.get(field).and_then(Value::as_i64);
            number.and_then(|n| i32::try_from(n).ok()).ok_or(QuorumStateError::Field(field))
        };
        let version = value.get("data_version").and_then(Value::as_i64);
        let version = version.ok_or(QuorumStateError::Field("data_version"))?;
        let node = |id: i32| (id >= 0).then_some(NodeId(id));
        let directory = match version {
            0 => None,
            1 => {
                let text = value.get("votedDirectoryId").and_then(Value::as_str);
                let id: Option<DirectoryId> = text.and_then(|text| text.parse().ok());
                let id = id.ok_or(QuorumStateError::Field("votedDirectoryId"))?;
                (!id.is_zero()).then_some(id)
            }
            other => return Err(QuorumStateError::Version(other)),
        };
        Ok(Self {
            epoch: LeaderEpoch(number("leaderEpoch")?),
            leader: node(number("leaderId")?),
            voted: node(number("votedId")?).map(|id| ReplicaKey { id, directory }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Voter;

    fn voters(ids: &[i32]) -> VoterSet {
        VoterSet::new(ids.iter().map(|id| Voter::new(ReplicaKey { id: NodeId(*id), directory: None }, Vec::new())))
    }

    #[test]
    fn the_file_of_static_voters_is_what_kafka_writes() {
        let leader = ElectionState { epoch: LeaderEpoch(1), leader: Some(NodeId(1)), voted: None };
        let text = leader.to_file(KraftVersion::Static, &voters(&[1]));
        // Taken from a node of Apache Kafka 4.4.0.
        let kafka = "{\"clusterId\":\"\",\"leaderId\":1,\"leaderEpoch\":1,\"votedId\":-1,\"appliedOffset\":0,\
                     \"currentVoters\":[{\"voterId\":1}],\"data_version\":0}";
        assert_eq!(text, kafka);
        assert_eq!(ElectionState::from_file(kafka), Ok(leader));
    }

    #[test]
    fn the_file_of_dynamic_voters_keeps_the_directory_of_the_vote() {
        let directory = "CvFJFo8V8hH1cPkwu4Ng7A".parse().unwrap();
        let voted = Some(ReplicaKey::new(NodeId(2), directory));
        let state = ElectionState { epoch: LeaderEpoch(7), leader: None, voted };
        let text = state.to_file(KraftVersion::Dynamic, &voters(&[1, 2, 3]));
        let expected = "{\"leaderId\":-1,\"leaderEpoch\":7,\"votedId\":2,\
                        \"votedDirectoryId\":\"CvFJFo8V8hH1cPkwu4Ng7A\",\"data_version\":1}";
        assert_eq!(text, expected);
        assert_eq!(ElectionState::from_file(&text), Ok(state));
    }

    #[test]
    fn the_vote_stays_in_the_file_when_the_leader_is_found() {
        let directory = "CvFJFo8V8hH1cPkwu4Ng7A".parse().unwrap();
        let voted = Some(ReplicaKey::new(NodeId(2), directory));
        let state = ElectionState { epoch: LeaderEpoch(7), leader: Some(NodeId(2)), voted };
        for version in [KraftVersion::Static, KraftVersion::Dynamic] {
            let read = ElectionState::from_file(&state.to_file(version, &voters(&[1, 2, 3]))).unwrap();
            assert_eq!((read.leader, read.voted.map(|voted| voted.id)), (Some(NodeId(2)), Some(NodeId(2))));
        }
    }

    #[test]
    fn a_damaged_file_is_refused_and_not_taken_for_a_new_one() {
        use QuorumStateError::{Field, Json, Version};
        let read = |text: &str| ElectionState::from_file(text).unwrap_err();
        assert!(matches!(read(""), Json(_)));
        assert!(matches!(read("[]"), Json(_)));
        assert!(matches!(read("{\"leaderId\":1"), Json(_)));
        assert_eq!(read("{\"leaderId\":1}"), Field("data_version"));
        assert_eq!(read("{\"data_version\":2}"), Version(2));
        assert_eq!(read("{\"leaderEpoch\":1,\"leaderId\":1,\"data_version\":0}"), Field("votedId"));
        let huge = "{\"leaderEpoch\":4294967296,\"leaderId\":1,\"votedId\":-1,\"data_version\":0}";
        assert_eq!(read(huge), Field("leaderEpoch"));
    }
}
