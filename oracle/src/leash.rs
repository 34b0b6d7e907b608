use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// Ties the life of a child to this process: when this process dies, however it dies, the child is killed.
///
/// A shell waits on a pipe that this process holds. A killed process can't clean up, but the kernel closes its pipes. The
/// kernel's own signal at a parent's death would not do: it is sent at the death of the *thread* that started the child,
/// and a test's thread ends long before a server that several tests share.
#[derive(Debug)]
pub struct Leash {
    watcher: Child,
}

impl Leash {
    /// Ties `child` to this process, until the leash is dropped. Drop it after the child was waited for: the child's
    /// process id is not given to another process before that.
    ///
    /// # Errors
    /// There is no shell to be started.
    pub fn tie(child: &Child) -> io::Result<Self> {
        let mut shell = Command::new("sh");
        shell.args(["-c", "read -r _; kill -9 \"$0\"", &child.id().to_string()]);
        // In a group of its own: a Ctrl-C that ends us must not end the watcher first.
        shell.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self { watcher: shell.spawn()? })
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        // The watcher goes first: at the end of its input it would kill the child.
        let _ = self.watcher.kill();
        let _ = self.watcher.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> Child {
        Command::new("sleep").arg("1000").spawn().unwrap()
    }

    #[test]
    fn a_child_dies_when_the_pipe_of_its_leash_closes() {
        let mut child = sleeper();
        let mut leash = Leash::tie(&child).unwrap();
        drop(leash.watcher.stdin.take());
        assert!(!child.wait().unwrap().success());
    }

    #[test]
    fn a_child_lives_on_when_its_leash_is_dropped() {
        let mut child = sleeper();
        let mut leash = Leash::tie(&child).unwrap();
        let watcher = leash.watcher.id();
        assert!(leash.watcher.try_wait().unwrap().is_none(), "the watcher waits");
        drop(leash);
        assert!(!std::path::Path::new(&format!("/proc/{watcher}")).exists(), "the watcher is gone");
        assert!(child.try_wait().unwrap().is_none(), "the child is not");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
