//! Idempotent producers: several batches of a partition are under way at a time, and are sent again in order until they are
//! acknowledged. Each is there once, then, and in order. Half of them wait for all answers of a leader before they send to another
//! one, like librdkafka; the others do not, like Java's.

use super::client::{Answer, Client, Outcome};
use super::history::Value;
use super::routes::Place;
use super::scene::{Identity, Scene, code, is_retriable};
use bytes::Bytes;
use ottla_env::Monotonic;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{InitProducerIdRequest, ProduceRequest};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How many batches of a partition may wait for their answers: as many as brokers remember.
const WINDOW: usize = 5;

pub(crate) struct Producer {
    number: i32,
    client: Client,
    identity: Option<Identity>,
    asking: Option<Answer<InitProducerIdRequest>>,
    lanes: BTreeMap<Place, Lane>,
    sent: u64,
}

/// What a producer sends to one partition.
#[derive(Default)]
struct Lane {
    sequence: i32,
    /// Whether something of this producer was acknowledged here.
    is_known: bool,
    flights: VecDeque<Flight>,
    /// What is not acknowledged is sent again then.
    again_at: Option<Monotonic>,
    /// Since there was last no answer to wait for: whom batches were sent to, whether an answer was lost, and whether a batch behind
    /// another one was out of order.
    asked: BTreeSet<i32>,
    was_lost: bool,
    was_out_of_order: bool,
}

struct Flight {
    values: Vec<Value>,
    bytes: Bytes,
    answer: Option<Answer<ProduceRequest>>,
    is_acknowledged: bool,
}

impl Producer {
    pub(crate) fn new(number: i32, client: Client) -> Self {
        Self { number, client, identity: None, asking: None, lanes: BTreeMap::new(), sent: 0 }
    }

    /// Whether nothing waits for an answer.
    pub(crate) fn is_idle(&self) -> bool {
        self.lanes.values().all(|lane| lane.flights.is_empty())
    }

    pub(crate) fn advance(&mut self, scene: &mut Scene<'_>, every: u64) {
        let Some(identity) = self.identity else { return self.introduce(scene) };
        if !scene.is_closing && scene.one_in(every) {
            self.begin(scene, identity);
        }
        let places: Vec<Place> = self.lanes.keys().copied().collect();
        for place in places {
            if scene.history.is_doomed(place.0) {
                self.lanes.remove(&place);
                continue;
            }
            let Some(lane) = self.lanes.get_mut(&place) else { continue };
            lane.take_answers(scene, place);
            lane.send_again(scene, place, &self.client);
        }
    }

    fn introduce(&mut self, scene: &Scene<'_>) {
        let asking = self.asking.get_or_insert_with(|| {
            let request = InitProducerIdRequest {
                transactional_id: None,
                producer_id: -1,
                producer_epoch: -1,
                ..Default::default()
            };
            self.client.ask(scene.some_broker(), &request)
        });
        match asking.take() {
            Outcome::Waiting => return,
            Outcome::Answered(answer) if answer.error_code == 0 => {
                self.identity = Some(Identity { id: answer.producer_id, epoch: answer.producer_epoch });
            }
            Outcome::Answered(answer) => {
                let code = code(answer.error_code);
                assert!(is_retriable(code), "a producer is refused: {code:?}");
            }
            Outcome::Lost => {}
        }
        self.asking = None;
    }

    fn begin(&mut self, scene: &mut Scene<'_>, identity: Identity) {
        let Some(place) = scene.pick(&scene.routes.places("r-")) else { return };
        let lane = self.lanes.entry(place).or_default();
        // Of a producer of which nothing is there any more a broker takes any sequence, as Apache Kafka does: a second batch may
        // then overtake the first.
        let may_be_forgotten = scene.routes.name(place.0).is_none_or(|name| name.contains("short"));
        let window = if may_be_forgotten || !lane.is_known { 1 } else { WINDOW };
        let is_full = lane.flights.len() >= window || lane.again_at.is_some();
        let Some(leader) = scene.routes.leader(&place).map(|route| route.leader) else { return };
        let waits = self.number % 2 == 0 && lane.is_under_way() && !lane.asked.contains(&leader);
        if is_full || waits || scene.history.is_doomed(place.0) {
            return;
        }
        let count = 1 + scene.random.below(3);
        let values: Vec<Value> = (0..count)
            .map(|_| {
                self.sent += 1;
                scene.history.send(place, None, (self.number, self.sent))
            })
            .collect();
        let bytes = scene.batch(identity, lane.sequence, false, &values);
        lane.sequence += i32::try_from(count).unwrap();
        let answer = scene.produce(&self.client, place, None, &bytes);
        lane.asked.insert(leader);
        lane.flights.push_back(Flight { values, bytes, answer, is_acknowledged: false });
    }
}

impl Lane {
    fn is_under_way(&self) -> bool {
        self.flights.iter().any(|flight| flight.answer.is_some())
    }

    /// All answers are there that will come. If none was lost, and all were of one broker, then it has seen the batches in order, and
    /// must not have taken any for one out of order.
    fn look_back(&mut self, place: Place) {
        if self.is_under_way() {
            return;
        }
        let is_excused = self.was_lost || self.asked.len() > 1;
        assert!(is_excused || !self.was_out_of_order, "producer order: told to be out of order, in {place:?}");
        self.asked.clear();
        (self.was_lost, self.was_out_of_order) = (false, false);
    }

    fn take_answers(&mut self, scene: &mut Scene<'_>, place: Place) {
        let again_at = scene.retry_at();
        for index in 0..self.flights.len() {
            let is_first = self.flights.iter().take(index).all(|earlier| earlier.is_acknowledged);
            let flight = &mut self.flights[index];
            let Some(answer) = &flight.answer else { continue };
            let outcome = answer.take();
            if matches!(outcome, Outcome::Waiting) {
                continue;
            }
            flight.answer = None;
            let Outcome::Answered(answer) = outcome else {
                self.was_lost = true;
                self.again_at.get_or_insert(again_at);
                continue;
            };
            let answer = &answer.responses[0].partition_responses[0];
            let code = code(answer.error_code);
            super::said::say(|| format!("-- {:?} to {place:?}, {index}: {code:?}", flight.values));
            match code {
                ErrorCode::None => {
                    flight.is_acknowledged = true;
                    self.is_known = true;
                    scene.history.count("idempotent batches");
                    for (offset, value) in (answer.base_offset..).zip(&flight.values) {
                        scene.history.acknowledge(place, offset, *value);
                    }
                }
                ErrorCode::DuplicateSequenceNumber => flight.is_acknowledged = true,
                // One before it was lost on its way.
                ErrorCode::OutOfOrderSequenceNumber if !is_first => {
                    self.was_out_of_order = true;
                    self.again_at.get_or_insert(again_at);
                }
                other if is_retriable(other) => drop(self.again_at.get_or_insert(again_at)),
                _ if scene.history.is_doomed(place.0) => {}
                other => panic!("producer order: {other:?} to the next batch of a producer, in {place:?}"),
            }
        }
        while self.flights.front().is_some_and(|flight| flight.is_acknowledged) {
            self.flights.pop_front();
        }
        if self.flights.is_empty() {
            self.again_at = None;
        }
        self.look_back(place);
    }

    /// Once all answers are there, what was not acknowledged is sent again, in order.
    fn send_again(&mut self, scene: &Scene<'_>, place: Place, client: &Client) {
        let is_due = self.again_at.is_some_and(|at| at <= scene.now);
        let Some(leader) = scene.routes.leader(&place).filter(|_| is_due && !self.is_under_way()) else { return };
        self.again_at = None;
        self.asked.insert(leader.leader);
        for flight in self.flights.iter_mut().filter(|flight| !flight.is_acknowledged) {
            flight.answer = scene.produce(client, place, None, &flight.bytes);
        }
    }
}
