use ottla_net::AskFailure;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The hosts of other nodes that said nothing when they were last asked for something. Bounded by the hosts that are asked.
/// Whether a connection to there was lost stands with each: there was one, then.
#[derive(Debug, Default)]
pub(crate) struct SilentHosts(Mutex<BTreeMap<Arc<str>, bool>>);

impl SilentHosts {
    /// Takes note of how a request to a host ended.
    pub(super) fn note(&self, host: &Arc<str>, failure: Option<&AskFailure>) {
        match failure {
            Some(failure @ (AskFailure::Lost | AskFailure::Silent)) => {
                *self.0.lock().entry(host.clone()).or_default() |= *failure == AskFailure::Lost;
            }
            // Somebody, or something, has answered.
            None | Some(AskFailure::Refused | AskFailure::Malformed(_) | AskFailure::Unsupported(_)) => {
                self.0.lock().remove(host);
            }
            Some(_) => {}
        }
    }

    pub(crate) fn contains(&self, host: &str) -> bool {
        self.0.lock().contains_key(host)
    }

    /// Whether a connection to there was lost, and nothing has come from there since.
    pub(crate) fn is_lost(&self, host: &str) -> bool {
        self.0.lock().get(host) == Some(&true)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_silent_until_anything_comes_from_it() {
        let (silent, host) = (SilentHosts::default(), Arc::from("a"));
        silent.note(&host, Some(&AskFailure::Lost));
        silent.note(&host, Some(&AskFailure::TimedOut));
        assert!(silent.contains("a") && silent.is_lost("a") && !silent.contains("b") && !silent.is_empty());
        silent.note(&host, Some(&AskFailure::Refused));
        assert!(silent.is_empty());
        silent.note(&host, Some(&AskFailure::Silent));
        assert!(silent.contains("a") && !silent.is_lost("a"));
        silent.note(&host, None);
        assert!(!silent.contains("a"));
    }
}
