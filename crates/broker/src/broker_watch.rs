//! The active controller's eye on brokers: who is dead is fenced at once, and not only when the session has run out.

use crate::metadata_view::MetadataView;
use crate::peers::{Lane, PeerFailure, Peers, broker_at};
use crate::quorum::MetadataQuorum;
use core::time::Duration;
use ottla_env::{Clock, Monotonic};
use ottla_net::{AskFailure, Destination};
use ottla_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use ottla_protocol::{ApiKey, VersionRange};
use ottla_types::{BrokerEpoch, BrokerId, NodeId};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long a broker may take to answer before it is asked again.
const ANSWER_MAX: Duration = Duration::from_secs(3);
/// How long a broker is left alone that was neither reached nor found dead: its session decides then.
const REST: Duration = Duration::from_millis(500);

/// What is known of a broker's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contact {
    /// It was asked for a sign of life.
    Asked,
    /// It has given one, and the connection stands. It is asked for the next one at this time, if at all.
    Stands(Option<Monotonic>),
    /// It is asked again at this time.
    Ended(Monotonic),
    /// It was found dead.
    Dead(Death),
}

/// How a broker was found dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Death {
    /// Nobody listens where it was.
    Refused,
    /// Its host says nothing.
    Silent,
}

impl Contact {
    /// When it is asked next.
    fn due(self) -> Option<Monotonic> {
        match self {
            Self::Ended(at) => Some(at),
            Self::Stands(at) => at,
            Self::Asked | Self::Dead(_) => None,
        }
    }
}

struct Watched {
    epoch: BrokerEpoch,
    address: Destination,
    contact: Contact,
    /// Whether this node has had a connection to there: one that never had can't tell a silent host from a wall between.
    was_reached: bool,
    /// Whether the host has given no sign of life when it was last expected to.
    is_suspect: bool,
}

/// What the watch needs of its node.
pub(crate) struct WatchOptions {
    pub(crate) node_id: NodeId,
    /// The name of the listener on which brokers are reached.
    pub(crate) listener: String,
    pub(crate) peers: Peers,
    pub(crate) metadata: Arc<MetadataView>,
    pub(crate) clock: Arc<dyn Clock>,
    /// How often a broker gives a sign of life, so that its host's silence is noticed; `None` if nobody listens for that.
    pub(crate) pulse: Option<Duration>,
    pub(crate) wake: Arc<dyn Fn() + Send + Sync>,
}

/// Keeps a connection to each broker that is not fenced, as long as this node's controller is active. One that ends is made anew;
/// where that is refused because nobody listens, or not answered by the host at all, the broker is dead or cut off. Whoever is slow
/// is judged by its session. Bounded by the brokers of the cluster.
pub(crate) struct BrokerWatch {
    options: WatchOptions,
    watched: Mutex<BTreeMap<BrokerId, Watched>>,
    /// Those that were found dead in this epoch. If heartbeats say otherwise, that does not count again before they were reached.
    given_up: Mutex<BTreeMap<BrokerId, BrokerEpoch>>,
}

impl BrokerWatch {
    pub(crate) fn new(options: WatchOptions) -> Arc<Self> {
        Arc::new(Self { options, watched: Mutex::default(), given_up: Mutex::default() })
    }

    /// Does what is due, and says when to come again.
    pub(crate) fn tick(self: &Arc<Self>, quorum: &Arc<MetadataQuorum>) -> Option<Monotonic> {
        if !quorum.is_active() {
            self.watched.lock().clear();
            self.given_up.lock().clear();
            return None;
        }
        let now = self.options.clock.monotonic();
        self.look_at_metadata(now);
        for (id, epoch, death) in self.dead(now) {
            match death {
                Death::Refused => tracing::warn!(broker = %id, "nobody listens where this broker was: it is fenced"),
                Death::Silent => tracing::warn!(broker = %id, "this broker's host says nothing any more: it is fenced"),
            }
            quorum.broker_is_dead(id, epoch);
        }
        for (id, epoch, address, has_ended) in self.due(now) {
            if has_ended {
                quorum.connection_ended(id, epoch);
            }
            self.ask(id, epoch, address);
        }
        self.watched.lock().values().filter_map(|watched| watched.contact.due()).min()
    }

    /// Takes note of who is to be watched: those whose registration is new are asked at once.
    fn look_at_metadata(&self, now: Monotonic) {
        let image = self.options.metadata.image();
        let mut watched = self.watched.lock();
        let is_wanted = |id: BrokerId| {
            let broker = image.cluster.broker(id).filter(|broker| !broker.fenced && id != self.options.node_id)?;
            Some((broker.epoch, broker_at(&image, id, &self.options.listener, Lane::Watch)?))
        };
        watched.retain(|id, known| {
            is_wanted(*id).is_some_and(|(epoch, address)| (epoch, &address) == (known.epoch, &known.address))
        });
        for id in image.cluster.brokers.keys() {
            if let (false, Some((epoch, address))) = (watched.contains_key(id), is_wanted(*id)) {
                let contact = Contact::Ended(now);
                watched.insert(*id, Watched { epoch, address, contact, was_reached: false, is_suspect: false });
            }
        }
        self.given_up.lock().retain(|id, epoch| image.cluster.broker(*id).is_some_and(|broker| broker.epoch == *epoch));
    }

    /// Those that were found dead. They are asked again, in case that they are back before the metadata says that they are fenced.
    fn dead(&self, now: Monotonic) -> Vec<(BrokerId, BrokerEpoch, Death)> {
        let mut watched = self.watched.lock();
        let mut given_up = self.given_up.lock();
        let mut dead = Vec::new();
        for (id, watched) in watched.iter_mut() {
            if let Contact::Dead(death) = watched.contact {
                watched.contact = Contact::Ended(now + REST);
                watched.was_reached = false;
                given_up.insert(*id, watched.epoch);
                dead.push((*id, watched.epoch, death));
            }
        }
        dead
    }

    /// Whom to ask, and whether its connection has ended.
    fn due(&self, now: Monotonic) -> Vec<(BrokerId, BrokerEpoch, Destination, bool)> {
        let mut watched = self.watched.lock();
        let due = watched.iter_mut().filter(|(_, watched)| watched.contact.due().is_some_and(|at| at <= now));
        due.map(|(id, watched)| {
            let has_ended = matches!(watched.contact, Contact::Ended(_));
            watched.contact = Contact::Asked;
            (*id, watched.epoch, watched.address.clone(), has_ended)
        })
        .collect()
    }

    fn ask(self: &Arc<Self>, id: BrokerId, epoch: BrokerEpoch, address: Destination) {
        let this = Arc::downgrade(self);
        // Every broker answers the first version, whoever it is of.
        let versions = VersionRange { max: 0, ..ApiKey::ApiVersions.versions() };
        let done = move |answer: Result<ApiVersionsResponse, PeerFailure>| {
            if let Some(this) = this.upgrade() {
                this.answered(id, epoch, answer.err());
            }
        };
        self.options.peers.ask(address, ApiVersionsRequest::default(), versions, ANSWER_MAX, done);
    }

    fn answered(&self, id: BrokerId, epoch: BrokerEpoch, failure: Option<PeerFailure>) {
        let now = self.options.clock.monotonic();
        let mut watched = self.watched.lock();
        let mut given_up = self.given_up.lock();
        let Some(watched) = watched.get_mut(&id).filter(|watched| watched.epoch == epoch) else { return };
        let was_given_up = given_up.get(&id) == Some(&epoch);
        // A connection to its host is lost, in whichever lane: it was reached, and is not any more.
        let is_host_lost = self.options.peers.silent().is_lost(&watched.address.host);
        watched.was_reached |= is_host_lost;
        watched.is_suspect |= is_host_lost;
        watched.contact = match failure {
            None => {
                (watched.was_reached, watched.is_suspect) = (true, false);
                given_up.remove(&id);
                Contact::Stands(self.options.pulse.map(|pulse| now + pulse))
            }
            Some(PeerFailure::Ask(AskFailure::Refused)) if watched.was_reached || !was_given_up => {
                Contact::Dead(Death::Refused)
            }
            Some(PeerFailure::Ask(AskFailure::Silent)) if watched.was_reached && watched.is_suspect => {
                Contact::Dead(Death::Silent)
            }
            // Another connection tells the host's silence from that of a single connection.
            Some(PeerFailure::Ask(AskFailure::Lost | AskFailure::Silent)) if watched.was_reached => {
                watched.is_suspect = true;
                Contact::Ended(now)
            }
            Some(_) => Contact::Ended(now + REST),
        };
        (self.options.wake)();
    }

    /// A connection to another node has ended, whoever ended it.
    pub(crate) fn connection_ended(&self, address: &Destination) {
        let now = self.options.clock.monotonic();
        let mut is_watched = false;
        for watched in self.watched.lock().values_mut() {
            if watched.address == *address && matches!(watched.contact, Contact::Stands(_)) {
                watched.contact = Contact::Ended(now);
                is_watched = true;
            }
        }
        if is_watched {
            (self.options.wake)();
        }
    }
}
