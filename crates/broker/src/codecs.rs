//! The contexts of the codecs, used again from one batch to the next: a fresh one costs as much as a small batch.

use ottla_records::{Compressor, DECOMPRESSED_BATCH_BYTES_MAX, Decompressor};
use parking_lot::Mutex;

/// How many idle contexts of a kind are kept. More than the threads that serve connections is of no use.
const IDLE_MAX: usize = 16;

/// The node's contexts.
#[derive(Default)]
pub(crate) struct Codecs {
    decompressors: Mutex<Vec<Decompressor>>,
    compressors: Mutex<Vec<Compressor>>,
}

impl Codecs {
    /// Lends a decompressor that refuses a batch which grows over all measure.
    pub(crate) fn with_decompressor<T>(&self, work: impl FnOnce(&mut Decompressor) -> T) -> T {
        let idle = self.decompressors.lock().pop();
        let mut decompressor = idle.unwrap_or_else(|| Decompressor::new(DECOMPRESSED_BATCH_BYTES_MAX));
        let result = work(&mut decompressor);
        decompressor.trim();
        give_back(&self.decompressors, decompressor);
        result
    }

    /// Lends a decompressor and a compressor.
    pub(crate) fn with_both<T>(&self, work: impl FnOnce(&mut Decompressor, &mut Compressor) -> T) -> T {
        let mut compressor = self.compressors.lock().pop().unwrap_or_default();
        let result = self.with_decompressor(|decompressor| work(decompressor, &mut compressor));
        give_back(&self.compressors, compressor);
        result
    }
}

fn give_back<T>(idle: &Mutex<Vec<T>>, context: T) {
    let mut idle = idle.lock();
    if idle.len() < IDLE_MAX {
        idle.push(context);
    }
}
