//! A partition that two log directories hold: the move between them was interrupted, or somebody has copied a directory.

use crate::names::FileKind;
use ottla_env::{Disk, DiskResult};
use std::collections::BTreeMap;
use std::path::Path;

/// Which of two copies is the other's continuation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Continuation {
    /// The first has all that the second has, or is the same.
    First,
    /// The second has all that the first has, and more.
    Second,
}

/// Compares the segments of two copies. `None` when neither has all of the other's, so that only a person can tell.
///
/// A move ends with the copy getting the partition's name before the original loses it. Nothing is appended to either until
/// both have happened, or to the original only, when the first has failed.
pub(crate) fn continuation(disk: &dyn Disk, first: &Path, second: &Path) -> DiskResult<Option<Continuation>> {
    let (first, second) = (segments(disk, first)?, segments(disk, second)?);
    Ok(if has_all_of(&first, &second) {
        Some(Continuation::First)
    } else {
        has_all_of(&second, &first).then_some(Continuation::Second)
    })
}

/// The lengths of the segments by their base offsets.
fn segments(disk: &dyn Disk, directory: &Path) -> DiskResult<BTreeMap<i64, u64>> {
    let mut lengths = BTreeMap::new();
    for (name, _) in disk.list(directory)? {
        if let Some((offset, FileKind::Log, suffix)) = FileKind::parse_name(&name)
            && suffix.is_empty()
        {
            lengths.insert(offset.0, disk.length(&directory.join(name))?);
        }
    }
    Ok(lengths)
}

/// Whether all segments of `other` are there, of the same lengths except that the last may be longer here.
fn has_all_of(this: &BTreeMap<i64, u64>, other: &BTreeMap<i64, u64>) -> bool {
    let first = |segments: &BTreeMap<i64, u64>| segments.keys().next().copied();
    let last = other.keys().next_back();
    first(this) == first(other)
        && other.iter().all(|(offset, length)| match this.get(offset) {
            Some(here) if Some(offset) == last => here >= length,
            here => here == Some(length),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(segments: &[(i64, u64)]) -> BTreeMap<i64, u64> {
        segments.iter().copied().collect()
    }

    #[test]
    fn a_copy_continues_another_when_only_its_end_is_further() {
        let copy = of(&[(0, 100), (10, 50)]);
        for (other, has_all) in [
            (of(&[(0, 100), (10, 50)]), true),
            (of(&[(0, 100), (10, 20)]), true),
            (of(&[(0, 100)]), true),
            (of(&[(0, 99), (10, 50)]), false),
            (of(&[(0, 100), (10, 51)]), false),
            (of(&[(10, 50)]), false),
            (of(&[(0, 100), (10, 50), (20, 0)]), false),
        ] {
            assert_eq!(has_all_of(&copy, &other), has_all, "{other:?}");
        }
    }
}
