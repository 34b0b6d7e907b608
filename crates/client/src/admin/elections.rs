use super::{Admin, by_topic, item};
use crate::error::{Result, check};
use ottla_protocol::messages::elect_leaders_request::{ElectLeadersRequest, TopicPartitions};
use ottla_types::TopicPartition;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Who is to be elected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElectionKind {
    /// The first of the replicas, where another one leads.
    Preferred,
    /// Any living replica, where none leads: records may be lost.
    Unclean,
}

impl Admin {
    /// Elects the leaders of these partitions, or with `None` of all that need it; only of those there are results then.
    ///
    /// # Errors
    /// No answer could be had, or the server refused the election as a whole.
    pub async fn elect_leaders(
        &self,
        kind: ElectionKind,
        partitions: Option<&BTreeSet<TopicPartition>>,
    ) -> Result<BTreeMap<TopicPartition, Result<()>>> {
        let topic = |(topic, partitions)| TopicPartitions { topic, partitions, ..Default::default() };
        let request = ElectLeadersRequest {
            election_type: match kind {
                ElectionKind::Preferred => 0,
                ElectionKind::Unclean => 1,
            },
            topic_partitions: partitions.map(|partitions| by_topic(partitions.iter()).into_iter().map(topic).collect()),
            timeout_ms: self.timeout_ms(),
            ..Default::default()
        };
        self.at_any(&request, |response| {
            check(response.error_code)?;
            let results = response.replica_election_results.into_iter().flat_map(|result| {
                let topic: Arc<str> = result.topic.into();
                result.partition_result.into_iter().map(move |partition| {
                    let key = TopicPartition::new(topic.clone(), partition.partition_id);
                    (key, item(partition.error_code, partition.error_message))
                })
            });
            Ok(results.collect())
        })
        .await
    }
}
