use super::scan::LogName;
use super::violation::{Kind, Violations};
use ottla_types::TopicId;
use std::collections::BTreeMap;

/// What ListOffsets says of a log's beginning and ends, asked for in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// The log's start.
    pub start: i64,
    /// The last stable offset.
    pub last_stable: i64,
    /// The high watermark.
    pub high_watermark: i64,
}

/// The marks of each log as one observer saw them, one after the other.
#[derive(Clone, Debug, Default)]
pub struct MarksSeen {
    last: BTreeMap<LogName, Marks>,
}

impl MarksSeen {
    /// Notes what was seen after everything that was noted before. `known_end` is the offset behind the last record that
    /// was known to be there before the marks were asked for.
    pub fn see(&mut self, log: &LogName, marks: Marks, known_end: i64, found: &mut Violations) {
        let Marks { start, last_stable, high_watermark } = marks;
        // A later mark is asked for later, when more may be there, never less.
        if !(0 <= start && start <= high_watermark && last_stable <= high_watermark) {
            found.add(Kind::MarksOutOfOrder, format!("{log}: {marks:?}"));
        }
        if high_watermark < known_end {
            let what = format!("{log}: {marks:?}, though {} was acknowledged or read", known_end - 1);
            found.add(Kind::MarksOutOfOrder, what);
        }
        let before =
            self.last.insert(log.clone(), marks).unwrap_or(Marks { start: 0, last_stable: 0, high_watermark: 0 });
        if before.start > start || before.last_stable > last_stable || before.high_watermark > high_watermark {
            found.add(Kind::MarkWentBack, format!("{log}: {before:?}, then {marks:?}"));
        }
    }

    /// Nobody has a transaction open: nothing may hold up readers of committed records.
    pub fn see_quiet(&mut self, log: &LogName, marks: Marks, found: &mut Violations) {
        if marks.last_stable < marks.high_watermark {
            found.add(Kind::HangingTransaction, format!("{log}: {marks:?}"));
        }
    }

    /// The topic is no more.
    pub fn forget(&mut self, topic: TopicId) {
        self.last.retain(|log, _| log.id != topic);
    }
}

#[cfg(test)]
mod tests {
    use super::super::scan::examples::log;
    use super::*;

    fn marks(start: i64, last_stable: i64, high_watermark: i64) -> Marks {
        Marks { start, last_stable, high_watermark }
    }

    fn seen(all: &[Marks], known_end: i64) -> Vec<Kind> {
        let (mut seen, mut found) = (MarksSeen::default(), Violations::default());
        all.iter().for_each(|marks| seen.see(&log(), *marks, known_end, &mut found));
        found.kinds()
    }

    #[test]
    fn marks_that_grow_are_believed() {
        assert_eq!(seen(&[marks(0, 3, 5), marks(2, 3, 5), marks(2, 9, 9)], 5), []);
    }

    #[test]
    fn each_mark_that_goes_back_is_found() {
        for back in [marks(0, 3, 5), marks(1, 2, 5), marks(1, 3, 4)] {
            assert_eq!(seen(&[marks(1, 3, 5), back], 0), [Kind::MarkWentBack], "{back:?}");
        }
    }

    #[test]
    fn marks_in_the_wrong_order_are_found() {
        for wrong in [marks(6, 7, 5), marks(0, 6, 5), marks(-1, 0, 0)] {
            assert!(seen(&[wrong], 0).contains(&Kind::MarksOutOfOrder), "{wrong:?}");
        }
        assert_eq!(seen(&[marks(0, 5, 5)], 6), [Kind::MarksOutOfOrder]);
    }

    #[test]
    fn a_hanging_transaction_is_found() {
        let (mut seen, mut found) = (MarksSeen::default(), Violations::default());
        seen.see_quiet(&log(), marks(0, 5, 5), &mut found);
        assert!(found.is_empty());
        seen.see_quiet(&log(), marks(0, 4, 5), &mut found);
        assert_eq!(found.kinds(), [Kind::HangingTransaction]);
    }
}
