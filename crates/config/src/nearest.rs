/// The candidate that needs the fewest changed, added or dropped characters to become `name`, if these are few enough
/// that a slip of the fingers is likely.
pub(crate) fn nearest(name: &str, candidates: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    // A key longer than any real one costs time for nothing.
    if name.len() > 200 {
        return None;
    }
    let (distance, candidate) = candidates.map(|candidate| (edit_distance(name, candidate), candidate)).min()?;
    (distance <= 1 + name.len() / 5).then_some(candidate)
}

/// Levenshtein's distance in bytes, with one row of memory.
fn edit_distance(left: &str, right: &str) -> usize {
    let right = right.as_bytes();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.bytes().enumerate() {
        let mut diagonal = i;
        let mut before = i + 1;
        if let Some(first) = row.first_mut() {
            *first = before;
        }
        for (cell, r) in row.iter_mut().skip(1).zip(right) {
            let changed = diagonal + usize::from(l != *r);
            diagonal = *cell;
            before = changed.min(before + 1).min(diagonal + 1);
            *cell = before;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_fingers_is_recognised() {
        let keys = ["log.retention.hours", "log.retention.ms", "listeners", "log.dirs"];
        assert_eq!(nearest("log.retention.hour", keys.into_iter()), Some("log.retention.hours"));
        assert_eq!(nearest("listener", keys.into_iter()), Some("listeners"));
        assert_eq!(nearest("entirely.different", keys.into_iter()), None);
    }

    #[test]
    fn the_distance_counts_edits() {
        for (left, right, distance) in [("", "abc", 3), ("kitten", "sitting", 3), ("same", "same", 0), ("ab", "ba", 2)]
        {
            assert_eq!(edit_distance(left, right), distance, "{left} {right}");
        }
    }
}
