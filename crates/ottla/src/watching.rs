//! The pages that watch a node: its metrics, and whether it can do what it should.

use crate::arguments::KAFKA_VERSION;
use ottla_broker::Node;
use ottla_config::NodeConfig;
use ottla_env::{Clock, Monotonic};
use ottla_env_os::ProcessReading;
use ottla_metrics::declarations as metrics;
use ottla_metrics::{Exposition, Metric};
use ottla_net::{Page, Pages, ServerReader, ServerReading};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// Everything that is shown.
pub(crate) struct Watching {
    node: Arc<Node>,
    servers: Vec<ServerReader>,
    clock: Arc<dyn Clock>,
    /// When the process started, in milliseconds since 1970.
    started: i64,
    node_id: String,
    /// The last scrape, and how long all threads of connections had been idle until then.
    before: Mutex<(Monotonic, Duration)>,
}

impl Watching {
    pub(crate) fn new(node: Arc<Node>, config: &NodeConfig, servers: Vec<ServerReader>, clock: Arc<dyn Clock>) -> Self {
        let (started, before) = (clock.wall().value(), Mutex::new((clock.monotonic(), Duration::ZERO)));
        Self { node, servers, clock, started, node_id: config.node_id.to_string(), before }
    }

    fn metrics(&self) -> String {
        let mut exposition = Exposition::default();
        let version = env!("CARGO_PKG_VERSION");
        exposition.family(&metrics::INFO).sample(&[version, KAFKA_VERSION, self.node.cluster_id(), &self.node_id], 1.0);
        self.node.show_metrics(&mut exposition);
        self.connections(&mut exposition);
        process(&mut exposition, self.started);
        exposition.finish()
    }

    fn connections(&self, exposition: &mut Exposition) {
        let now = self.clock.monotonic();
        let readings: Vec<ServerReading> = self.servers.iter().map(|server| server.read(now)).collect();
        let listeners = || readings.iter().flat_map(|reading| &reading.listeners);
        let mut family = exposition.family(&metrics::CONNECTION_COUNT);
        listeners().for_each(|one| family.sample(&[&one.name], one.opened.saturating_sub(one.closed) as f64));
        let mut family = exposition.family(&metrics::CONNECTION_CREATION);
        listeners().for_each(|one| family.sample(&[&one.name], one.opened as f64));
        let mut family = exposition.family(&metrics::CONNECTION_CLOSE);
        listeners().for_each(|one| family.sample(&[&one.name], one.closed as f64));
        let used: usize = readings.iter().map(|reading| reading.request_bytes_used).sum();
        let max: usize = readings.iter().map(|reading| reading.request_bytes_max).sum();
        exposition.single(&metrics::REQUEST_MEMORY_USED, used as f64);
        exposition.single(&metrics::REQUEST_MEMORY_AVAILABLE, max.saturating_sub(used) as f64);
        let idle = self.idle(now, &readings);
        exposition.single(&metrics::NETWORK_IDLE, idle);
        exposition.single(&metrics::HANDLER_IDLE, idle);
    }

    /// The part of their time that the threads of connections had nothing to do since the scrape before.
    fn idle(&self, now: Monotonic, readings: &[ServerReading]) -> f64 {
        let loops: usize = readings.iter().map(|reading| reading.loops).sum();
        let idle: Duration = readings.iter().map(|reading| reading.idle).sum();
        let mut before = self.before.lock();
        let (since, idle_then) = *before;
        *before = (now, idle);
        let all = now.since(since).as_secs_f64() * loops as f64;
        if all > 0.0 { (idle.saturating_sub(idle_then).as_secs_f64() / all).min(1.0) } else { 1.0 }
    }

    fn health(&self) -> Page {
        let problems = self.node.problems();
        let body = if problems.is_empty() { "well\n".to_owned() } else { problems.join("\n") + "\n" };
        Page { is_well: problems.is_empty(), content_type: "text/plain; charset=utf-8", body }
    }
}

impl Pages for Watching {
    fn page(&self, path: &str) -> Option<Page> {
        match path {
            "/metrics" => {
                let content_type = Exposition::CONTENT_TYPE;
                Some(Page { is_well: true, content_type, body: self.metrics() })
            }
            "/healthz" => Some(self.health()),
            _ => None,
        }
    }
}

/// What the operating system knows of the process; what it does not tell is left out.
fn process(exposition: &mut Exposition, started: i64) {
    let reading = ProcessReading::now();
    let number = |value: Option<u64>| value.map(|value| value as f64);
    let known: [(Metric, Option<f64>); 7] = [
        (metrics::PROCESS_CPU, reading.processor_time.map(|time| time.as_secs_f64())),
        (metrics::PROCESS_MEMORY, number(reading.resident_bytes)),
        (metrics::PROCESS_FILES, number(reading.open_files)),
        (metrics::PROCESS_FILES_MAX, number(reading.open_files_max)),
        (metrics::PROCESS_START, Some(started as f64 / 1000.0)),
        (metrics::DISK_READ, number(reading.disk_read_bytes)),
        (metrics::DISK_WRITTEN, number(reading.disk_written_bytes)),
    ];
    for (metric, value) in known {
        if let Some(value) = value {
            exposition.single(&metric, value);
        }
    }
}
