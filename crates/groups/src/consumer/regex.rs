//! Subscriptions by regular expression (RE2 syntax, in linear time).

use super::draft::Draft;
use super::record::ConsumerRecordKind;
use super::{ConsumerMember, Refusal, ResolvedRegex};
use crate::view::ClusterView;
use ::regex::{Regex, RegexBuilder};
use ottla_protocol::ErrorCode;
use ottla_types::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The largest expression, compiled.
const COMPILED_BYTES_MAX: usize = 1 << 20;
/// Topics are looked through at most so often.
const REFRESH_MS: i64 = 10_000;

/// Of a member that says what it wants anew.
pub(crate) struct RegexChange<'a> {
    pub(crate) before: &'a ConsumerMember,
    pub(crate) after: &'a ConsumerMember,
    pub(crate) now: Timestamp,
    pub(crate) view: &'a dyn ClusterView,
}

impl RegexChange<'_> {
    /// Forgets expressions that nobody has any more, and looks for the topics of those that are new, or when there may be new
    /// topics. Says whether this changes what somebody wants. The member's own change is in the draft already.
    pub(crate) fn apply(&self, draft: &mut Draft<'_>) -> Result<bool, Refusal> {
        let changed = self.before.regex() != self.after.regex();
        if changed {
            if let Some(regex) = self.after.regex() {
                compile(regex)?;
            }
            if let Some(regex) = self.before.regex().filter(|regex| draft.group.subscribers_of(regex) == 0) {
                draft.write(ConsumerRecordKind::Regex { regex: regex.to_owned(), value: None });
            }
        }
        let wanted: BTreeSet<String> =
            draft.group.members().filter_map(|(_, member)| member.regex().map(str::to_owned)).collect();
        if wanted.is_empty() {
            return Ok(changed);
        }
        let version = self.view.version();
        let resolved = draft.group.resolved_regexes().map(|(_, resolved)| (resolved.version, resolved.timestamp));
        let seen = draft.group.regexes_seen.or(resolved.max());
        let is_due = seen.is_none_or(|(seen, at)| seen != version && self.now.0 > at + REFRESH_MS);
        let mut topics_changed = changed;
        for regex in wanted {
            let known = draft.group.resolved(&regex);
            if known.is_some() && !is_due {
                continue;
            }
            let topics = self.topics_of(&regex);
            if known.is_none_or(|known| known.topics != topics) {
                topics_changed |=
                    known.is_none_or(|known| known.topics != topics) && !topics.is_empty() || known.is_some();
                let value = Some(ResolvedRegex { topics, version, timestamp: self.now.0 });
                draft.write(ConsumerRecordKind::Regex { regex, value });
            }
        }
        if is_due {
            draft.group.to_mut().regexes_seen = Some((version, self.now.0));
        }
        Ok(topics_changed)
    }

    fn topics_of(&self, regex: &str) -> BTreeSet<Arc<str>> {
        // One that was written by another release and is not understood here stands for nothing.
        let Ok(compiled) = compile(regex) else { return BTreeSet::new() };
        self.view.topic_names().into_iter().filter(|name| compiled.is_match(name)).collect()
    }
}

/// The whole name must match.
fn compile(regex: &str) -> Result<Regex, Refusal> {
    // By itself first: parentheses that do not fit must not fit with ours.
    let alone = RegexBuilder::new(regex).size_limit(COMPILED_BYTES_MAX).build();
    let whole = alone.and_then(|_| RegexBuilder::new(&format!("^(?:{regex})$")).size_limit(COMPILED_BYTES_MAX).build());
    whole.map_err(|error| {
        let message = format!("SubscribedTopicRegex `{regex}` is not a valid regular expression: {error}.");
        Refusal::new(ErrorCode::InvalidRegularExpression, message)
    })
}
