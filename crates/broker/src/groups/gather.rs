use parking_lot::Mutex;

type Finish<T> = Box<dyn FnOnce(Vec<T>) + Send>;

/// Collects the answers of several coordinators, in the order in which they were asked, and hands them on when the last
/// one is there.
pub(crate) struct Gather<T> {
    state: Mutex<State<T>>,
}

struct State<T> {
    answers: Vec<Option<T>>,
    missing: usize,
    finish: Option<Finish<T>>,
}

impl<T: Send> Gather<T> {
    /// Waits for `count` answers, at least one.
    pub(crate) fn new(count: usize, finish: Finish<T>) -> Self {
        let answers = std::iter::repeat_with(|| None).take(count).collect();
        Self { state: Mutex::new(State { answers, missing: count, finish: Some(finish) }) }
    }

    /// Takes the answer of the `index`-th coordinator.
    pub(crate) fn put(&self, index: usize, answer: T) {
        let mut state = self.state.lock();
        let Some(place) = state.answers.get_mut(index) else { return };
        if place.replace(answer).is_none() {
            state.missing -= 1;
        }
        if state.missing > 0 {
            return;
        }
        let answers = std::mem::take(&mut state.answers);
        let finish = state.finish.take();
        drop(state);
        if let Some(finish) = finish {
            finish(answers.into_iter().flatten().collect());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn answers_come_in_the_order_of_the_questions() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let into = seen.clone();
        let gather = Gather::new(3, Box::new(move |answers| into.lock().extend(answers)));
        gather.put(2, 'c');
        gather.put(0, 'a');
        assert!(seen.lock().is_empty());
        gather.put(1, 'b');
        assert_eq!(*seen.lock(), ['a', 'b', 'c']);
    }
}
