use ottla_types::Uuid;

/// A source of random bytes. In the simulator it is seeded, so that a run repeats.
pub trait Random: Send + Sync + 'static {
    /// Fills the buffer with random bytes, fit for secrets when it is the operating system's.
    fn fill(&self, buffer: &mut [u8]);

    /// A new random id of the kind that Kafka hands out: never reserved, never beginning with a dash.
    fn uuid(&self) -> Uuid {
        loop {
            let mut bytes = [0; 16];
            self.fill(&mut bytes);
            if let Some(id) = Uuid::from_random(bytes) {
                return id;
            }
        }
    }

    /// A random number.
    fn next_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}
