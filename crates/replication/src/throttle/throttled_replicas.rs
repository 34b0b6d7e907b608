use ottla_types::{BrokerId, PartitionIndex};
use std::collections::BTreeSet;
use thiserror::Error;

/// Which replicas of a topic on one broker are throttled: `leader.replication.throttled.replicas` or the follower's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ThrottledReplicas {
    /// None.
    #[default]
    None,
    /// `*`.
    All,
    /// Those of these partitions.
    Some(BTreeSet<PartitionIndex>),
}

/// A list that is not of the form `partition:broker,partition:broker`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("'{0}' is not partition:broker")]
pub struct ThrottledReplicasError(pub String);

impl ThrottledReplicas {
    /// Reads the topic's configuration for one broker.
    ///
    /// # Errors
    /// When it is neither empty, nor `*`, nor a list of `partition:broker`.
    pub fn parse(value: &str, broker: BrokerId) -> Result<Self, ThrottledReplicasError> {
        match value.trim() {
            "" => Ok(Self::None),
            "*" => Ok(Self::All),
            list => {
                let entries = list.split(',').map(|entry| parse_entry(entry.trim()));
                let entries = entries.collect::<Result<Vec<_>, _>>()?;
                let here = entries.into_iter().filter(|(_, id)| *id == broker).map(|(partition, _)| partition);
                Ok(Self::Some(here.collect()))
            }
        }
    }

    /// Whether the replica of a partition is among them.
    pub fn contains(&self, partition: PartitionIndex) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Some(partitions) => partitions.contains(&partition),
        }
    }
}

fn parse_entry(entry: &str) -> Result<(PartitionIndex, BrokerId), ThrottledReplicasError> {
    let numbers = entry.split_once(':').and_then(|(partition, broker)| {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let both = is_number(partition) && is_number(broker);
        both.then(|| Some((PartitionIndex(partition.parse().ok()?), BrokerId::new(broker.parse().ok()?))))?
    });
    numbers.ok_or_else(|| ThrottledReplicasError(entry.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_names_partitions_and_brokers() {
        let parse = |value, broker| ThrottledReplicas::parse(value, BrokerId::new(broker));
        let some =
            |partitions: &[i32]| Ok(ThrottledReplicas::Some(partitions.iter().copied().map(PartitionIndex).collect()));
        assert_eq!(parse("", 1), Ok(ThrottledReplicas::None));
        assert_eq!(parse("*", 1), Ok(ThrottledReplicas::All));
        assert_eq!(parse("0:101,0:102,1:102", 102), some(&[0, 1]));
        assert_eq!(parse("0:101, 1:101", 101), some(&[0, 1]));
        assert_eq!(parse("0:101", 7), some(&[]));
        for wrong in ["0", "0:", ":1", "a:1", "0:1,", "0:-1", "0:1:2"] {
            assert!(parse(wrong, 1).is_err(), "{wrong}");
        }
    }
}
