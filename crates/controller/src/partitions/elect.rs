use super::Election;
use crate::draft::Draft;
use crate::outcome::{RECORDS_MAX, TOO_MANY_RECORDS};
use crate::{ApiError, Controller, Outcome};
use ottla_metadata::Topic;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use ottla_protocol::messages::{ElectLeadersRequest, ElectLeadersResponse};
use ottla_types::{BrokerId, PartitionIndex, TopicId, TopicIdPartition};
use std::sync::Arc;

/// How many elections one round of a periodic check holds. Kafka's figure.
const ELECTIONS_MAX: usize = 1_000;

/// The results of an election that is refused as a whole: each partition that was named, with the same error.
pub fn refused_partitions(
    request: &ElectLeadersRequest,
    code: ErrorCode,
    message: Option<&str>,
) -> Vec<ReplicaElectionResult> {
    let refuse = |index: &i32| PartitionResult {
        partition_id: *index,
        error_code: code.code(),
        error_message: message.map(str::to_owned),
        ..Default::default()
    };
    let topics = request.topic_partitions.iter().flatten().map(|topic| ReplicaElectionResult {
        topic: topic.topic.clone(),
        partition_result: topic.partitions.iter().map(refuse).collect(),
        ..Default::default()
    });
    topics.collect()
}

impl Controller {
    /// ElectLeaders: an administrator asks for the preferred leaders, or for any live replica to lead.
    pub fn elect_leaders(&mut self, request: &ElectLeadersRequest) -> Outcome<ElectLeadersResponse> {
        if request.topic_partitions.as_ref().is_some_and(Vec::is_empty) {
            return Outcome::answer(ElectLeadersResponse::default());
        }
        let election = match request.election_type {
            0 => Election::Preferred,
            1 => Election::Unclean,
            _ => {
                let code = ErrorCode::InvalidRequest;
                let message = format!("Unknown election type {}", request.election_type);
                return Outcome::answer(ElectLeadersResponse {
                    error_code: code.code(),
                    replica_election_results: refused_partitions(request, code, Some(&message)),
                    ..Default::default()
                });
            }
        };
        let mut draft = Draft::new(self);
        let results = match &request.topic_partitions {
            None => draft.elect_everywhere(election),
            Some(topics) => topics
                .iter()
                .map(|asked| {
                    let elect = |index: &i32| {
                        let result = draft.elect_leader(&asked.topic, PartitionIndex(*index), election);
                        partition_result(*index, result)
                    };
                    let partition_result = asked.partitions.iter().map(elect).collect();
                    ReplicaElectionResult { topic: asked.topic.clone(), partition_result, ..Default::default() }
                })
                .collect(),
        };
        if draft.records.len() > RECORDS_MAX {
            let code = ErrorCode::PolicyViolation;
            return Outcome::answer(ElectLeadersResponse {
                error_code: code.code(),
                replica_election_results: refused_partitions(request, code, Some(TOO_MANY_RECORDS)),
                ..Default::default()
            });
        }
        let response = ElectLeadersResponse { replica_election_results: results, ..Default::default() };
        Outcome::in_batches(draft.records, response)
    }

    /// The periodic move of leaderships back to the preferred replicas. The response says whether there is more to do.
    pub fn balance_leaders(&self) -> Outcome<bool> {
        self.elect_each(Election::Preferred, self.by_state.not_led_by_preferred().iter())
    }

    /// Elections that every event holds at once, for partitions that have been left without. The response says whether there
    /// is more to do.
    pub(crate) fn elect_missing_leaders(&self) -> Outcome<bool> {
        self.elect_each(Election::Online, self.by_state.leaderless().iter())
    }

    /// The periodic unclean election for partitions without a leader whose topic allows it. The response says whether
    /// there is more to do.
    pub fn elect_unclean_leaders(&self) -> Outcome<bool> {
        let mut known: Option<(TopicId, bool)> = None;
        let allowed = self.by_state.leaderless().iter().filter(|key| {
            if known.is_none_or(|(id, _)| id != key.topic_id) {
                let topic = self.image.topics.topic(key.topic_id);
                known = topic.map(|topic| (topic.id, self.election_settings(topic).may_be_unclean));
            }
            known.is_some_and(|(_, may_be_unclean)| may_be_unclean)
        });
        let allowed: Vec<_> = allowed.collect();
        self.elect_each(Election::Unclean, allowed.into_iter())
    }

    fn elect_each(&self, election: Election, partitions: impl Iterator<Item = TopicIdPartition>) -> Outcome<bool> {
        let mut draft = Draft::new(self);
        for key in partitions {
            if draft.records.len() >= ELECTIONS_MAX {
                return Outcome::in_batches(draft.records, true);
            }
            draft.elect(key, election);
        }
        Outcome::in_batches(draft.records, false)
    }
}

impl Draft<'_> {
    /// All partitions; those that need no election are left out of the answer.
    fn elect_everywhere(&mut self, election: Election) -> Vec<ReplicaElectionResult> {
        let topics: Vec<Arc<Topic>> = self.image.topics.iter_by_name().cloned().collect();
        let mut results = Vec::with_capacity(topics.len());
        for topic in topics {
            let mut partition_results = Vec::new();
            for index in topic.partitions.keys() {
                let result = self.elect_leader(&topic.name, *index, election);
                if result.as_ref().is_err_and(|error| error.code == ErrorCode::ElectionNotNeeded) {
                    continue;
                }
                partition_results.push(partition_result(index.0, result));
            }
            results.push(ReplicaElectionResult {
                topic: topic.name.to_string(),
                partition_result: partition_results,
                ..Default::default()
            });
        }
        results
    }

    fn elect_leader(&mut self, name: &str, index: PartitionIndex, election: Election) -> Result<(), ApiError> {
        let unknown = |message: String| ApiError::new(ErrorCode::UnknownTopicOrPartition, message);
        let topic = self.image.topics.topic_by_name(name);
        let topic = topic.ok_or_else(|| unknown(format!("No such topic as {name}")))?;
        let partition = topic.partitions.get(&index);
        let partition = partition.ok_or_else(|| unknown(format!("No such partition as {name}-{index}")))?;
        let is_needed = match election {
            Election::Preferred => !partition.has_preferred_leader(),
            _ => !partition.has_leader(),
        };
        if !is_needed {
            let message = "Leader election not needed for topic partition.";
            return Err(ApiError::new(ErrorCode::ElectionNotNeeded, message));
        }
        let topic_id = topic.id;
        if self.elect(TopicIdPartition { topic_id, partition: index }, election) {
            return Ok(());
        }
        let (code, message) = match election {
            Election::Preferred => (ErrorCode::PreferredLeaderNotAvailable, "The preferred leader was not available."),
            _ => {
                let message = "Eligible topic partition leaders are not available.";
                (ErrorCode::EligibleLeadersNotAvailable, message)
            }
        };
        Err(ApiError::new(code, message))
    }

    /// Holds an election. Returns whether it changes anything.
    fn elect(&mut self, key: TopicIdPartition, election: Election) -> bool {
        let Some(topic) = self.image.topics.topic(key.topic_id).cloned() else { return false };
        let Some(partition) = topic.partitions.get(&key.partition) else { return false };
        let may_serve = |id: BrokerId| self.may_serve(partition, id);
        let mut change = self.change_of(key, partition, &may_serve, &self.controller.election_settings(&topic));
        change.election = election;
        let record = change.build();
        let is_change = record.is_some();
        self.push_change(record);
        is_change
    }
}

fn partition_result(partition_id: i32, result: Result<(), ApiError>) -> PartitionResult {
    let (error_code, error_message) = ApiError::parts(result);
    PartitionResult { partition_id, error_code, error_message, ..Default::default() }
}
