use ottla_env::Random;
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

/// Random bytes of the operating system, fit for secrets.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsRandom;

impl Random for OsRandom {
    fn fill(&self, buffer: &mut [u8]) {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match getrandom(rest, GetRandomFlags::empty()) {
                Ok(bytes) => filled += bytes,
                Err(Errno::INTR) => {}
                // A program that would go on with guessable ids and secrets must rather not go on.
                Err(error) => panic!("the system gives no random bytes: {error}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_random_ids_differ() {
        assert_ne!(OsRandom.uuid(), OsRandom.uuid());
    }

    #[test]
    fn a_large_buffer_is_filled_to_its_end() {
        let mut buffer = [0; 4096];
        OsRandom.fill(&mut buffer);
        assert!(buffer[4000..].iter().any(|byte| *byte != 0));
    }
}
