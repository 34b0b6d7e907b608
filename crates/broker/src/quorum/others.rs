//! Between the quorum's machine and the other replicas: requests that leave, answers that come, and the other way round.

use super::QuorumError;
use super::appended::Appended;
use super::batches::read_batches;
use super::inner::{CallReply, Inner};
use crate::peers::{Lane, PeerFailure, Peers, api_versions_request};
use bytes::Bytes;
use core::time::Duration;
use ottla_log::{ReadBound, ReadRequest};
use ottla_net::{AskFailure, Destination as Address};
use ottla_protocol::messages::{FetchResponse, FetchSnapshotResponse};
use ottla_protocol::{RecordSet, Request as Message};
use ottla_raft::{
    BatchSummary, Call, CallId, Destination, Event, Request, RequestId, Response, SendFailure, SnapshotId,
};
use ottla_types::Offset;
use parking_lot::Mutex;
use std::sync::Arc;

/// Answers that have come and are not looked at yet: the machine has one request under way to each other replica.
const MAIL_MAX: usize = 1024;

/// An answer, or why there is none.
pub(super) struct Mail {
    request: RequestId,
    answer: Result<Response, SendFailure>,
}

/// Where answers of other replicas wait for the thread that may write and sync the log.
pub(crate) struct Mailbox {
    mail: Mutex<Vec<Mail>>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl Mailbox {
    pub(crate) fn new(wake: Arc<dyn Fn() + Send + Sync>) -> Self {
        Self { mail: Mutex::new(Vec::new()), wake }
    }

    fn put(&self, mail: Mail) {
        {
            let mut waiting = self.mail.lock();
            if waiting.len() >= MAIL_MAX {
                // The machine takes it for lost after its own time.
                return tracing::warn!("an answer of the metadata quorum is dropped: too many wait");
            }
            waiting.push(mail);
        }
        (self.wake)();
    }

    pub(super) fn take(&self) -> Vec<Mail> {
        std::mem::take(&mut *self.mail.lock())
    }

    /// There is a deadline that the thread does not know of.
    pub(super) fn wake(&self) {
        (self.wake)();
    }
}

impl Inner {
    /// Sends a request of the machine.
    pub(super) fn send(&self, to: Destination, request: RequestId, message: Request) {
        let lane = match message {
            Request::Fetch(_) | Request::FetchSnapshot(_) => Lane::Metadata,
            _ => Lane::Quorum,
        };
        let to = Address { host: Arc::from(to.address.host), port: to.address.port, lane: lane.number() };
        // The machine gives up at the same time, by its own clock; this ends the connection.
        let within = self.raft.settings().timeouts.request;
        let sender = Sender { peers: &self.peers, mailbox: &self.mailbox, to, request, within };
        match message {
            Request::Vote(message) => sender.send(message, Response::Vote),
            Request::BeginQuorumEpoch(message) => sender.send(message, Response::BeginQuorumEpoch),
            Request::EndQuorumEpoch(message) => sender.send(message, Response::EndQuorumEpoch),
            Request::Fetch(message) => sender.send(message, |response| Response::Fetch(response, Vec::new())),
            Request::FetchSnapshot(message) => sender.send(message, Response::FetchSnapshot),
            Request::AddRaftVoter(message) => sender.send(message, Response::AddRaftVoter),
            Request::RemoveRaftVoter(message) => sender.send(message, Response::RemoveRaftVoter),
            Request::UpdateRaftVoter(message) => sender.send(message, Response::UpdateRaftVoter),
            Request::ApiVersions => sender.send(api_versions_request(), Response::ApiVersions),
        }
    }

    /// Takes an answer to the machine. The records of a fetch are read here, for the machine must know where its epochs
    /// and control records are.
    pub(super) fn deliver(&mut self, mail: Mail) {
        let Mail { request, answer } = mail;
        match answer {
            Ok(Response::Fetch(response, _)) => {
                let (fetched, summaries) = self.read_fetched(&response);
                self.fetched = fetched;
                self.take(Event::Answered { request, response: Response::Fetch(response, summaries) });
                self.fetched.clear();
            }
            Ok(response) => self.take(Event::Answered { request, response }),
            Err(failure) => self.take(Event::SendFailed { request, failure }),
        }
    }

    /// The whole and undamaged batches at the beginning of what was fetched.
    fn read_fetched(&self, response: &FetchResponse) -> (Vec<Appended>, Vec<BatchSummary>) {
        let (mut fetched, mut summaries) = (Vec::new(), Vec::new());
        let partition = response.responses.first().and_then(|topic| topic.partitions.first());
        let records = partition.and_then(|partition| partition.records.as_bytes());
        let read = read_batches(records.map_or(&[], |records| records), &self.log.path(), |batch| {
            let (summary, appended) = batch.into_parts();
            summaries.push(summary);
            fetched.push(appended);
            Ok(())
        });
        if let Err(error) = read {
            tracing::warn!(%error, "part of the metadata that was fetched can't be read");
        }
        (fetched, summaries)
    }

    /// Takes the request of another replica to the machine; `reply` gets the answer, at once or later.
    pub(super) fn call(&mut self, version: i16, listener: &str, request: Request, reply: CallReply) {
        if self.failure.is_some() {
            // Without an answer the connection ends, and the replica asks another.
            return;
        }
        let id = CallId(self.next_call);
        self.next_call += 1;
        self.calls.insert(id, reply);
        self.take(Event::Called(Call { id, version, listener: listener.to_owned(), request }));
    }

    pub(super) fn reply(&mut self, call: CallId, response: Response) {
        if let Some(reply) = self.calls.remove(&call) {
            self.after.push(Box::new(move || reply(response)));
        }
    }

    pub(super) fn reply_with_records(
        &mut self,
        call: CallId,
        mut response: FetchResponse,
        offset: Offset,
        bytes_max: i32,
    ) -> Result<(), QuorumError> {
        let max_bytes = usize::try_from(bytes_max).unwrap_or(0);
        let request = ReadRequest { offset, max_bytes, min_one_batch: true, bound: ReadBound::LogEnd };
        let mut bytes = Vec::new();
        for range in &self.log.read(request)?.ranges {
            bytes.extend(range.read()?);
        }
        let whole = super::start::whole_batches(&bytes).len();
        bytes.truncate(whole);
        if let Some(partition) = response.responses.first_mut().and_then(|topic| topic.partitions.first_mut()) {
            partition.records = RecordSet::Bytes(Bytes::from(bytes));
        }
        self.reply(call, Response::Fetch(response, Vec::new()));
        Ok(())
    }

    pub(super) fn reply_with_snapshot(
        &mut self,
        call: CallId,
        mut response: FetchSnapshotResponse,
        id: SnapshotId,
        position: u64,
        bytes_max: i32,
    ) -> Result<(), QuorumError> {
        let bytes = self.disk_files.read_snapshot_part(id, position, usize::try_from(bytes_max).unwrap_or(0))?;
        if let Some(partition) = response.topics.first_mut().and_then(|topic| topic.partitions.first_mut()) {
            partition.unaligned_records = RecordSet::Bytes(Bytes::from(bytes));
        }
        self.reply(call, Response::FetchSnapshot(response));
        Ok(())
    }
}

/// One request on its way out.
struct Sender<'a> {
    peers: &'a Peers,
    mailbox: &'a Arc<super::Mailbox>,
    to: Address,
    request: RequestId,
    within: Duration,
}

impl Sender<'_> {
    fn send<R: Message + Send>(self, message: R, wrap: fn(R::Response) -> Response) {
        let (mailbox, request) = (self.mailbox.clone(), self.request);
        self.peers.ask(self.to, message, R::API_KEY.versions(), self.within, move |answer| {
            let answer = answer.map(wrap).map_err(|failure| match failure {
                PeerFailure::Ask(AskFailure::Unsupported(_)) => SendFailure::UnsupportedVersion,
                PeerFailure::Ask(AskFailure::Refused) => SendFailure::Refused,
                PeerFailure::Ask(AskFailure::Lost | AskFailure::Silent) => SendFailure::Silent,
                _ => SendFailure::Disconnected,
            });
            mailbox.put(Mail { request, answer });
        });
    }
}
