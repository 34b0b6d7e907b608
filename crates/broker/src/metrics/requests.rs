use core::cell::Cell;
use ottla_env::{Clock, Monotonic};
use ottla_metrics::declarations as metrics;
use ottla_metrics::{Counter, Exposition, Metric, Summary, SummaryReading};
use ottla_protocol::ApiKey;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Fetches are shown once more by who fetches, as Kafka shows them.
const FETCH_KINDS: [&str; 2] = ["FetchConsumer", "FetchFollower"];
/// Codes of APIs are below this; what is above is counted with the last one, so that nothing has to be checked.
const CODES: usize = 128;
/// Versions of APIs are below this.
const VERSIONS: usize = 32;

/// Microseconds are kept, Kafka shows milliseconds.
const MILLISECONDS: f64 = 1000.0;

thread_local! {
    /// When the request that this thread is handling began; 0 when it handles none. Beginnings are not unique, but two
    /// requests that a thread handles do not begin in the same nanosecond.
    static HANDLING: Cell<u64> = const { Cell::new(0) };
}

/// Requests by API: how many, how long, how large.
pub(crate) struct RequestMetrics {
    clock: Arc<dyn Clock>,
    by_code: [OnceLock<Box<ApiMetrics>>; CODES],
    fetches: [OnceLock<Box<ApiMetrics>>; FETCH_KINDS.len()],
}

#[derive(Default)]
struct ApiMetrics {
    versions: [Counter; VERSIONS],
    total_time: Summary,
    local_time: Summary,
    remote_time: Summary,
    bytes: Summary,
}

impl ApiMetrics {
    fn count(&self, version: i16) {
        if let Some(counter) = usize::try_from(version).ok().and_then(|version| self.versions.get(version)) {
            counter.increment();
        }
    }
}

/// When a request began, and what it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestStart {
    pub(crate) api_key: ApiKey,
    pub(crate) version: i16,
    pub(crate) is_follower: bool,
    pub(crate) at: Monotonic,
}

impl RequestMetrics {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, by_code: [const { OnceLock::new() }; CODES], fetches: [const { OnceLock::new() }; 2] }
    }

    /// A request has come.
    pub(crate) fn begin(&self, api_key: ApiKey, version: i16, bytes: usize) -> RequestStart {
        let start = RequestStart { api_key, version, is_follower: false, at: self.clock.monotonic() };
        HANDLING.set(start.at.0);
        let of = self.of(api_key);
        of.count(version);
        of.bytes.observe(bytes as u64);
        start
    }

    /// The request's handler has returned: the thread is free for others.
    pub(crate) fn handled(&self, start: RequestStart) {
        HANDLING.set(0);
        self.of(start.api_key).local_time.observe_duration(self.clock.monotonic().since(start.at));
    }

    /// The request's answer is given.
    pub(crate) fn answered(&self, start: RequestStart) {
        let took = self.clock.monotonic().since(start.at);
        // Answered by its own handler, it has not waited for anything.
        let waited = if HANDLING.get() == start.at.0 { Duration::ZERO } else { took };
        let kind = (start.api_key == ApiKey::Fetch).then(|| self.of_fetch(start.is_follower));
        if let Some(kind) = kind {
            // Who fetches is known when the request is decoded.
            kind.count(start.version);
        }
        for of in kind.into_iter().chain([self.of(start.api_key)]) {
            of.total_time.observe_duration(took);
            of.remote_time.observe_duration(waited);
        }
    }

    fn of(&self, api_key: ApiKey) -> &ApiMetrics {
        let index = usize::try_from(api_key.code()).unwrap_or(CODES).min(CODES - 1);
        self.by_code[index].get_or_init(Box::default)
    }

    fn of_fetch(&self, is_follower: bool) -> &ApiMetrics {
        self.fetches[usize::from(is_follower)].get_or_init(Box::default)
    }

    /// The APIs that were asked for, with their names.
    fn each(&self) -> impl Iterator<Item = (&'static str, &ApiMetrics)> {
        let by_code = ApiKey::ALL.iter().filter_map(|key| {
            let code = usize::try_from(key.code()).ok()?;
            Some((key.name(), self.by_code.get(code)?.get()?))
        });
        let fetches = FETCH_KINDS.into_iter().zip(&self.fetches);
        by_code.chain(fetches.filter_map(|(name, slot)| Some((name, slot.get()?)))).map(|(name, of)| (name, &**of))
    }

    pub(crate) fn show(&self, exposition: &mut Exposition) {
        let mut family = exposition.family(&metrics::REQUESTS);
        for (name, of) in self.each() {
            for (version, counter) in of.versions.iter().enumerate().filter(|(_, counter)| counter.value() > 0) {
                family.sample(&[name, &version.to_string()], counter.value() as f64);
            }
        }
        let now = Duration::from_nanos(self.clock.monotonic().0);
        self.show_summary(exposition, &metrics::REQUEST_TOTAL_TIME, MILLISECONDS, |of| of.total_time.read(now));
        self.show_summary(exposition, &metrics::REQUEST_LOCAL_TIME, MILLISECONDS, |of| of.local_time.read(now));
        self.show_summary(exposition, &metrics::REQUEST_REMOTE_TIME, MILLISECONDS, |of| of.remote_time.read(now));
        self.show_summary(exposition, &metrics::REQUEST_BYTES, 1.0, |of| of.bytes.read(now));
    }

    fn show_summary(
        &self,
        exposition: &mut Exposition,
        metric: &Metric,
        unit: f64,
        read: impl Fn(&ApiMetrics) -> SummaryReading,
    ) {
        let mut family = exposition.family(metric);
        for (name, of) in self.each() {
            let reading = read(of);
            // Of kinds of fetches not everything is kept.
            if reading.count > 0 {
                family.summary(&[name], &reading, unit);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_env_sim::SimClock;
    use ottla_types::Timestamp;

    #[test]
    fn what_waits_for_others_has_remote_time_and_what_does_not_has_none() {
        let requests = RequestMetrics::new(Arc::new(SimClock::new(Timestamp(0))));
        let parked = requests.begin(ApiKey::Fetch, 4, 100);
        requests.handled(parked);
        let produce = requests.begin(ApiKey::Produce, 9, 1000);
        requests.answered(parked);
        requests.answered(produce);
        requests.handled(produce);
        let mut exposition = Exposition::default();
        requests.show(&mut exposition);
        let text = exposition.finish();
        for line in [
            "kafka_network_requestmetrics_requests_total{request=\"Produce\",version=\"9\"} 1",
            "kafka_network_requestmetrics_requests_total{request=\"Fetch\",version=\"4\"} 1",
            "kafka_network_requestmetrics_totaltimems_count{request=\"FetchConsumer\"} 1",
            "kafka_network_requestmetrics_localtimems_count{request=\"Produce\"} 1",
            "kafka_network_requestmetrics_requestbytes_sum{request=\"Produce\"} 1000",
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line} in\n{text}");
        }
        assert!(!text.contains("FetchFollower"));
    }
}
