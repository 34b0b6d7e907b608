use super::{Failure, files, moves, replicas_of_topics};
use crate::console::Console;
use ottla_client::Admin;
use ottla_controller::{Placer, Seed, UsableBroker};
use ottla_env::Random;
use ottla_env_os::OsRandom;
use ottla_types::{BrokerId, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};

/// Proposes how the topics' partitions could be spread over the brokers.
pub(super) async fn generate(
    admin: &Admin,
    file: &str,
    brokers: &str,
    with_racks: bool,
    console: &mut Console,
) -> Result<(), Failure> {
    let brokers: Vec<i32> = brokers
        .split(',')
        .map(|id| id.parse().map_err(|_| Failure::Error(format!("For input string: \"{id}\""))))
        .collect::<Result<_, _>>()?;
    refuse_twice("Broker list contains duplicate entries", &brokers)?;
    let topics = files::topics(file)?;
    refuse_twice("List of topics to reassign contains duplicate entries", &topics)?;
    let current = replicas_of_topics(admin, topics.into_iter()).await?;
    let proposed = propose(&current, &usable(admin, &brokers, with_racks).await?)?;
    let directories = moves::directories(admin, &current).await?;
    console.line(&format!("Current partition replica assignment\n{}\n", files::written(&current, &directories)));
    console.line(&format!(
        "Proposed partition reassignment configuration\n{}",
        files::written(&proposed, &BTreeMap::new())
    ));
    Ok(())
}

fn refuse_twice<T: Ord + ToString>(sentence: &str, items: &[T]) -> Result<(), Failure> {
    let mut seen = BTreeSet::new();
    let twice: BTreeSet<_> = items.iter().filter(|item| !seen.insert(*item)).map(ToString::to_string).collect();
    if twice.is_empty() {
        return Ok(());
    }
    Err(Failure::Error(format!("{sentence}: [{}]", twice.into_iter().collect::<Vec<_>>().join(", "))))
}

/// Those of the brokers that there are.
async fn usable(admin: &Admin, wanted: &[i32], with_racks: bool) -> Result<Vec<UsableBroker>, Failure> {
    let brokers = admin.describe_cluster().await?.brokers.into_iter();
    let usable: Vec<_> = brokers
        .filter(|broker| wanted.contains(&broker.id.value()))
        .map(|broker| UsableBroker {
            id: BrokerId::from(broker.id.value()),
            rack: broker.rack.filter(|_| with_racks),
            is_fenced: false,
        })
        .collect();
    let without_rack = usable.iter().filter(|broker| broker.rack.is_none()).count();
    if with_racks && without_rack != 0 && without_rack != usable.len() {
        return Err(Failure::Error(
            "Not all brokers have rack information. Add --disable-rack-aware in command line to make replica \
             assignment without rack information."
                .to_owned(),
        ));
    }
    Ok(usable)
}

/// Places each topic's partitions anew, with as many replicas as one of them has.
fn propose(
    current: &BTreeMap<TopicPartition, Vec<i32>>,
    brokers: &[UsableBroker],
) -> Result<BTreeMap<TopicPartition, Vec<i32>>, Failure> {
    let mut factors = BTreeMap::new();
    for (partition, replicas) in current {
        factors.entry(partition.topic.clone()).or_insert(i16::try_from(replicas.len()).unwrap_or(i16::MAX));
    }
    let mut proposed = BTreeMap::new();
    for (topic, factor) in factors {
        let seed = u128::from(OsRandom.next_u64()) << 64 | u128::from(OsRandom.next_u64());
        let mut placer = Placer::new(brokers.iter().cloned(), Seed(seed));
        let count = placer.check(factor).map_err(Failure::Error)?;
        for partition in current.keys().filter(|partition| partition.topic == topic) {
            let replicas = placer.place(count).into_iter().map(|broker| broker.value()).collect();
            proposed.insert(partition.clone(), replicas);
        }
    }
    Ok(proposed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(id: i32) -> UsableBroker {
        UsableBroker { id: BrokerId::from(id), rack: None, is_fenced: false }
    }

    #[test]
    fn each_partition_gets_as_many_replicas_as_before_on_the_brokers_named() {
        let current = (0..6).map(|index| (TopicPartition::new("a", index), vec![1, 2])).collect();
        let proposed = propose(&current, &[broker(3), broker(4), broker(5)]).unwrap();
        assert_eq!(proposed.len(), 6);
        for replicas in proposed.values() {
            let different: BTreeSet<_> = replicas.iter().collect();
            assert!(different.len() == 2 && different.iter().all(|id| (3..=5).contains(*id)), "{replicas:?}");
        }
        assert!(propose(&current, &[broker(3)]).is_err());
    }
}
