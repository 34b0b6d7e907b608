use ottla_types::TopicPartition;
use std::collections::BTreeSet;

/// The moves of one broker: one at a time, in the order of names, so that each is done as soon as possible. Under a throttle,
/// copying all at once would end all of them late.
#[derive(Clone, Debug, Default)]
pub struct MoveQueue {
    waiting: BTreeSet<TopicPartition>,
    current: Option<TopicPartition>,
}

impl MoveQueue {
    /// A move begins.
    pub fn add(&mut self, partition: TopicPartition) {
        self.waiting.insert(partition);
    }

    /// A move has ended.
    pub fn remove(&mut self, partition: &TopicPartition) {
        self.waiting.remove(partition);
        if self.current.as_ref() == Some(partition) {
            self.current = None;
        }
    }

    /// Which move goes on now: the last one as long as it can, else the first that can.
    pub fn select(&mut self, can_go_on: impl Fn(&TopicPartition) -> bool) -> Option<&TopicPartition> {
        if !self.current.as_ref().is_some_and(&can_go_on) {
            self.current = self.waiting.iter().find(|partition| can_go_on(partition)).cloned();
        }
        self.current.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_move_goes_on_until_it_can_not() {
        let mut queue = MoveQueue::default();
        let [a, b, c] = [("a", 1), ("b", 0), ("b", 1)].map(|(topic, index)| TopicPartition::new(topic, index));
        for partition in [&c, &b] {
            queue.add(partition.clone());
        }
        assert_eq!(queue.select(|_| true), Some(&b));
        queue.add(a.clone());
        assert_eq!(queue.select(|_| true), Some(&b));
        assert_eq!(queue.select(|partition| *partition != b), Some(&a));
        queue.remove(&a);
        assert_eq!(queue.select(|partition| *partition != b), Some(&c));
        assert_eq!(queue.select(|_| false), None);
    }
}
