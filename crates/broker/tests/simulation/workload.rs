//! All the clients of a run.

use super::classic::{ClassicMember, Generations};
use super::client::Client;
use super::harness::cluster::{Cluster, Voters};
use super::history::History;
use super::invariants::Invariants;
use super::members::{Commits, Member};
use super::operators::Operator;
use super::producers::Producer;
use super::readers::{Isolation, Reader};
use super::routes::Routes;
use super::scene::Scene;
use super::shape::Shape;
use super::transactions::TransactionalProducer;
use super::{TRANSACTIONAL, harness};
use harness::asking::batches;
use ottla_env::{Clock as _, Disk as _};
use ottla_env_sim::SeededRandom;
use std::collections::BTreeMap;
use std::path::Path;

const PRODUCERS: i32 = 2;
const MEMBERS: i32 = 3;

pub(crate) struct Workload {
    routes: Routes,
    history: History,
    producers: Vec<Producer>,
    transactional: Vec<TransactionalProducer>,
    /// One that sees everything, and one that sees what is committed.
    readers: [Reader; 2],
    members: Vec<Member>,
    commits: Commits,
    classic: Vec<ClassicMember>,
    generations: Generations,
    operator: Operator,
    /// On average so many steps lie between two things that the administrator does.
    operates_every: u64,
    is_closing: bool,
}

impl Workload {
    pub(crate) fn new(cluster: &Cluster, shape: &Shape) -> Self {
        let mut numbers = 0..;
        let mut client = || Client::new(numbers.next().unwrap(), &cluster.network);
        let changes_voters = matches!(shape.plan.voters, Voters::Dynamic(_));
        Self {
            routes: Routes::default(),
            history: History::default(),
            producers: (0..PRODUCERS).map(|number| Producer::new(number, client())).collect(),
            transactional: (0..TRANSACTIONAL).map(|number| TransactionalProducer::new(number, client())).collect(),
            readers: [Isolation::ReadUncommitted, Isolation::ReadCommitted]
                .map(|isolation| Reader::new(client(), isolation)),
            members: (0..MEMBERS).map(|number| Member::new(number.unsigned_abs() + 1, client())).collect(),
            commits: Commits::default(),
            classic: (0..MEMBERS).map(|_| ClassicMember::new(client())).collect(),
            generations: Generations::default(),
            operator: Operator::new(client(), changes_voters),
            // In a fourth of the runs partitions move nearly all the time.
            operates_every: if shape.plan.seed % 4 == 3 { 30 } else { 150 },
            is_closing: false,
        }
    }

    pub(crate) fn advance(&mut self, cluster: &Cluster, random: &SeededRandom) {
        self.routes.refresh(cluster, random);
        let now = cluster.clock.monotonic();
        let (routes, history, is_closing) = (&mut self.routes, &mut self.history, self.is_closing);
        let scene = &mut Scene { cluster, routes, history, random, now, is_closing };
        self.producers.iter_mut().for_each(|producer| producer.advance(scene, 12));
        self.transactional.iter_mut().for_each(|producer| producer.advance(scene, 5));
        self.readers.iter_mut().for_each(|reader| reader.advance(scene));
        self.members.iter_mut().for_each(|member| member.advance(scene, &mut self.commits));
        self.classic.iter_mut().for_each(|member| member.advance(scene, &mut self.generations));
        self.operator.advance(scene, self.operates_every);
    }

    /// From now on nothing new is begun.
    pub(crate) fn close(&mut self) {
        self.is_closing = true;
    }

    /// Whether everything that was begun has come to its end, and readers have seen all of it.
    pub(crate) fn is_done(&self, cluster: &Cluster) -> bool {
        self.producers.iter().all(Producer::is_idle)
            && self.transactional.iter().all(TransactionalProducer::is_idle)
            && self.unread(cluster).is_empty()
    }

    /// Partitions of which a reader has not seen the end.
    fn unread(&self, cluster: &Cluster) -> Vec<String> {
        let mut places = self.routes.places("r-");
        places.extend(self.routes.places("t-"));
        let mut unread = Vec::new();
        for place in places {
            let Some(name) = self.routes.name(place.0) else { continue };
            let Some(route) = self.routes.leader(&place) else {
                unread.push(format!("{name}-{}, of which no leader is known", place.1));
                continue;
            };
            let path = cluster.log_of(route.leader, &format!("{name}-{}", place.1));
            // Clients may not know yet that the partition was moved away.
            if !cluster.world(route.leader).disk.below().exists(Path::new(&path)).unwrap() {
                unread.push(format!("{name}-{}, which is not where it was", place.1));
                continue;
            }
            let log = batches(cluster, route.leader, &path);
            let end = log.values().next_back().map_or(0, |batch| batch.0.0 + 1);
            let positions = self.readers.each_ref().map(|reader| reader.position(&place));
            if positions.iter().any(|position| *position < end) {
                unread.push(format!("{name}-{} to {end}: {positions:?}", place.1));
            }
        }
        unread
    }

    pub(crate) fn waits_for(&self, cluster: &Cluster) -> String {
        let producers: Vec<bool> = self.producers.iter().map(Producer::is_idle).collect();
        let transactional: Vec<bool> = self.transactional.iter().map(TransactionalProducer::is_idle).collect();
        format!("idle {producers:?} {transactional:?}, unread {:?}", self.unread(cluster))
    }

    pub(crate) fn check_end(&self, cluster: &Cluster, invariants: &mut Invariants) {
        invariants.check_end(cluster, &self.history, &self.readers);
    }

    pub(crate) fn counts(&self) -> BTreeMap<&'static str, usize> {
        self.history.counts.clone()
    }
}
