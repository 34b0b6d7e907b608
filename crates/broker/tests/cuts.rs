//! A node that the network does not reach any more, and that does not reach the others: how soon somebody else does its work, and
//! how soon all is well when the network is.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may stop at what they did not expect")]

mod harness;

use core::cell::RefCell;
use core::time::Duration;
use harness::asking::{check_equal, check_metadata, created, in_sync, partitions, write};
use harness::cluster::{Cluster, Plan, Voters};
use ottla_env::Clock as _;
use ottla_protocol::ErrorCode;

/// `ottla.peer.silence.max.ms` by default, an answer that still got through before it, an election.
const LED_AGAIN_MAX: Duration = Duration::from_millis(1_500);

/// In which directions nothing arrives.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cut {
    BothWays,
    Silenced,
    Deafened,
}

fn cut(cluster: &Cluster, victim: i32, directions: Cut) {
    for other in (1..=3).filter(|id| *id != victim) {
        if directions != Cut::Deafened {
            cluster.network.cut(victim, other);
        }
        if directions != Cut::Silenced {
            cluster.network.cut(other, victim);
        }
    }
}

fn took(cluster: &Cluster, what: &str, is_so: impl Fn(&Cluster) -> bool) -> Duration {
    let before = cluster.clock.monotonic();
    cluster.run_until(what, is_so);
    cluster.clock.monotonic().since(before)
}

/// A cluster whose nodes have long known each other, with a topic of which each leads partitions.
fn settled() -> Cluster {
    let cluster = Cluster::of(Plan::new(3, Voters::Static));
    created(&cluster, 1, "cut", 6);
    in_sync(&cluster, "cut", 3);
    write(&cluster, "cut");
    cluster.run_for(Duration::from_secs(3));
    cluster
}

/// Every kind of cut, of the active controller and of another node.
fn in_all_cuts(test: impl Fn(&Cluster, i32, Cut)) {
    for directions in [Cut::BothWays, Cut::Silenced, Cut::Deafened] {
        for after in 0..2 {
            let cluster = settled();
            let victim = (cluster.active().unwrap() + after - 1) % 3 + 1;
            cut(&cluster, victim, directions);
            test(&cluster, victim, directions);
        }
    }
}

#[test]
fn others_lead_what_a_node_led_that_is_cut_off_without_waiting_for_its_session() {
    in_all_cuts(|cluster, victim, directions| {
        let time = took(cluster, "others lead", |cluster| {
            (1..=3).filter(|id| *id != victim).all(|id| {
                let told = partitions(cluster.node(id), "cut");
                told.iter().all(|told| told.leader > 0 && told.leader != victim)
            })
        });
        println!("{directions:?} of {victim}: led again after {time:?}");
        assert!(time <= LED_AGAIN_MAX, "{directions:?} of {victim}: {time:?}");
    });
}

#[test]
fn a_leader_that_is_cut_off_refuses_what_the_others_can_not_acknowledge() {
    in_all_cuts(|cluster, victim, directions| {
        let led = partitions(cluster.node(victim), "cut").iter().position(|told| told.leader == victim).unwrap();
        let led = i32::try_from(led).unwrap();
        let refused = ErrorCode::NotLeaderOrFollower.code();
        let waiting = RefCell::new(cluster.node(victim).produce("cut", led, -1, 7));
        let time = took(cluster, "what waits is refused", |_| {
            let answer = waiting.borrow().partition().map(|answer| answer.error_code);
            // The harness does not let a write wait for long.
            if answer == Some(ErrorCode::RequestTimedOut.code()) {
                *waiting.borrow_mut() = cluster.node(victim).produce("cut", led, -1, 7);
            }
            answer == Some(refused)
        });
        assert!(time <= Duration::from_millis(1_500), "{directions:?} of {victim}: {time:?}");
        let later = cluster.node(victim).produce("cut", led, -1, 7);
        assert_eq!(later.partition().unwrap().error_code, refused, "{directions:?}");
        let unsafe_one = cluster.node(victim).produce("cut", led, 1, 7);
        assert_eq!(unsafe_one.partition().unwrap().error_code, 0, "who asks for less than all gets what he asks for");
    });
}

#[test]
fn all_replicas_are_in_sync_soon_after_the_network_is_whole_again() {
    in_all_cuts(|cluster, victim, directions| {
        cluster.run_for(Duration::from_secs(20));
        cluster.network.heal();
        let time = took(cluster, "all are in sync", |cluster| {
            (1..=3).all(|id| partitions(cluster.node(id), "cut").iter().all(|told| told.in_sync == [1, 2, 3]))
        });
        assert!(time <= Duration::from_secs(6), "{directions:?} of {victim}: {time:?}");
        write(cluster, "cut");
        check_equal(cluster, "cut");
        check_metadata(cluster);
    });
}

#[test]
fn a_cut_that_is_over_before_the_silence_is_long_enough_changes_nothing() {
    let cluster = settled();
    let (active, epoch) = (cluster.active().unwrap(), cluster.node(1).node.quorum().epoch);
    let leaders = partitions(cluster.node(1), "cut");
    cut(&cluster, active, Cut::BothWays);
    cluster.run_for(Duration::from_millis(400));
    cluster.network.heal();
    cluster.run_for(Duration::from_secs(5));
    assert_eq!((cluster.active(), cluster.node(1).node.quorum().epoch), (Some(active), epoch));
    assert_eq!(partitions(cluster.node(1), "cut"), leaders);
}
