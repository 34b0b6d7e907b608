use std::collections::VecDeque;

use crate::Answer;

/// A request that was given to the service.
struct Request {
    answer: Option<Answer>,
    /// What it takes of the request budget until it is answered.
    charge: usize,
}

/// What became of giving an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Given {
    /// Bytes of the request budget that came free.
    pub(crate) released: usize,
    /// Whether the caller must see to it that the ready answers are taken.
    pub(crate) must_schedule: bool,
}

/// The requests of one connection between `Service::call` and the moment their answers leave, in the order of arrival.
/// Answers come in any order and are taken in that of the requests.
#[derive(Default)]
pub(crate) struct Pending {
    requests: VecDeque<Request>,
    /// The number of the first request in the queue.
    first: u64,
    unanswered: usize,
    /// The bytes of the answers in the queue.
    answered_bytes: u64,
    /// Those of them that are in memory.
    answered_in_memory: usize,
    /// Somebody is about to take the ready answers: whoever gives another one need not tell anybody.
    scheduled: bool,
    /// No answer is of interest any more.
    closed: bool,
}

impl Pending {
    /// Adds a request and returns its number.
    pub(crate) fn push(&mut self, charge: usize) -> u64 {
        self.requests.push_back(Request { answer: None, charge });
        self.unanswered += 1;
        self.first + (self.requests.len() as u64 - 1)
    }

    /// How many requests wait for an answer.
    pub(crate) fn unanswered(&self) -> usize {
        self.unanswered
    }

    /// How many requests are in the queue, with those whose answer waits for an earlier one.
    pub(crate) fn len(&self) -> usize {
        self.requests.len()
    }

    /// The bytes of the answers in the queue, those in files included.
    pub(crate) fn answered_bytes(&self) -> u64 {
        self.answered_bytes
    }

    /// The bytes in memory of the answers in the queue.
    pub(crate) fn answered_in_memory(&self) -> usize {
        self.answered_in_memory
    }

    /// Marks that the caller is about to take the ready answers.
    pub(crate) fn schedule(&mut self) {
        self.scheduled = true;
    }

    /// Stores the answer to a request.
    pub(crate) fn give(&mut self, sequence: u64, answer: Answer) -> Given {
        let nothing = Given { released: 0, must_schedule: false };
        // A closed connection has forgotten its requests and given back what they took.
        let Some(index) = sequence.checked_sub(self.first).filter(|_| !self.closed) else { return nothing };
        let Some(request) = usize::try_from(index).ok().and_then(|index| self.requests.get_mut(index)) else {
            return nothing;
        };
        debug_assert!(request.answer.is_none(), "a responder answers once");
        self.answered_bytes += response_bytes(&answer);
        self.answered_in_memory += bytes_in_memory(&answer);
        request.answer = Some(answer);
        let released = core::mem::take(&mut request.charge);
        self.unanswered -= 1;
        let must_schedule = index == 0 && !self.scheduled;
        self.scheduled |= must_schedule;
        Given { released, must_schedule }
    }

    /// Takes the next answer in the order of requests, if it has been given. When there is none, later ones must be
    /// scheduled again.
    pub(crate) fn take(&mut self) -> Option<Answer> {
        if !self.has_ready() {
            self.scheduled = false;
            return None;
        }
        self.first += 1;
        let answer = self.requests.pop_front().and_then(|request| request.answer)?;
        self.answered_bytes -= response_bytes(&answer);
        self.answered_in_memory -= bytes_in_memory(&answer);
        Some(answer)
    }

    /// Whether `take` would give something.
    pub(crate) fn has_ready(&self) -> bool {
        self.requests.front().is_some_and(|request| request.answer.is_some())
    }

    /// Forgets all requests; answers given from now on are dropped. Returns what the requests took of the budget.
    pub(crate) fn close(&mut self) -> usize {
        self.closed = true;
        self.unanswered = 0;
        self.answered_bytes = 0;
        self.answered_in_memory = 0;
        let charges = self.requests.drain(..).map(|request| request.charge);
        charges.sum()
    }
}

fn response_bytes(answer: &Answer) -> u64 {
    match answer {
        Answer::Response(response) => response.length(),
        Answer::NoResponse | Answer::Close(_) | Answer::Dropped(_) => 0,
    }
}

fn bytes_in_memory(answer: &Answer) -> usize {
    match answer {
        Answer::Response(response) => response.bytes_in_memory(),
        Answer::NoResponse | Answer::Close(_) | Answer::Dropped(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Response;
    use bytes::Bytes;

    fn answer(text: &'static str) -> Answer {
        Answer::Response(Response::new(Bytes::from_static(text.as_bytes())))
    }

    fn taken(pending: &mut Pending) -> Vec<Bytes> {
        let mut texts = Vec::new();
        while let Some(Answer::Response(response)) = pending.take() {
            texts.push(response.head);
        }
        texts
    }

    #[test]
    fn answers_leave_in_the_order_of_requests() {
        let mut pending = Pending::default();
        assert_eq!([pending.push(1), pending.push(2), pending.push(4)], [0, 1, 2]);
        assert_eq!(pending.give(2, answer("c")), Given { released: 4, must_schedule: false });
        assert_eq!(taken(&mut pending), Vec::<Bytes>::new());
        assert_eq!(pending.give(0, answer("a")), Given { released: 1, must_schedule: true });
        assert_eq!(taken(&mut pending), ["a"]);
        assert_eq!(pending.give(1, answer("b")), Given { released: 2, must_schedule: true });
        assert_eq!(taken(&mut pending), ["b", "c"]);
        assert_eq!((pending.len(), pending.unanswered()), (0, 0));
        assert_eq!(pending.push(0), 3);
    }

    #[test]
    fn answers_are_scheduled_once_until_they_are_taken() {
        let mut pending = Pending::default();
        pending.schedule();
        pending.push(0);
        pending.push(0);
        pending.push(0);
        assert!(!pending.give(0, answer("a")).must_schedule, "the driver is about to look");
        assert_eq!(taken(&mut pending), ["a"]);
        assert!(pending.give(1, answer("b")).must_schedule);
        assert!(!pending.give(2, answer("c")).must_schedule, "b has been scheduled and c leaves with it");
        assert_eq!(taken(&mut pending), ["b", "c"]);
    }

    #[test]
    fn a_closed_connection_gives_back_what_its_requests_took_and_no_more() {
        let mut pending = Pending::default();
        pending.push(10);
        pending.push(20);
        pending.give(1, answer("b"));
        assert_eq!(pending.close(), 10);
        assert_eq!(pending.give(0, answer("a")), Given { released: 0, must_schedule: false });
        assert!(pending.take().is_none());
    }
}
