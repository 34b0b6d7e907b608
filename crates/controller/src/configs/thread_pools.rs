use crate::ApiError;
use ottla_config::{NodeConfig, describe};
use ottla_protocol::ErrorCode;

/// The keys that are sizes of pools.
const POOLS: [&str; 6] = [
    "background.threads",
    "log.cleaner.threads",
    "num.io.threads",
    "num.network.threads",
    "num.recovery.threads.per.data.dir",
    "num.replica.fetchers",
];

/// Whether pools of threads may change at run time from what they are `now` to what they would be `then`: to half their
/// size at the least and twice at the most, so that a slip of a finger neither starves a broker nor drowns it (KIP-226).
pub(super) fn check(now: &NodeConfig, then: &NodeConfig) -> Result<(), ApiError> {
    POOLS.iter().try_for_each(|pool| match (size(now, pool), size(then, pool)) {
        (Some(now), Some(then)) if now != then => check_step(pool, now, then),
        _ => Ok(()),
    })
}

fn size(config: &NodeConfig, pool: &str) -> Option<i64> {
    describe::broker(config, Some(&[pool])).first()?.value.as_ref()?.trim().parse().ok()
}

fn check_step(pool: &str, now: i64, then: i64) -> Result<(), ApiError> {
    // Half of one is none, and no pool can be empty.
    let (least, most) = ((now / 2).max(1), now * 2);
    if (least..=most).contains(&then) {
        return Ok(());
    }
    let message = format!("{pool} can't be {then}: it is {now}, and may become {least} to {most} in one step");
    Err(ApiError::new(ErrorCode::InvalidRequest, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_config::Properties;
    use std::collections::BTreeMap;

    fn checked(pool: &str, now: &str, then: &str) -> Result<(), ApiError> {
        let node = NodeConfig::from_properties(Properties::default()).unwrap().0;
        let with = |value: &str| {
            let cluster = BTreeMap::from([(pool.to_owned(), value.to_owned())]);
            node.with_dynamic(&cluster, &BTreeMap::new()).unwrap()
        };
        check(&with(now), &with(then))
    }

    #[test]
    fn a_pool_may_become_half_and_twice_as_large_and_no_more() {
        for pool in POOLS {
            for then in ["4", "5", "8", "16"] {
                assert_eq!(checked(pool, "8", then), Ok(()), "{pool} {then}");
            }
            for then in ["3", "17"] {
                let error = checked(pool, "8", then).unwrap_err();
                assert_eq!(error.code, ErrorCode::InvalidRequest, "{pool} {then}");
                assert!(error.message.unwrap().contains("may become 4 to 16"), "{pool} {then}");
            }
        }
    }

    #[test]
    fn no_pool_becomes_empty() {
        // Of all keys this one alone allows none in a file.
        assert!(checked("log.cleaner.threads", "1", "0").is_err());
        assert_eq!(checked("log.cleaner.threads", "1", "2"), Ok(()));
    }
}
