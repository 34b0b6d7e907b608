//! **Read-process-write**: an offset that a transaction commits is committed if and only if the transaction is.

use crate::harness::asking::wait;
use crate::harness::cluster::Cluster;
use crate::history::{History, Outcome};
use ottla_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use ottla_protocol::messages::{FindCoordinatorRequest, OffsetFetchRequest};
use std::cell::RefCell;

/// What the coordinator tells, once it can.
fn committed(cluster: &Cluster, group: &str) -> i64 {
    let some = cluster.living_ids().find(|id| cluster.is_broker(*id)).unwrap();
    let told = RefCell::new(None);
    cluster.run_until("offsets are told", |cluster| {
        let request =
            FindCoordinatorRequest { key_type: 0, coordinator_keys: vec![group.to_owned()], ..Default::default() };
        let found = wait(cluster, "the coordinator is known", &cluster.node(some).send(&request));
        let Some(coordinator) = found.coordinators.first().filter(|found| found.error_code == 0) else { return false };
        let asked = OffsetFetchRequestGroup {
            group_id: group.to_owned(),
            member_epoch: -1,
            topics: None,
            ..Default::default()
        };
        let request = OffsetFetchRequest { groups: vec![asked], require_stable: true, ..Default::default() };
        let answer = wait(cluster, "offsets are told", &cluster.node(coordinator.node_id).send(&request));
        let partition = answer.groups[0].topics.first().map(|topic| &topic.partitions[0]);
        let is_told = answer.groups[0].error_code == 0 && partition.is_none_or(|partition| partition.error_code == 0);
        *told.borrow_mut() = is_told.then(|| partition.map_or(-1, |partition| partition.committed_offset));
        is_told
    });
    told.take().unwrap()
}

pub(crate) fn check(cluster: &Cluster, history: &History, group: impl Fn(i32) -> String) {
    for number in 0..crate::TRANSACTIONAL {
        let told = committed(cluster, &group(number));
        let own = history.transactions_of(number);
        let certain = own
            .iter()
            .rposition(|transaction| transaction.outcome == Outcome::Committed && transaction.offset.is_some());
        let least = certain.map_or(-1, |at| own[at].offset.unwrap().1);
        let later = own.iter().skip(certain.map_or(0, |at| at + 1));
        let is_possible = told == least
            || later
                .filter(|transaction| transaction.outcome == Outcome::Unknown)
                .any(|transaction| transaction.offset.is_some_and(|(_, offset)| offset == told));
        assert!(is_possible, "read-process-write: {told} is committed by producer {number}, {least} was: {own:?}");
    }
}
