//! Finds, among the subscribers of one topic, who should take the next partition and who should give one.

/// The subscribers in the order of how many partitions they have, with a range of the least loaded at its front and one
/// of the most loaded at its end. Both grow towards each other as partitions move: the first rises by one whenever each
/// of its members has taken a partition, the second falls by one whenever each has given one. The caller changes the
/// loads between the calls, exactly one partition for each member that it was given.
pub(super) struct Balancer {
    /// Numbers of members; never empty.
    sorted: Vec<usize>,
    least_end: usize,
    /// One below the least load at first.
    least_level: isize,
    next_least: usize,
    most_start: usize,
    most_end: usize,
    most_level: isize,
    /// One past the next member to give.
    next_most: usize,
}

impl Balancer {
    /// `subscribers` are numbers of members, indices of `loads`; there is at least one.
    pub(super) fn new(subscribers: &[usize], loads: &[usize]) -> Self {
        let mut sorted = subscribers.to_vec();
        sorted.sort_by_key(|member| (loads[*member], *member));
        let load = |member: Option<&usize>| member.map_or(0, |member| loads[*member] as isize);
        Self {
            least_end: 0,
            least_level: load(sorted.first()) - 1,
            next_least: 0,
            most_start: sorted.len(),
            most_end: sorted.len(),
            most_level: load(sorted.last()) + 1,
            next_most: sorted.len(),
            sorted,
        }
    }

    /// How many partitions the most loaded has more than the least loaded. Only before any moved.
    pub(super) fn imbalance(&self, loads: &[usize]) -> usize {
        let load = |member: Option<&usize>| member.map_or(0, |member| loads[*member]);
        load(self.sorted.last()) - load(self.sorted.first())
    }

    /// Whether no move would make it better.
    pub(super) fn is_balanced(&self) -> bool {
        self.most_level - self.least_level <= 1
    }

    /// Who takes the next partition.
    pub(super) fn next_least_loaded(&mut self, loads: &[usize]) -> usize {
        if self.next_least >= self.least_end {
            self.least_level += 1;
            while self.sorted.get(self.least_end).is_some_and(|member| loads[*member] as isize == self.least_level) {
                self.least_end += 1;
            }
            self.next_least = 0;
        }
        self.next_least += 1;
        self.sorted[self.next_least - 1]
    }

    /// Who gives the next partition; `None` when nobody is left.
    pub(super) fn next_most_loaded(&mut self, loads: &[usize]) -> Option<usize> {
        if self.next_most <= self.most_start {
            let before = |start: usize| start.checked_sub(1).map(|at| loads[self.sorted[at]] as isize);
            self.most_level = match before(self.most_start) {
                // All of the range were excluded: go on with whoever comes next.
                Some(level) if self.most_end <= self.most_start => level,
                _ => self.most_level - 1,
            };
            while before(self.most_start) == Some(self.most_level) {
                self.most_start -= 1;
            }
            self.next_most = self.most_end;
        }
        let at = self.next_most.checked_sub(1)?;
        self.next_most = at;
        self.sorted.get(at).copied()
    }

    /// The member that [`Self::next_most_loaded`] named last has nothing of this topic to give.
    pub(super) fn exclude_most_loaded(&mut self) {
        self.most_end -= 1;
        self.sorted.swap(self.next_most, self.most_end);
    }
}
