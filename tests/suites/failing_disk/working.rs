//! All clients at work on one server at the same time.

use super::clients::{Client, Committer, Creator, DURABLE, Idempotent, PLAIN, Promise, Transactional};
use super::line::{Line, Refusal, is_honest};
use ottla_protocol::ApiKey;
use serde_json::json;
use std::thread;
use std::time::Duration;

/// So often a client tries before it takes the server to be of no use.
const TRIES: usize = 60;
/// So long a client waits before it tries again.
const PAUSE: Duration = Duration::from_millis(20);
/// One of each kind.
#[derive(Default)]
pub(crate) struct Clients {
    pub(crate) idempotent: Idempotent,
    pub(crate) transactional: Transactional,
    pub(crate) committer: Committer,
    pub(crate) creator: Creator,
}

/// How a client came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Worked {
    Done,
    Blocked(i64),
    Gone,
}

fn work(client: &mut dyn Client, address: &str, steps: usize) -> Worked {
    let mut line = Line::new(address.to_owned());
    let mut refused = 0;
    while client.steps() < steps {
        match client.step(&mut line) {
            Ok(()) => refused = 0,
            Err(Refusal::Gone) => return Worked::Gone,
            Err(Refusal::Code(code)) => {
                assert!(is_honest(code), "a client is told {code}");
                refused += 1;
                if refused == TRIES {
                    return Worked::Blocked(code);
                }
                thread::sleep(PAUSE);
            }
        }
    }
    Worked::Done
}

impl Clients {
    fn all(&mut self) -> [&mut dyn Client; 4] {
        [&mut self.idempotent, &mut self.transactional, &mut self.committer, &mut self.creator]
    }

    /// All at the same time.
    pub(crate) fn work(&mut self, address: &str, steps: [usize; 4], meanwhile: impl FnOnce() + Send) -> Vec<Worked> {
        thread::scope(|scope| {
            let workers: Vec<_> = self
                .all()
                .into_iter()
                .zip(steps)
                .map(|(client, steps)| scope.spawn(move || work(client, address, steps)))
                .collect();
            scope.spawn(meanwhile);
            workers.into_iter().map(|worker| worker.join().expect("a client found something wrong")).collect()
        })
    }

    pub(crate) fn promises(&mut self) -> Vec<Promise> {
        self.all().into_iter().flat_map(|client| client.promises().to_vec()).collect()
    }
}

/// Makes the topics of the clients, whatever stands in the way.
pub(crate) fn make_topics(line: &mut Line) -> Result<(), Refusal> {
    let configs = |pairs: &[(&str, &str)]| -> Vec<_> {
        pairs.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
    };
    let topic = |name: &str, pairs| json!({ "name": name, "numPartitions": 2, "replicationFactor": 1, "configs": configs(pairs) });
    let topics = json!([topic(DURABLE, &[("flush.messages", "1")]), topic(PLAIN, &[("segment.ms", "25")])]);
    line.ask(ApiKey::CreateTopics, 7, &json!({ "topics": topics, "timeoutMs": 10_000 }))?;
    for (kind, key) in [(0, "g"), (1, "tx")] {
        line.ask(ApiKey::FindCoordinator, 4, &json!({ "keyType": kind, "coordinatorKeys": [key] }))?;
    }
    Ok(())
}
