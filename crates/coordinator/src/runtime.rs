use crate::{Alarm, LoadError, LoadSummary, Machine, MachineLog, Now, ReplyTo, Shard, ShardSettings};
use ottla_env::Monotonic;
use ottla_protocol::ErrorCode;
use ottla_types::PartitionIndex;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The shards of one internal topic that this node leads.
pub struct Runtime<M: Machine> {
    shards: RwLock<BTreeMap<PartitionIndex, Arc<Shard<M>>>>,
    settings: ShardSettings,
    alarm: Arc<Alarm>,
}

impl<M: Machine> Runtime<M> {
    /// A runtime without shards. `wake` tells the thread that calls [`Self::tick`] to come earlier than it was told; it
    /// must only signal.
    pub fn new(settings: ShardSettings, wake: Box<dyn Fn() + Send + Sync>) -> Self {
        Self { shards: RwLock::default(), settings, alarm: Arc::new(Alarm::new(wake)) }
    }

    /// Takes a partition over with a machine that knows nothing yet. The shard refuses requests until
    /// [`Shard::load`] is done, which is for the caller to call, on whichever thread may take the time. A shard that
    /// was there before is unloaded.
    pub fn open(&self, partition: PartitionIndex, machine: M, log: Arc<dyn MachineLog>) -> Arc<Shard<M>> {
        let shard = Arc::new(Shard::new(machine, log, self.settings, self.alarm.clone()));
        let previous = self.shards.write().insert(partition, shard.clone());
        if let Some(previous) = previous {
            previous.unload();
        }
        shard
    }

    /// [`Self::open`] and [`Shard::load`] in one.
    ///
    /// # Errors
    /// As [`Shard::load`].
    pub fn load(
        &self,
        now: Now,
        partition: PartitionIndex,
        machine: M,
        log: Arc<dyn MachineLog>,
    ) -> Result<LoadSummary, LoadError> {
        self.open(partition, machine, log).load(|| now)
    }

    /// Gives a partition up.
    pub fn unload(&self, partition: PartitionIndex) {
        let shard = self.shards.write().remove(&partition);
        if let Some(shard) = shard {
            shard.unload();
        }
    }

    /// Gives all partitions up.
    pub fn unload_all(&self) {
        let shards = std::mem::take(&mut *self.shards.write());
        for shard in shards.values() {
            shard.unload();
        }
    }

    /// The shard of a partition that this node leads.
    pub fn shard(&self, partition: PartitionIndex) -> Option<Arc<Shard<M>>> {
        self.shards.read().get(&partition).cloned()
    }

    /// All shards, by partition: for requests that ask each of them.
    pub fn shards(&self) -> Vec<(PartitionIndex, Arc<Shard<M>>)> {
        self.shards.read().iter().map(|(partition, shard)| (*partition, shard.clone())).collect()
    }

    /// Gives a request to a partition's shard; NOT_COORDINATOR when it is not here.
    pub fn submit(&self, now: Now, partition: PartitionIndex, request: M::Request, reply_to: ReplyTo<M>) {
        match self.shard(partition) {
            Some(shard) => shard.submit(now, request, reply_to),
            None => reply_to(M::refuse(&request, ErrorCode::NotCoordinator)),
        }
    }

    /// The high watermark of a partition has moved.
    pub fn on_high_watermark(&self, now: Now, partition: PartitionIndex) {
        if let Some(shard) = self.shard(partition) {
            shard.on_high_watermark(now);
        }
    }

    /// Lets everything happen in all shards whose time has come, and says when to come again.
    pub fn tick(&self, now: Now) -> Option<Monotonic> {
        self.alarm.reset();
        let next = self.shards().iter().filter_map(|(_, shard)| shard.tick(now)).min();
        if let Some(next) = next {
            self.alarm.note(next);
        }
        next
    }
}
