use super::Election;
use super::update::versioned;
use crate::{ApiError, Controller, Outcome};
use ottla_metadata::{MetadataVersionExt, Topic, VersionedRecord};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use ottla_protocol::messages::{ElectLeadersRequest, ElectLeadersResponse};
use ottla_types::{BrokerId, PartitionIndex};
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
                let message = format!("There is no election of type {}", request.election_type);
                return Outcome::answer(ElectLeadersResponse {
                    error_code: code.code(),
                    replica_election_results: refused_partitions(request, code, Some(&message)),
                    ..Default::default()
                });
            }
        };
        let mut records = Vec::new();
        let results = match &request.topic_partitions {
            None => self.elect_everywhere(election, &mut records),
            Some(topics) => topics
                .iter()
                .map(|asked| {
                    let elect = |index: &i32| {
                        let result = self.elect_leader(&asked.topic, PartitionIndex(*index), election, &mut records);
                        partition_result(*index, result)
                    };
                    let partition_result = asked.partitions.iter().map(elect).collect();
                    ReplicaElectionResult { topic: asked.topic.clone(), partition_result, ..Default::default() }
                })
                .collect(),
        };
        Outcome::new(records, ElectLeadersResponse { replica_election_results: results, ..Default::default() })
    }

    /// All partitions; those that need no election are left out of the answer.
    fn elect_everywhere(&self, election: Election, records: &mut Vec<VersionedRecord>) -> Vec<ReplicaElectionResult> {
        let mut results = Vec::new();
        for topic in self.image.topics.iter_by_name() {
            let mut partition_results = Vec::new();
            for index in topic.partitions.keys() {
                let result = self.elect_leader(&topic.name, *index, election, records);
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

    fn elect_leader(
        &self,
        name: &str,
        index: PartitionIndex,
        election: Election,
        records: &mut Vec<VersionedRecord>,
    ) -> Result<(), ApiError> {
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
            return Err(ApiError::new(ErrorCode::ElectionNotNeeded, ErrorCode::ElectionNotNeeded.message()));
        }
        if let Some(record) = self.election(topic, index, election) {
            records.push(record);
            return Ok(());
        }
        Err(ApiError::bare(match election {
            Election::Preferred => ErrorCode::PreferredLeaderNotAvailable,
            _ => ErrorCode::EligibleLeadersNotAvailable,
        }))
    }

    fn election(&self, topic: &Topic, index: PartitionIndex, election: Election) -> Option<VersionedRecord> {
        let partition = topic.partitions.get(&index)?;
        let is_acceptable = |id: BrokerId| self.is_active_broker(id) && self.is_online(partition, id);
        let settings = self.election_settings(topic);
        let mut change = self.change_of(topic, index, partition, &is_acceptable, &settings);
        change.election = election;
        let level = self.metadata_version();
        change.build().map(|record| versioned(record, level.partition_record_version()))
    }

    /// The periodic move of leaderships back to the preferred replicas. The response says whether there is more to do.
    pub fn balance_leaders(&mut self) -> Outcome<bool> {
        self.elect_where(Election::Preferred, |_, topic, index| {
            topic.partitions.get(&index).is_some_and(|partition| !partition.has_preferred_leader())
        })
    }

    /// The periodic unclean election for partitions without a leader whose topic allows it. The response says whether
    /// there is more to do.
    pub fn elect_unclean_leaders(&mut self) -> Outcome<bool> {
        self.elect_where(Election::Unclean, |controller, topic, index| {
            let leaderless = topic.partitions.get(&index).is_some_and(|partition| !partition.has_leader());
            leaderless && controller.election_settings(topic).may_be_unclean
        })
    }

    fn elect_where(
        &self,
        election: Election,
        is_wanted: impl Fn(&Self, &Arc<Topic>, PartitionIndex) -> bool,
    ) -> Outcome<bool> {
        let mut records = Vec::new();
        for topic in self.image.topics.iter() {
            for index in topic.partitions.keys() {
                if records.len() >= ELECTIONS_MAX {
                    return Outcome::new(records, true);
                }
                if is_wanted(self, topic, *index) {
                    records.extend(self.election(topic, *index, election));
                }
            }
        }
        Outcome::new(records, false)
    }
}

fn partition_result(partition_id: i32, result: Result<(), ApiError>) -> PartitionResult {
    let (error_code, error_message) = ApiError::parts(result);
    PartitionResult { partition_id, error_code, error_message, ..Default::default() }
}
