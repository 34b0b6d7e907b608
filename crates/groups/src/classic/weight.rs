use super::Protocol;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

/// What a member takes beside what it says of itself.
const MEMBER_BYTES: usize = 512;

/// The memory that members of classic groups may take with what they say when they join, over all groups of a node: it is in
/// no record before their group is complete, so that nothing else bounds it.
#[derive(Debug)]
pub struct MemberMemory {
    max: usize,
    used: AtomicUsize,
}

impl MemberMemory {
    /// Room for so many bytes.
    pub fn new(max: usize) -> Self {
        Self { max, used: AtomicUsize::new(0) }
    }

    /// How many bytes are taken.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether there is room for `bytes` in the place of `before`. Shards that ask at the same time may both be let in: the
    /// limit is passed by one member of each at the most.
    fn has_room(&self, before: usize, bytes: usize) -> bool {
        bytes <= before || self.used().saturating_add(bytes - before) <= self.max
    }
}

impl Default for MemberMemory {
    fn default() -> Self {
        Self::new(usize::MAX)
    }
}

impl PartialEq for MemberMemory {
    fn eq(&self, other: &Self) -> bool {
        self.max == other.max
    }
}

impl Eq for MemberMemory {}

/// What one member has taken of the memory; given back when it is dropped. Members that come from records have taken nothing:
/// their records have bounds of their own.
#[derive(Debug, Default)]
pub(crate) struct Weight(Option<(usize, Arc<MemberMemory>)>);

impl Weight {
    /// How many bytes a member with these protocols takes.
    pub(super) fn of(protocols: &[Protocol]) -> usize {
        let bytes = protocols.iter().map(|protocol| protocol.name.len() + protocol.metadata.len());
        bytes.fold(MEMBER_BYTES, usize::saturating_add)
    }

    /// Takes `bytes` in the place of what was taken before, if there is room.
    pub(super) fn fits(&self, bytes: usize, memory: &MemberMemory) -> bool {
        memory.has_room(self.bytes(), bytes)
    }

    /// Takes the bytes.
    pub(super) fn take(bytes: usize, memory: &Arc<MemberMemory>) -> Self {
        memory.used.fetch_add(bytes, Ordering::Relaxed);
        Self(Some((bytes, memory.clone())))
    }

    fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |(bytes, _)| *bytes)
    }
}

impl Clone for Weight {
    fn clone(&self) -> Self {
        self.0.as_ref().map_or_else(Self::default, |(bytes, memory)| Self::take(*bytes, memory))
    }
}

impl Drop for Weight {
    fn drop(&mut self) {
        if let Some((bytes, memory)) = self.0.take() {
            memory.used.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

/// How a member is counted makes it no other member.
impl PartialEq for Weight {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Weight {}
