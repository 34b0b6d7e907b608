use super::scan::{Scan, Stored};
use super::violation::{Kind, Violations};

/// An answer of ListOffsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The first record at or after a time, with its own time.
    Time {
        /// The time asked for.
        asked: i64,
        /// Offset and time of the record; `None`: there is none.
        found: Option<(i64, i64)>,
    },
    /// A record with the greatest time of all.
    Greatest {
        /// Offset and time of the record; `None`: there is none.
        found: Option<(i64, i64)>,
    },
    /// The log's start.
    Earliest(i64),
    /// The log's end.
    Latest(i64),
}

/// Each answer is what a look at all records, none of which came or went meanwhile, gives.
pub fn check_lookups(scan: &Scan, lookups: &[Lookup], found: &mut Violations) {
    let place = |record: &Stored| (record.offset, record.timestamp);
    for lookup in lookups {
        let (is_right, expected) = match *lookup {
            Lookup::Time { asked, found } => {
                let expected = scan.records().find(|record| record.timestamp >= asked).map(place);
                (found == expected, format!("{expected:?}"))
            }
            Lookup::Greatest { found } => {
                let greatest = scan.records().map(|record| record.timestamp).max();
                let is_there = |at: (i64, i64)| scan.records().any(|record| place(record) == at);
                (found.map(|(_, time)| time) == greatest && found.is_none_or(is_there), format!("{greatest:?}"))
            }
            Lookup::Earliest(offset) => (offset == scan.start, scan.start.to_string()),
            Lookup::Latest(offset) => (offset == scan.end, scan.end.to_string()),
        };
        if !is_right {
            found.add(Kind::WrongLookup, format!("{}: {lookup:?}, and by its records {expected}", scan.log));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::scan::examples::{batch, scan};
    use super::*;

    /// Records at the offsets 5 to 7 with the times 10, 30, 20.
    fn is_right(lookup: Lookup) -> bool {
        let mut batches = vec![batch(5, 0), batch(6, 1), batch(7, 2)];
        batches.iter_mut().zip([10, 30, 20]).for_each(|(batch, time)| batch.records[0].timestamp = time);
        let mut found = Violations::default();
        check_lookups(&scan(batches), &[lookup], &mut found);
        found.is_empty()
    }

    #[test]
    fn a_lookup_by_time_finds_the_first_record_that_is_not_older() {
        let time = |asked, found| is_right(Lookup::Time { asked, found });
        assert!(time(10, Some((5, 10))) && time(11, Some((6, 30))) && time(20, Some((6, 30))) && time(31, None));
        assert!(!time(11, Some((7, 20))) && !time(11, Some((6, 29))) && !time(11, None) && !time(31, Some((7, 20))));
    }

    #[test]
    fn the_greatest_time_is_that_of_a_record_which_has_it() {
        assert!(is_right(Lookup::Greatest { found: Some((6, 30)) }));
        for wrong in [Some((7, 30)), Some((7, 20)), None] {
            assert!(!is_right(Lookup::Greatest { found: wrong }), "{wrong:?}");
        }
    }

    #[test]
    fn the_ends_are_those_of_the_log() {
        assert!(is_right(Lookup::Earliest(5)) && is_right(Lookup::Latest(8)));
        assert!(!is_right(Lookup::Earliest(4)) && !is_right(Lookup::Latest(7)));
    }
}
