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
    /// It has given one, and the connection stands.
    Stands,
    /// It is asked again at this time.
    Ended(Monotonic),
    /// Nobody listens where it was.
    Dead,
}

struct Watched {
    epoch: BrokerEpoch,
    address: Destination,
    contact: Contact,
}

/// What the watch needs of its node.
pub(crate) struct WatchOptions {
    pub(crate) node_id: NodeId,
    /// The name of the listener on which brokers are reached.
    pub(crate) listener: String,
    pub(crate) peers: Peers,
    pub(crate) metadata: Arc<MetadataView>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) wake: Arc<dyn Fn() + Send + Sync>,
}

/// Keeps a connection to each broker that is not fenced, as long as this node's controller is active. One that ends is made anew;
/// where that is refused because nobody listens, the broker is dead. Whoever is slow, or cut off, is judged by its session. Bounded
/// by the brokers of the cluster.
pub(crate) struct BrokerWatch {
    options: WatchOptions,
    watched: Mutex<BTreeMap<BrokerId, Watched>>,
}

impl BrokerWatch {
    pub(crate) fn new(options: WatchOptions) -> Arc<Self> {
        Arc::new(Self { options, watched: Mutex::default() })
    }

    /// Does what is due, and says when to come again.
    pub(crate) fn tick(self: &Arc<Self>, quorum: &Arc<MetadataQuorum>) -> Option<Monotonic> {
        if !quorum.is_active() {
            self.watched.lock().clear();
            return None;
        }
        let now = self.options.clock.monotonic();
        self.look_at_metadata(now);
        for (id, epoch) in self.dead(now) {
            tracing::warn!(broker = %id, "nobody listens where this broker was: it is fenced");
            quorum.broker_is_dead(id, epoch);
        }
        for (id, epoch, address) in self.due(now) {
            quorum.connection_ended(id, epoch);
            self.ask(id, epoch, address);
        }
        let ends = self.watched.lock();
        ends.values().filter_map(|watched| if let Contact::Ended(at) = watched.contact { Some(at) } else { None }).min()
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
                watched.insert(*id, Watched { epoch, address, contact: Contact::Ended(now) });
            }
        }
    }

    /// Those that were found dead. They are asked again, in case that they are back before the metadata says that they are fenced.
    fn dead(&self, now: Monotonic) -> Vec<(BrokerId, BrokerEpoch)> {
        let mut watched = self.watched.lock();
        let dead = watched.iter_mut().filter(|(_, watched)| watched.contact == Contact::Dead);
        dead.map(|(id, watched)| {
            watched.contact = Contact::Ended(now + REST);
            (*id, watched.epoch)
        })
        .collect()
    }

    fn due(&self, now: Monotonic) -> Vec<(BrokerId, BrokerEpoch, Destination)> {
        let mut watched = self.watched.lock();
        let due = watched.iter_mut().filter(|(_, watched)| matches!(watched.contact, Contact::Ended(at) if at <= now));
        due.map(|(id, watched)| {
            watched.contact = Contact::Asked;
            (*id, watched.epoch, watched.address.clone())
        })
        .collect()
    }

    fn ask(self: &Arc<Self>, id: BrokerId, epoch: BrokerEpoch, address: Destination) {
        let this = Arc::downgrade(self);
        // Every broker answers the first version, whoever it is of.
        let versions = VersionRange { max: 0, ..ApiKey::ApiVersions.versions() };
        let done = move |answer: Result<ApiVersionsResponse, PeerFailure>| {
            let Some(this) = this.upgrade() else { return };
            let contact = match answer {
                Ok(_) => Contact::Stands,
                Err(PeerFailure::Ask(AskFailure::Refused)) => Contact::Dead,
                Err(_) => Contact::Ended(this.options.clock.monotonic() + REST),
            };
            this.note(id, epoch, contact);
        };
        self.options.peers.ask(address, ApiVersionsRequest::default(), versions, ANSWER_MAX, done);
    }

    fn note(&self, id: BrokerId, epoch: BrokerEpoch, contact: Contact) {
        if let Some(watched) = self.watched.lock().get_mut(&id).filter(|watched| watched.epoch == epoch) {
            watched.contact = contact;
        }
        if contact != Contact::Stands {
            (self.options.wake)();
        }
    }

    /// A connection to another node has ended, whoever ended it.
    pub(crate) fn connection_ended(&self, address: &Destination) {
        let now = self.options.clock.monotonic();
        let mut is_watched = false;
        for watched in self.watched.lock().values_mut() {
            if watched.address == *address && watched.contact == Contact::Stands {
                watched.contact = Contact::Ended(now);
                is_watched = true;
            }
        }
        if is_watched {
            (self.options.wake)();
        }
    }
}
