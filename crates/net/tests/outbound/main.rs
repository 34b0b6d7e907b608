//! Requests to other nodes, whose part is played by plain sockets with a script.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something unexpected happens")]

use bytes::{BufMut as _, BytesMut};
use core::time::Duration;
use ottla_env::Clock;
use ottla_env_os::OsClock;
use ottla_net::{
    Answered, Ask, AskFailure, Destination, Framed, Greeted, Greeting, Outbound, OutboundOptions, Silence,
};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

const PATIENCE: Duration = Duration::from_secs(20);

/// Says hello, once or twice, and knows afterwards what the answer held.
struct Hello {
    rounds: usize,
}

impl Hello {
    fn times(rounds: usize) -> Self {
        Self { rounds }
    }
}

impl Greeting for Hello {
    type Known = Vec<u8>;

    fn begin(&self) -> BytesMut {
        request(b"hello")
    }

    fn answered(&self, round: usize, answer: &[u8]) -> Result<Greeted<Vec<u8>>, String> {
        match &answer[4..] {
            b"go away" => Err("was sent away".to_owned()),
            _ if round + 1 < self.rounds => Ok(Greeted::Again(request(b"hello again"))),
            known => Ok(Greeted::Known(known.to_vec())),
        }
    }
}

/// A header of eight bytes, of which the last four are the correlation id, and a text.
fn request(text: &[u8]) -> BytesMut {
    let mut bytes = BytesMut::from(&[0; 8][..]);
    bytes.put_slice(text);
    bytes
}

/// The other node's end of a connection.
struct Peer(TcpStream);

impl Peer {
    /// The correlation id and the text of the next request.
    fn hear(&mut self) -> ([u8; 4], Vec<u8>) {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).unwrap();
        let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut bytes).unwrap();
        (bytes[4..8].try_into().unwrap(), bytes[8..].to_vec())
    }

    fn say(&mut self, correlation: [u8; 4], text: &[u8]) {
        let mut bytes = u32::try_from(text.len() + 4).unwrap().to_be_bytes().to_vec();
        bytes.extend_from_slice(&correlation);
        bytes.extend_from_slice(text);
        self.0.write_all(&bytes).unwrap();
    }

    fn greet(mut self) -> Self {
        let (correlation, text) = self.hear();
        assert_eq!(text, b"hello");
        self.say(correlation, b"version 7");
        self
    }
}

/// A node that listens, and plays its script on each connection, with its number.
fn node(script: impl Fn(usize, Peer) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            script(number, Peer(stream.unwrap()));
        }
    });
    port
}

struct Asker {
    outbound: Outbound<Hello>,
    ended: Receiver<Destination>,
}

impl Asker {
    fn with(greeting: Hello, options: OutboundOptions) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(OsClock::new());
        let (tell, ended) = channel();
        let ended_at = Box::new(move |destination: &Destination| {
            let _ = tell.send(destination.clone());
        });
        Self { outbound: Outbound::start(greeting, options, clock, ended_at).unwrap(), ended }
    }

    fn new() -> Self {
        Self::with(Hello::times(1), OutboundOptions::default())
    }

    fn ask_within(&self, to: &Destination, text: &'static [u8], within: Duration) -> Receiver<Outcome> {
        let (tell, answer) = channel();
        let encode = Box::new(move |known: &Vec<u8>| {
            if text == b"unspeakable" {
                return Err("there is no word for it".to_owned());
            }
            Ok(Framed { bytes: request(text), version: i16::from(known[known.len() - 1] - b'0') })
        });
        let done = Box::new(move |outcome| {
            let _ = tell.send(outcome);
        });
        self.outbound.ask(to.clone(), Ask { encode, within, done });
        answer
    }

    fn ask(&self, to: &Destination, text: &'static [u8]) -> Receiver<Outcome> {
        self.ask_within(to, text, PATIENCE)
    }
}

type Outcome = Result<Answered, AskFailure>;

fn at(port: u16) -> Destination {
    Destination { host: Arc::from("127.0.0.1"), port, lane: 0 }
}

fn outcome(answer: &Receiver<Outcome>) -> Result<Vec<u8>, AskFailure> {
    answer.recv_timeout(PATIENCE).unwrap().map(|answered| answered.bytes[4..].to_vec())
}

fn echo(_: usize, peer: Peer) {
    thread::spawn(move || {
        let mut peer = peer.greet();
        loop {
            let (correlation, text) = peer.hear();
            peer.say(correlation, &text);
        }
    });
}

#[test]
fn a_request_is_answered_after_the_greeting_in_the_version_that_it_found() {
    let asker = Asker::new();
    let to = Destination { host: Arc::from("localhost"), ..at(node(echo)) };
    let answered = asker.ask(&to, b"what").recv_timeout(PATIENCE).unwrap().unwrap();
    assert_eq!((&answered.bytes[4..], answered.version), (&b"what"[..], 7));
}

#[test]
fn a_greeting_may_take_several_rounds() {
    let port = node(|_, peer| {
        let mut peer = peer.greet();
        let (correlation, text) = peer.hear();
        assert_eq!(text, b"hello again");
        peer.say(correlation, b"version 3");
        let (correlation, _) = peer.hear();
        peer.say(correlation, b"at last");
    });
    let asker = Asker::with(Hello::times(2), OutboundOptions::default());
    let answered = asker.ask(&at(port), b"what").recv_timeout(PATIENCE).unwrap().unwrap();
    assert_eq!((&answered.bytes[4..], answered.version), (&b"at last"[..], 3));
}

#[test]
fn many_requests_on_the_way_are_answered_in_order_and_once() {
    let asker = Asker::new();
    let to = at(node(echo));
    let answers: Vec<_> = (0..500).map(|_| asker.ask(&to, b"again")).collect();
    for answer in answers {
        assert_eq!(outcome(&answer), Ok(b"again".to_vec()));
        assert!(answer.recv().is_err(), "answered twice");
    }
}

#[test]
fn lanes_do_not_wait_for_each_other() {
    let (let_go, held) = channel::<()>();
    let held = std::sync::Mutex::new(Some(held));
    let port = node(move |number, peer| {
        let held = held.lock().unwrap().take();
        thread::spawn(move || {
            let mut peer = peer.greet();
            let (correlation, text) = peer.hear();
            if number == 0 {
                held.unwrap().recv_timeout(PATIENCE).unwrap();
            }
            peer.say(correlation, &text);
            peer.hear();
        });
    });
    let asker = Asker::new();
    let slow = asker.ask(&at(port), b"slow");
    // Its connection is the first, since only the second can be answered before it is let go.
    let quick = asker.ask(&Destination { lane: 1, ..at(port) }, b"quick");
    assert_eq!(outcome(&quick), Ok(b"quick".to_vec()));
    assert!(slow.try_recv().is_err());
    let_go.send(()).unwrap();
    assert_eq!(outcome(&slow), Ok(b"slow".to_vec()));
}

#[test]
fn an_answer_of_many_pieces_is_put_together() {
    let port = node(|_, peer| {
        let mut peer = peer.greet();
        let (correlation, _) = peer.hear();
        let mut bytes = (300_000u32 + 4).to_be_bytes().to_vec();
        bytes.extend_from_slice(&correlation);
        bytes.extend((0..300_000u32).map(|number| number as u8));
        for piece in bytes.chunks(70_001) {
            peer.0.write_all(piece).unwrap();
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(PATIENCE);
    });
    let asker = Asker::new();
    let answer = outcome(&asker.ask(&at(port), b"much")).unwrap();
    assert_eq!(answer.len(), 300_000);
    assert!(answer.iter().enumerate().all(|(index, byte)| *byte == index as u8));
}

#[test]
fn nobody_there_is_said_at_once_and_the_next_attempt_comes_later() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let asker = Asker::new();
    let first = outcome(&asker.ask(&at(port), b"anybody"));
    assert_eq!(first, Err(AskFailure::Refused));
    let second = outcome(&asker.ask_within(&at(port), b"anybody", Duration::from_millis(1)));
    assert_eq!(second, Err(AskFailure::TimedOut), "it waits for the next attempt, and no longer than it may");
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    thread::spawn(move || echo(0, Peer(listener.accept().unwrap().0)));
    let answer = asker.ask(&at(port), b"now");
    let heard = outcome(&answer);
    // One attempt may still have met the closed port.
    let heard = heard.or_else(|_| outcome(&asker.ask(&at(port), b"now")));
    assert_eq!(heard, Ok(b"now".to_vec()));
}

#[test]
fn a_process_that_is_just_going_is_found_gone() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // What the system does for a killed process: whoever connects is not heard any more, and then nobody listens.
    let going = thread::spawn(move || (0..3).for_each(|_| drop(listener.accept().unwrap())));
    let asker = Asker::new();
    assert_eq!(outcome(&asker.ask(&at(port), b"anybody")), Err(AskFailure::Refused));
    going.join().unwrap();
}

#[test]
fn who_accepts_and_never_listens_can_not_be_asked() {
    let port = node(|_, peer| drop(peer));
    let failure = outcome(&Asker::new().ask(&at(port), b"anybody"));
    assert_eq!(failure, Err(AskFailure::Closed));
}

#[test]
fn a_connection_that_ends_is_told_and_the_next_request_gets_a_new_one() {
    let port = node(|number, peer| {
        if number == 0 {
            let mut peer = peer.greet();
            peer.hear();
        } else {
            echo(number, peer);
        }
    });
    let asker = Asker::new();
    assert_eq!(outcome(&asker.ask(&at(port), b"lost")), Err(AskFailure::Closed));
    assert_eq!(asker.ended.recv_timeout(PATIENCE).unwrap(), at(port));
    assert_eq!(outcome(&asker.ask(&at(port), b"kept")), Ok(b"kept".to_vec()));
}

#[test]
fn a_late_answer_ends_the_connection_and_is_not_taken_for_the_next_one() {
    let port = node(|number, peer| {
        if number == 0 {
            let mut peer = peer.greet();
            let (correlation, _) = peer.hear();
            thread::sleep(Duration::from_millis(100));
            let mut late = vec![0, 0, 0, 8];
            late.extend_from_slice(&correlation);
            late.extend_from_slice(b"late");
            let _ = peer.0.write_all(&late);
        } else {
            echo(number, peer);
        }
    });
    let asker = Asker::new();
    assert_eq!(outcome(&asker.ask_within(&at(port), b"soon", Duration::from_millis(20))), Err(AskFailure::TimedOut));
    assert_eq!(outcome(&asker.ask(&at(port), b"again")), Ok(b"again".to_vec()));
}

#[test]
fn a_greeting_that_does_not_come_is_given_up() {
    let port = node(|_, peer| std::mem::forget(peer));
    let options = OutboundOptions { connect_max: Duration::from_millis(30), ..OutboundOptions::default() };
    let asker = Asker::with(Hello::times(1), options);
    let failure = outcome(&asker.ask(&at(port), b"hello?"));
    assert_eq!(failure, Err(AskFailure::Unreachable("it does not answer".to_owned())));
}

#[test]
fn what_no_answer_is_ends_the_connection() {
    let bad: [&[u8]; 4] = [
        // Another correlation id, a negative length, one that is too large, another protocol.
        &[0, 0, 0, 4, 9, 9, 9, 9],
        &[0xff, 0xff, 0xff, 0xff],
        &[0x7f, 0xff, 0xff, 0xff],
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ];
    for bytes in bad {
        let port = node(move |_, peer| {
            let mut peer = peer.greet();
            peer.hear();
            peer.0.write_all(bytes).unwrap();
            thread::sleep(PATIENCE);
        });
        let asker = Asker::new();
        let failure = outcome(&asker.ask(&at(port), b"what"));
        assert!(matches!(failure, Err(AskFailure::Malformed(_))), "{bytes:?}: {failure:?}");
    }
}

#[test]
fn who_is_sent_away_or_can_not_say_it_is_told_why() {
    let port = node(|_, mut peer| {
        let (correlation, _) = peer.hear();
        peer.say(correlation, b"go away");
        thread::sleep(PATIENCE);
    });
    let asker = Asker::new();
    let sent_away = AskFailure::Malformed("was sent away".to_owned());
    assert_eq!(outcome(&asker.ask(&at(port), b"what")), Err(sent_away));
    let unspeakable = AskFailure::Unsupported("there is no word for it".to_owned());
    assert_eq!(outcome(&asker.ask(&at(node(echo)), b"unspeakable")), Err(unspeakable));
}

#[test]
fn too_many_unanswered_requests_are_refused() {
    let port = node(|_, peer| {
        thread::spawn(move || {
            let _peer = peer.greet();
            thread::sleep(PATIENCE);
        });
    });
    let options = OutboundOptions { unanswered_max: 2, ..OutboundOptions::default() };
    let asker = Asker::with(Hello::times(1), options);
    let _kept = [asker.ask(&at(port), b"1"), asker.ask(&at(port), b"2")];
    assert_eq!(outcome(&asker.ask(&at(port), b"3")), Err(AskFailure::Overloaded));
}

#[test]
fn the_end_and_a_forgotten_node_are_answers_too() {
    let port = node(|_, peer| {
        thread::spawn(move || {
            let mut peer = peer.greet();
            peer.hear();
            thread::sleep(PATIENCE);
        });
    });
    let asker = Asker::new();
    let forgotten = asker.ask(&at(port), b"forgotten");
    asker.outbound.forget("127.0.0.1", port);
    assert_eq!(outcome(&forgotten), Err(AskFailure::Closed));
    let stopped = asker.ask(&at(port), b"stopped");
    drop(asker);
    let failure = outcome(&stopped);
    assert!(matches!(failure, Err(AskFailure::Stopped | AskFailure::Closed)), "{failure:?}");
}

/// Hosts may be silent for so long in these tests.
fn hears_silence(whole: Duration) -> Asker {
    let silence = Some(Silence::within(whole));
    Asker::with(Hello::times(1), OutboundOptions { silence, ..OutboundOptions::default() })
}

#[test]
fn while_an_answer_is_waited_for_the_other_host_is_made_to_say_that_it_is_there() {
    let port = node(|_, peer| {
        let mut peer = peer.greet();
        let (asked, text) = peer.hear();
        assert_eq!(text, b"late");
        let pulses: Vec<_> = (0..3).map(|_| peer.hear()).collect();
        assert!(pulses.iter().all(|(_, text)| text == b"hello"));
        peer.say(asked, b"at last");
        pulses.iter().for_each(|(correlation, _)| peer.say(*correlation, b"whatever"));
        loop {
            let (correlation, text) = peer.hear();
            peer.say(correlation, &text);
        }
    });
    let asker = hears_silence(Duration::from_millis(120));
    assert_eq!(outcome(&asker.ask(&at(port), b"late")), Ok(b"at last".to_vec()));
    assert_eq!(outcome(&asker.ask(&at(port), b"next")), Ok(b"next".to_vec()));
}

#[test]
fn a_process_that_stands_still_is_not_silent() {
    let port = node(|_, peer| {
        let mut peer = peer.greet();
        thread::sleep(Duration::from_millis(1_500));
        loop {
            let (correlation, text) = peer.hear();
            peer.say(correlation, &text);
        }
    });
    let asker = hears_silence(Duration::from_millis(240));
    assert_eq!(outcome(&asker.ask(&at(port), b"slow")), Ok(b"slow".to_vec()));
    assert!(asker.ended.try_recv().is_err());
}

#[test]
fn an_attempt_to_connect_that_the_host_does_not_answer_ends_after_the_silence() {
    // A listener whose queue is full answers no attempt, like a host that is not there.
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    listener.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let _fills_it = TcpStream::connect(address).unwrap();
    let begun = std::time::Instant::now();
    let asker = hears_silence(Duration::from_millis(400));
    assert_eq!(outcome(&asker.ask(&at(address.port()), b"anybody")), Err(AskFailure::Silent));
    assert!(begun.elapsed() >= Duration::from_millis(100) && begun.elapsed() < Duration::from_secs(5));
}
