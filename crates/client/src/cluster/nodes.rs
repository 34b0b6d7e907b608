use super::metadata::NodeEndpoint;
use crate::backoff::Backoff;
use crate::error::{ClientError, Result};
use crate::metrics::NetworkCounters;
use crate::network::Connection;
use crate::random;
use crate::settings::{ClientSettings, invalid};
use ottla_protocol::messages::ApiVersionsResponse;
use ottla_protocol::messages::api_versions_response::FinalizedFeatureKey;
use ottla_types::NodeId;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::OnceCell;

/// The nodes that are known and the connections to them, one for each.
pub(crate) struct Nodes {
    settings: ClientSettings,
    table: Mutex<Table>,
    counters: Arc<NetworkCounters>,
}

#[derive(Default)]
struct Table {
    bootstrap: Vec<Entry>,
    /// Empty until the first metadata comes.
    known: BTreeMap<NodeId, Entry>,
    /// The finalized features as of the latest epoch that a node told (KIP-584).
    features: Features,
    closed: bool,
}

#[derive(Default)]
struct Features {
    epoch: i64,
    levels: BTreeMap<String, i16>,
}

struct Entry {
    address: String,
    slot: Arc<Slot>,
    /// How long to leave the node alone after connections that failed.
    backoff: Backoff,
    quiet_until: Option<Instant>,
}

/// The place of one connection: whoever comes first makes it, others wait for the same try.
#[derive(Default)]
struct Slot {
    cell: OnceCell<Arc<Connection>>,
}

/// Where a connection belongs in the table.
#[derive(Clone, Copy)]
enum Place {
    Bootstrap(usize),
    Known(NodeId),
}

impl Table {
    fn entry(&mut self, place: Place) -> Option<&mut Entry> {
        match place {
            Place::Bootstrap(index) => self.bootstrap.get_mut(index),
            Place::Known(node) => self.known.get_mut(&node),
        }
    }
}

impl Entry {
    fn new(address: String, settings: &ClientSettings) -> Self {
        let backoff = Backoff::new(settings.reconnect_backoff, settings.reconnect_backoff_max);
        Self { address, slot: Arc::default(), backoff, quiet_until: None }
    }

    /// The slot to use: a new one when the connection in the old one has ended.
    fn slot(&mut self) -> Arc<Slot> {
        if self.slot.cell.get().is_some_and(|connection| connection.is_closed()) {
            self.slot = Arc::default();
        }
        self.slot.clone()
    }

    fn is_connected(&self) -> bool {
        self.slot.cell.get().is_some_and(|connection| !connection.is_closed())
    }

    fn is_quiet(&self, now: Instant) -> bool {
        self.quiet_until.is_some_and(|until| until > now)
    }
}

impl Nodes {
    pub(crate) fn new(settings: ClientSettings) -> Result<Self> {
        let entry = |address: &String| {
            let port = address.rsplit_once(':').and_then(|(host, port)| {
                let valid = !host.is_empty();
                port.parse::<u16>().ok().filter(|_| valid)
            });
            match port {
                Some(_) => Ok(Entry::new(address.clone(), &settings)),
                None => Err(invalid("bootstrap.servers", address, "host:port, separated by commas")),
            }
        };
        let bootstrap = settings.bootstrap_servers.iter().map(entry).collect::<Result<Vec<_>>>()?;
        if bootstrap.is_empty() {
            return Err(invalid("bootstrap.servers", "", "at least one host:port"));
        }
        let table = Table { bootstrap, ..Table::default() };
        Ok(Self { settings, table: Mutex::new(table), counters: Arc::default() })
    }

    /// Replaces the known nodes. A node whose address did not change keeps its connection.
    pub(crate) fn learn(&self, nodes: impl Iterator<Item = (NodeId, NodeEndpoint)>) {
        let mut table = self.table.lock();
        let mut before = std::mem::take(&mut table.known);
        for (node, endpoint) in nodes {
            let address = address(&endpoint);
            let entry = before.remove(&node).filter(|entry| entry.address == address);
            table.known.insert(node, entry.unwrap_or_else(|| Entry::new(address, &self.settings)));
        }
    }

    /// Adds or moves one node.
    pub(crate) fn learn_one(&self, node: NodeId, endpoint: NodeEndpoint) {
        let address = address(&endpoint);
        let mut table = self.table.lock();
        if table.known.get(&node).is_none_or(|entry| entry.address != address) {
            table.known.insert(node, Entry::new(address, &self.settings));
        }
    }

    /// The connection to a known node.
    pub(crate) async fn connection(&self, node: NodeId) -> Result<Arc<Connection>> {
        self.connect(Place::Known(node)).await
    }

    /// A connection to some node: one that exists before a new one, a node that did not just fail before one that did,
    /// and the bootstrap servers when no node is known or none answers.
    pub(crate) async fn any(&self) -> Result<Arc<Connection>> {
        let mut last = None;
        for place in self.candidates() {
            match self.connect(place).await {
                Ok(connection) => return Ok(connection),
                Err(ClientError::Closed) => return Err(ClientError::Closed),
                Err(error) => last = Some(error),
            }
        }
        let reason = last.map_or_else(|| "none is known".to_owned(), |error| error.to_string());
        Err(ClientError::Bootstrap { reason })
    }

    fn candidates(&self) -> Vec<Place> {
        let now = Instant::now();
        let table = self.table.lock();
        let bootstrap = table.bootstrap.iter().enumerate().map(|(index, entry)| (Place::Bootstrap(index), entry));
        let known = table.known.iter().map(|(node, entry)| (Place::Known(*node), entry));
        let ranked = |(place, entry): (Place, &Entry), fallback: bool| {
            let rank = if entry.is_connected() { 0 } else { 1 + u8::from(entry.is_quiet(now)) };
            (fallback, rank, random::number(), place)
        };
        // While no node is known, the bootstrap servers are all there is.
        let mut all: Vec<_> = known.map(|entry| ranked(entry, false)).collect();
        all.extend(bootstrap.map(|entry| ranked(entry, true)));
        all.sort_by_key(|(fallback, rank, random, _)| (*fallback, *rank, *random));
        all.into_iter().map(|(.., place)| place).collect()
    }

    async fn connect(&self, place: Place) -> Result<Arc<Connection>> {
        let (address, slot, quiet_until) = {
            let mut table = self.table.lock();
            if table.closed {
                return Err(ClientError::Closed);
            }
            let Some(entry) = table.entry(place) else {
                let Place::Known(node) = place else { return Err(ClientError::Closed) };
                return Err(ClientError::UnknownNode { node });
            };
            (entry.address.clone(), entry.slot(), entry.quiet_until)
        };
        if let Some(connection) = slot.cell.get() {
            return Ok(connection.clone());
        }
        let opened = slot.cell.get_or_try_init(|| async {
            if let Some(until) = quiet_until {
                tokio::time::sleep_until(until.into()).await;
            }
            Connection::open(&address, &self.settings, &self.counters).await
        });
        let opened = opened.await.cloned();
        self.note(place, opened.is_ok());
        if let Ok(connection) = &opened {
            self.learn_features(connection.versions().response());
        }
        opened
    }

    fn learn_features(&self, told: &ApiVersionsResponse) {
        let mut table = self.table.lock();
        if told.finalized_features_epoch >= table.features.epoch {
            let level = |feature: &FinalizedFeatureKey| (feature.name.clone(), feature.max_version_level);
            table.features.epoch = told.finalized_features_epoch;
            table.features.levels = told.finalized_features.iter().map(level).collect();
        }
    }

    /// What is counted of all connections.
    pub(crate) fn counters(&self) -> &NetworkCounters {
        &self.counters
    }

    /// The finalized level of a feature, where some node told one.
    pub(crate) fn finalized_level(&self, feature: &str) -> Option<i16> {
        self.table.lock().features.levels.get(feature).copied()
    }

    /// Keeps count of failures, so that a node that is down is not asked without pause.
    fn note(&self, place: Place, connected: bool) {
        let mut table = self.table.lock();
        let Some(entry) = table.entry(place) else { return };
        if connected {
            entry.quiet_until = None;
            entry.backoff = Backoff::new(self.settings.reconnect_backoff, self.settings.reconnect_backoff_max);
        } else {
            entry.quiet_until = Some(Instant::now() + entry.backoff.pause());
        }
    }

    pub(crate) fn close(&self) {
        let mut table = self.table.lock();
        table.closed = true;
        let entries = std::mem::take(&mut table.known).into_values();
        for entry in entries.chain(std::mem::take(&mut table.bootstrap)) {
            if let Some(connection) = entry.slot.cell.get() {
                connection.close();
            }
        }
    }
}

fn address(endpoint: &NodeEndpoint) -> String {
    if endpoint.host.contains(':') {
        format!("[{}]:{}", endpoint.host, endpoint.port)
    } else {
        format!("{}:{}", endpoint.host, endpoint.port)
    }
}
