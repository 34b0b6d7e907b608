//! Hosts the group coordinator on the partitions of `__consumer_offsets` that this broker leads.

mod gather;
mod host;
mod partition_log;
mod view;

pub(crate) use gather::Gather;
pub(crate) use host::java_address;
pub(crate) use partition_log::PartitionLog;
use view::ImageView;

use crate::coordinator_loads::CoordinatorLoads;
use crate::internal_topics::CONSUMER_OFFSETS;
use crate::metadata_view::MetadataView;
use crate::partition::Partition;
use crate::{call::Caller, codecs::Codecs};
use ottla_config::NodeConfig;
use ottla_coordinator::{GroupMachine, GroupRequest, MarkerEpoch, Now, RecordsSettings, Runtime, ShardSettings};
use ottla_env::{Clock, Monotonic, Random};
use ottla_groups::classic::MemberMemory;
use ottla_groups::consumer::assignor::Assignor;
use ottla_groups::{
    ClusterView, DeletedTopic, GroupCensus, GroupSettings, MigrationPolicy, Request, RequestContext, Response,
};
use ottla_protocol::ErrorCode;
use ottla_records::{Compression, CompressionLevel, EndTransactionMarker};
use ottla_types::{Offset, PartitionIndex, ProducerEpoch, ProducerId};
use parking_lot::RwLock;
use std::sync::Arc;
use std::time::Duration;

/// How many steps of one partition may wait for the high watermark.
const PARKED_MAX: usize = 100_000;
/// The most that one batch of the group log may decompress to.
const DECOMPRESSED_BYTES_MAX: usize = 64 << 20;

/// The group coordinators of this broker.
pub(crate) struct GroupService {
    runtime: Runtime<GroupMachine>,
    metadata: Arc<MetadataView>,
    config: Arc<RwLock<Arc<NodeConfig>>>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    codecs: Arc<Codecs>,
    settings: GroupSettings,
    /// How many partitions the topic gets when it is created.
    partitions_to_come: i32,
    loads: Arc<CoordinatorLoads>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

/// Takes a group's answer, on whichever thread has it.
pub(crate) type ReplyTo = Box<dyn FnOnce(Response) + Send>;

impl GroupService {
    pub(crate) fn new(
        config: Arc<RwLock<Arc<NodeConfig>>>,
        metadata: Arc<MetadataView>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        codecs: Arc<Codecs>,
        loads: Arc<CoordinatorLoads>,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Self {
        let alarm = wake.clone();
        let at_first = config.read().clone();
        let runtime = Runtime::new(shard_settings(&at_first), Box::new(move || alarm()));
        let settings = group_settings(&at_first);
        let partitions_to_come = at_first.offsets.offsets_topic_num_partitions;
        Self { runtime, metadata, config, clock, random, codecs, settings, partitions_to_come, loads, wake }
    }

    /// The partition that coordinates a group; `None` while there is no `__consumer_offsets`.
    pub(crate) fn partition_for(&self, group_id: &str) -> Option<PartitionIndex> {
        let image = self.metadata.image();
        let topic = image.topics.topic_by_name(CONSUMER_OFFSETS)?;
        let count = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        Some(PartitionIndex::new(ottla_groups::partition_for(group_id, count)))
    }

    /// The same, or while there is no such topic the partition that it will be.
    pub(crate) fn partition_or_future(&self, group_id: &str) -> PartitionIndex {
        let future = || PartitionIndex::new(ottla_groups::partition_for(group_id, self.partitions_to_come));
        self.partition_for(group_id).unwrap_or_else(future)
    }

    /// Takes a partition over. An empty one serves at once; another one waits for the thread that reads logs, and until then its
    /// groups are told to ask again.
    pub(crate) fn load(&self, partition: &Arc<Partition>) {
        let log = Arc::new(PartitionLog::new(partition.clone(), self.clock.clone(), self.codecs.clone()));
        let (metadata, config) = (self.metadata.clone(), self.config.clone());
        let views = move || -> Arc<dyn ClusterView> {
            Arc::new(ImageView { image: metadata.image(), config: config.read().clone() })
        };
        let machine = GroupMachine::new(self.settings.clone(), Box::new(views));
        let shard = self.runtime.open(partition.index, machine, log);
        self.loads.load("groups", partition, shard, self.clock.clone(), self.wake.clone());
    }

    /// Gives a partition up.
    pub(crate) fn unload(&self, partition: PartitionIndex) {
        self.runtime.unload(partition);
    }

    /// Gives all partitions up.
    pub(crate) fn unload_all(&self) {
        self.runtime.unload_all();
    }

    /// Gives a request to the coordinator of a group.
    pub(crate) fn submit(&self, caller: &Caller, group_id: &str, request: Request, reply_to: ReplyTo) {
        let context = self.context(caller);
        match self.partition_for(group_id) {
            Some(partition) => {
                self.runtime.submit(self.now(), partition, GroupRequest { context, request }, reply_to);
            }
            None => {
                let code = ottla_groups::refusal_without_coordinator(&request);
                reply_to(ottla_groups::refuse(&context, &request, code));
            }
        }
    }

    /// Gives a request to every partition that this broker coordinates, and says how many there are. Each of them calls
    /// `reply_to` once.
    pub(crate) fn submit_to_all(&self, caller: &Caller, request: &Request, reply_to: impl Fn(usize) -> ReplyTo) {
        let shards = self.runtime.shards();
        let count = shards.len();
        for (_, shard) in shards {
            let request = GroupRequest { context: self.context(caller), request: request.clone() };
            shard.submit(self.now(), request, reply_to(count));
        }
    }

    /// How many partitions this broker coordinates.
    pub(crate) fn shards(&self) -> usize {
        self.runtime.shards().len()
    }

    /// The groups of all partitions, counted.
    pub(crate) fn census(&self) -> GroupCensus {
        let mut census = GroupCensus::default();
        for (_, shard) in self.runtime.shards() {
            if let Some(counted) = shard.with_machine(|machine| machine.coordinator.census()) {
                census.add(&counted);
            }
        }
        census
    }

    /// Forgets the committed offsets of topics that are deleted.
    pub(crate) fn topics_deleted(&self, topics: &[DeletedTopic]) {
        for (_, shard) in self.runtime.shards() {
            let context =
                RequestContext { api_version: 0, client_id: "".into(), client_host: "".into(), random: [0; 16] };
            let request = GroupRequest { context, request: Request::TopicsDeleted(topics.to_vec()) };
            shard.submit(self.now(), request, Box::new(|_| ()));
        }
    }

    /// The high watermark of a partition of groups has moved by itself.
    pub(crate) fn on_high_watermark(&self, partition: PartitionIndex) {
        self.runtime.on_high_watermark(self.now(), partition);
    }

    /// Writes the marker that ends a producer's transaction into a partition of the group log; the offsets of the
    /// transaction are committed or forgotten by it.
    pub(crate) fn end_transaction(
        &self,
        partition: PartitionIndex,
        (producer_id, producer_epoch): (ProducerId, ProducerEpoch),
        marker: EndTransactionMarker,
        epoch: MarkerEpoch,
    ) -> Result<Offset, ErrorCode> {
        let shard = self.runtime.shard(partition).ok_or(ErrorCode::NotCoordinator)?;
        shard.end_transaction(self.now(), producer_id, producer_epoch, marker, epoch)
    }

    /// Lets everything happen whose time has come, and says when to come again.
    pub(crate) fn tick(&self) -> Option<Monotonic> {
        self.runtime.tick(self.now())
    }

    fn now(&self) -> Now {
        Now::of(&*self.clock)
    }

    fn context(&self, caller: &Caller) -> RequestContext {
        let mut random = [0; 16];
        self.random.fill(&mut random);
        RequestContext {
            api_version: caller.version(),
            client_id: caller.client_id().into(),
            client_host: java_address(caller.connection.peer.ip()).into(),
            random,
        }
    }
}

fn shard_settings(config: &NodeConfig) -> ShardSettings {
    let codec = match config.offsets.offsets_topic_compression_codec {
        1 => Compression::Gzip,
        2 => Compression::Snappy,
        3 => Compression::Lz4,
        4 => Compression::Zstd,
        _ => Compression::None,
    };
    let positive = |value: i32| u64::try_from(value).unwrap_or(0);
    ShardSettings {
        records: RecordsSettings {
            compression: CompressionLevel::default_of(codec),
            load_bytes: usize::try_from(config.offsets.offsets_load_buffer_size).unwrap_or(0),
            decompressed_bytes_max: DECOMPRESSED_BYTES_MAX,
        },
        commit_timeout: Duration::from_millis(positive(config.offsets.offsets_commit_timeout_ms)),
        parked_max: PARKED_MAX,
    }
}

/// The assignors, by their names or by those of Apache Kafka's classes; others are Java code.
fn assignors(names: &[String]) -> Vec<Assignor> {
    let of_class = |name: &str| match name.rsplit('.').next() {
        Some("UniformAssignor") => Some(Assignor::Uniform),
        Some("RangeAssignor") => Some(Assignor::Range),
        _ => None,
    };
    let known = names.iter().filter_map(|name| {
        let assignor = Assignor::of_name(name).or_else(|| of_class(name));
        if assignor.is_none() {
            tracing::warn!(name, "group.consumer.assignors names code that can't be loaded");
        }
        assignor
    });
    known.collect()
}

fn group_settings(config: &NodeConfig) -> GroupSettings {
    GroupSettings {
        session_timeout_ms_min: config.groups.group_min_session_timeout_ms,
        session_timeout_ms_max: config.groups.group_max_session_timeout_ms,
        initial_rebalance_delay_ms: config.groups.group_initial_rebalance_delay_ms,
        size_max: usize::try_from(config.groups.group_max_size).unwrap_or(usize::MAX),
        offset_metadata_length_max: usize::try_from(config.offsets.offset_metadata_max_bytes).unwrap_or(0),
        offsets_retention_ms: i64::from(config.offsets.offsets_retention_minutes).saturating_mul(60_000),
        offsets_retention_check_interval_ms: config.offsets.offsets_retention_check_interval_ms,
        consumer_size_max: usize::try_from(config.groups.group_consumer_max_size).unwrap_or(usize::MAX),
        consumer_assignors: assignors(&config.groups.group_consumer_assignors),
        migration_policy: MigrationPolicy::of_name(&config.groups.group_consumer_migration_policy).unwrap_or_default(),
        member_memory: Arc::new(MemberMemory::new(
            usize::try_from(config.groups.ottla_group_members_max_bytes).unwrap_or(usize::MAX),
        )),
        ..GroupSettings::default()
    }
}
