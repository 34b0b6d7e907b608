use super::{Failure, files::Plan, with_commas};
use crate::console::Console;
use crate::java::{Sized, hash_order, string_hash};
use crate::replication_throttle::{FOLLOWER_RATE, LEADER_RATE, Move, alter, broker, delete, free_topics, limit, set};
use ottla_client::{Admin, PartitionReassignment};
use ottla_types::TopicPartition;
use std::collections::{BTreeMap, BTreeSet};

const DIRECTORY_RATE: &str = "replica.alter.log.dirs.io.max.bytes.per.second";

/// The moves that are under way and those that are proposed, by partition.
pub(super) fn moves(
    under_way: &BTreeMap<TopicPartition, PartitionReassignment>,
    proposed: &BTreeMap<TopicPartition, Vec<i32>>,
    current: &BTreeMap<TopicPartition, Vec<i32>>,
) -> BTreeMap<TopicPartition, Move> {
    let ids = |nodes: &[ottla_types::NodeId]| nodes.iter().map(|node| node.value()).collect::<BTreeSet<i32>>();
    let mut moves = BTreeMap::new();
    for (partition, reassignment) in under_way {
        let destinations = ids(&reassignment.adding);
        let sources = ids(&reassignment.replicas).difference(&destinations).copied().collect();
        moves.insert(partition.clone(), Move { sources, destinations });
    }
    for (partition, replicas) in proposed {
        let known = moves.get(partition).map(|known| known.sources.clone());
        let sources =
            known.unwrap_or_else(|| current.get(partition).into_iter().flatten().copied().collect::<BTreeSet<i32>>());
        let destinations = replicas.iter().filter(|broker| !sources.contains(broker)).copied().collect();
        moves.insert(partition.clone(), Move { sources, destinations });
    }
    moves
}

/// Limits what moves between brokers.
pub(super) async fn limit_brokers(
    admin: &Admin,
    moves: &BTreeMap<TopicPartition, Move>,
    rate: i64,
    console: &mut Console,
) -> Result<(), Failure> {
    limit(admin, moves, rate).await?;
    console.line(&format!("The inter-broker throttle limit was set to {rate} B/s"));
    Ok(())
}

/// Limits what moves between the directories of these brokers.
pub(super) async fn limit_directories(
    admin: &Admin,
    brokers: BTreeSet<i32>,
    rate: i64,
    console: &mut Console,
) -> Result<(), Failure> {
    let limited = brokers.into_iter().map(|id| (broker(id), vec![set(DIRECTORY_RATE, rate.to_string())]));
    alter(admin, limited.collect()).await?;
    console.line(&format!("The replica-alter-dir throttle limit was set to {rate} B/s"));
    Ok(())
}

/// Takes all limits away: which brokers a reassignment that is done had to do with can't be known any more.
pub(super) async fn clear(admin: &Admin, plan: &Plan, console: &mut Console) -> Result<(), Failure> {
    let s = |count: usize| if count == 1 { "" } else { "s" };
    let mut brokers: BTreeSet<i32> =
        admin.describe_cluster().await?.brokers.iter().map(|broker| broker.id.value()).collect();
    brokers.extend(plan.partitions.iter().flat_map(|(_, replicas)| replicas));
    console.line(&format!("Clearing broker-level throttles on broker{} {}", s(brokers.len()), with_commas(&brokers)));
    let rates = |id: i32| (broker(id), [LEADER_RATE, FOLLOWER_RATE, DIRECTORY_RATE].map(delete).to_vec());
    alter(admin, brokers.into_iter().map(rates).collect()).await?;
    let topics: BTreeSet<String> = plan.partitions.iter().map(|(partition, _)| partition.topic.to_string()).collect();
    let mut topics: Vec<String> = topics.into_iter().collect();
    hash_order(&mut topics, Sized::Default, |topic| string_hash(topic));
    console.line(&format!("Clearing topic-level throttles on topic{} {}", s(topics.len()), topics.join(",")));
    Ok(free_topics(admin, topics).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_types::NodeId;

    #[test]
    fn data_comes_from_the_replicas_that_stay_or_go_and_never_from_those_that_are_added() {
        let (a, b) = (TopicPartition::new("a", 0), TopicPartition::new("b", 0));
        let nodes = |ids: &[i32]| ids.iter().copied().map(NodeId).collect::<Vec<_>>();
        let under_way =
            PartitionReassignment { replicas: nodes(&[1, 2, 3]), adding: nodes(&[3]), removing: nodes(&[1]) };
        let under_way = BTreeMap::from([(a.clone(), under_way)]);
        let proposed = BTreeMap::from([(a.clone(), vec![2, 4]), (b.clone(), vec![1, 5])]);
        let current = BTreeMap::from([(a.clone(), vec![1, 2, 3]), (b.clone(), vec![1, 2])]);
        let moves = moves(&under_way, &proposed, &current);
        let expected = |sources: &[i32], destinations: &[i32]| Move {
            sources: sources.iter().copied().collect(),
            destinations: destinations.iter().copied().collect(),
        };
        assert_eq!(moves, BTreeMap::from([(a, expected(&[1, 2], &[4])), (b, expected(&[1, 2], &[5]))]));
    }
}
