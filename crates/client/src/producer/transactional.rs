use super::Producer;
use super::requests::Transactional;
use super::sender::Shared;
use super::transaction::{EndStep, Transaction, TransactionVersion, severity_of_call};
use crate::admin::OffsetAndMetadata;
use crate::cluster::{Retry, is_stale};
use crate::consumer::ConsumerGroupMetadata;
use crate::error::{ClientError, Result};
use ottla_types::TopicPartition;
use std::collections::BTreeMap;
use std::time::Instant;

/// The feature whose finalized level says how the cluster keeps transactions.
const TRANSACTION_FEATURE: &str = "transaction.version";

impl Producer {
    /// Takes the place of all older producers of this `transactional.id`: they are fenced, and a transaction that one of
    /// them left open is aborted, or its end awaited. To be called once, before the first transaction.
    ///
    /// Dropping this future leaves the producer without a place; call it again.
    ///
    /// # Errors
    /// There is no `transactional.id`; the coordinator refuses it ([`ClientError::recovery`] says what to do); or no answer
    /// could be had within `max.block.ms`, then the call may be made again.
    pub async fn init_transactions(&self) -> Result<()> {
        let shared = &self.handle.shared;
        let _call = Call::begin(shared)?;
        shared.with_transaction(Transaction::begin_init)?;
        let mut retry = self.transactional_retry();
        let asked = shared.transactional(TransactionVersion::One);
        let answer = asked.init_producer_id(&mut retry, shared.settings.transaction_timeout, None).await;
        let (identity, can_bump) = shared.judged(answer)?;
        let version = shared.cluster_version();
        shared.with_transaction(|transaction| transaction.initialized(identity, version, can_bump));
        Ok(())
    }

    /// Begins a transaction: what is sent from now on belongs to it. Nothing is sent by this call.
    ///
    /// # Errors
    /// The transactions are not initialized, the one before has not ended, or the producer is stopped by an error.
    pub fn begin_transaction(&self) -> Result<()> {
        let shared = &self.handle.shared;
        let _call = Call::begin(shared)?;
        shared.with_transaction(Transaction::begin)
    }

    /// Makes offsets of a consumer's group part of the transaction: they are committed when it is, and not if not. `group`
    /// is what [`Consumer::group_metadata`](crate::Consumer::group_metadata) answers, so that a member that lost its place
    /// meanwhile is refused.
    ///
    /// Dropping this future leaves open whether the offsets are part of the transaction: call it again with the same
    /// offsets, or abort. A commit is refused until then.
    ///
    /// # Errors
    /// No transaction is open; the coordinators refuse it ([`ClientError::recovery`] says what to do, mostly to abort); or
    /// no answer could be had within `max.block.ms`, then the call may be made again.
    pub async fn send_offsets_to_transaction(
        &self,
        offsets: &BTreeMap<TopicPartition, OffsetAndMetadata>,
        group: &ConsumerGroupMetadata,
    ) -> Result<()> {
        let shared = &self.handle.shared;
        let _call = Call::begin(shared)?;
        if offsets.is_empty() {
            return shared.with_transaction(|transaction| transaction.check_open());
        }
        let (identity, version) = shared.with_transaction(|transaction| {
            Ok::<_, ClientError>((transaction.begin_offsets()?, transaction.version()))
        })?;
        let mut retry = self.transactional_retry();
        let answer = shared.transactional(version).send_offsets(&mut retry, identity, offsets, group).await;
        shared.judged(answer)?;
        shared.with_transaction(Transaction::offsets_sent);
        Ok(())
    }

    /// Sends everything that is in the buffer and commits the transaction. When it has returned, each of the transaction's
    /// [`Delivery`](super::Delivery)s is ready, and readers with `read_committed` see all of it at once.
    ///
    /// Dropping this future leaves the end open: call it again until it returns.
    ///
    /// # Errors
    /// A record could not be delivered, or the coordinator refuses: then [`ClientError::recovery`] says to abort or to close.
    /// Or no answer could be had within `max.block.ms`; then whether it is committed is not known, and this call, not
    /// another, has to be made again.
    pub async fn commit_transaction(&self) -> Result<()> {
        self.end_transaction(true).await
    }

    /// Gives up what was not sent yet and aborts the transaction: readers with `read_committed` see nothing of it.
    ///
    /// Dropping this future leaves the end open: call it again until it returns.
    ///
    /// # Errors
    /// No transaction is open, or the producer has to be closed. Or no answer could be had within `max.block.ms`; then
    /// this call, not another, has to be made again.
    pub async fn abort_transaction(&self) -> Result<()> {
        self.end_transaction(false).await
    }

    async fn end_transaction(&self, committed: bool) -> Result<()> {
        let shared = &self.handle.shared;
        let (_call, begun) = (Call::begin(shared)?, Instant::now());
        if committed {
            shared.with_transaction(Transaction::begin_commit)?;
        } else {
            let mut accumulator = shared.accumulator.lock();
            accumulator.transaction.as_mut().ok_or(NOT_TRANSACTIONAL)?.begin_abort()?;
            accumulator.give_up_waiting();
        }
        let mut retry = self.transactional_retry();
        self.nothing_is_on_its_way(&retry).await?;
        loop {
            let version = shared.with_transaction(|transaction| transaction.version());
            let asked = shared.transactional(version);
            match shared.with_transaction(Transaction::end_step)? {
                EndStep::Done => {
                    let took = if committed { &shared.counters.commit_ms } else { &shared.counters.abort_ms };
                    took.note_time(begun.elapsed());
                    return Ok(());
                }
                EndStep::End { identity, committed } => {
                    let next = shared.judged(asked.end(&mut retry, identity, committed).await)?;
                    let version = shared.cluster_version();
                    shared.with_transaction(|transaction| transaction.ended(next, version));
                }
                EndStep::NewEpoch { identity } => {
                    let timeout = shared.settings.transaction_timeout;
                    let answer = asked.init_producer_id(&mut retry, timeout, Some(identity)).await;
                    let (identity, can_bump) = shared.judged(answer)?;
                    shared.with_transaction(|transaction| transaction.initialized(identity, version, can_bump));
                }
            }
        }
    }

    /// Waits until each record has its fate and the coordinator answered for the partitions.
    async fn nothing_is_on_its_way(&self, retry: &Retry) -> Result<()> {
        let shared = &self.handle.shared;
        let settled = async {
            self.flush().await;
            loop {
                let answered = shared.added.notified();
                if !shared.with_transaction(|transaction| transaction.is_adding()) {
                    return;
                }
                answered.await;
            }
        };
        tokio::time::timeout(retry.left(), settled).await.map_err(|_| {
            let what = "sending the records of a transaction".to_owned();
            ClientError::Timeout { what, after: retry.timeout() }
        })
    }

    fn transactional_retry(&self) -> Retry {
        let shared = &self.handle.shared;
        shared.cluster.retry_for(shared.settings.block_max)
    }

    /// Aborts what is open, as far as that can be done: the producer is being closed.
    pub(super) async fn abort_at_close(&self) {
        let is_open = {
            let mut accumulator = self.handle.shared.accumulator.lock();
            let transaction = accumulator.transaction.as_mut();
            transaction.is_some_and(|transaction| !transaction.is_busy && transaction.begin_abort().is_ok())
        };
        if is_open && let Err(error) = self.abort_transaction().await {
            tracing::warn!(%error, "a transaction was left open by a producer that was closed");
        }
    }
}

const NOT_TRANSACTIONAL: ClientError = ClientError::State("a transactional.id is needed for transactions");

/// One call that changes the phase. Two of them at a time would end one transaction twice; ends when dropped.
struct Call<'a>(&'a Shared);

impl<'a> Call<'a> {
    fn begin(shared: &'a Shared) -> Result<Self> {
        let mut accumulator = shared.accumulator.lock();
        if accumulator.is_closed {
            return Err(ClientError::Closed);
        }
        let transaction = accumulator.transaction.as_mut().ok_or(NOT_TRANSACTIONAL)?;
        if transaction.is_busy {
            return Err(ClientError::State("another call about the transaction is under way"));
        }
        transaction.is_busy = true;
        Ok(Self(shared))
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.with_transaction(|transaction| transaction.is_busy = false);
    }
}

impl Shared {
    fn with_transaction<T>(&self, act: impl FnOnce(&mut Transaction) -> T) -> T {
        act(self.accumulator.lock().transaction.get_or_insert_with(Transaction::new))
    }

    fn transactional(&self, version: TransactionVersion) -> Transactional<'_> {
        let id = self.settings.transactional_id.as_deref().unwrap_or_default();
        Transactional { cluster: &self.cluster, id, version }
    }

    fn cluster_version(&self) -> TransactionVersion {
        TransactionVersion::of_level(self.cluster.finalized_level(TRANSACTION_FEATURE))
    }

    /// What a coordinator answered, after its errors have had their effect.
    fn judged<T>(&self, answer: Result<T>) -> Result<T> {
        answer.map_err(|error| {
            if error.is_retriable() || is_stale(&error) {
                return error;
            }
            self.with_transaction(|transaction| {
                transaction.fail(severity_of_call(&error), error.clone());
                transaction.error().unwrap_or(error)
            })
        })
    }
}
