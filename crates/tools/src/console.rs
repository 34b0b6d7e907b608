use std::io::{self, BufWriter, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Where a tool writes. What it writes to the one stream is out before it writes to the other.
pub(crate) struct Console {
    output: BufWriter<Box<dyn Write + Send>>,
    errors: Box<dyn Write + Send>,
    /// Whether the output could not be written: nobody reads it any more.
    is_closed: bool,
    progress: Progress,
}

/// How far long work is, as somebody sees who waits at a terminal.
#[derive(Default)]
struct Progress {
    /// Whether anybody sees it: nothing of it gets into files and pipes.
    is_seen: bool,
    is_shown: bool,
    last: Option<Instant>,
}

/// A text that changes more often can't be read.
const PROGRESS_PAUSE: Duration = Duration::from_millis(100);

/// Back to the beginning of the line, and clear it.
const CLEAR_LINE: &[u8] = b"\r\x1b[K";

impl Console {
    /// The process's own output.
    pub(crate) fn standard() -> Self {
        let mut console = Self::new(Box::new(io::stdout()), Box::new(io::stderr()));
        console.progress.is_seen = io::stdout().is_terminal() && io::stderr().is_terminal();
        console
    }

    pub(crate) fn new(output: Box<dyn Write + Send>, errors: Box<dyn Write + Send>) -> Self {
        Self { output: BufWriter::new(output), errors, is_closed: false, progress: Progress::default() }
    }

    /// Writes to the output.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.hide_progress();
        self.is_closed |= self.output.write_all(bytes).is_err();
    }

    /// Writes to the output.
    pub(crate) fn print(&mut self, text: &str) {
        self.write(text.as_bytes());
    }

    /// Writes a line to the output.
    pub(crate) fn line(&mut self, text: &str) {
        self.print(text);
        self.write(b"\n");
    }

    /// Writes to the error output. An error that can't be told can't be told.
    pub(crate) fn error(&mut self, text: &str) {
        self.hide_progress();
        self.flush();
        let _ = self.errors.write_all(text.as_bytes()).and_then(|()| self.errors.flush());
    }

    /// Writes a line to the error output.
    pub(crate) fn error_line(&mut self, text: &str) {
        self.error(&format!("{text}\n"));
    }

    /// Shows how far long work is, in place of what was shown before. It goes away when anything else is said.
    pub(crate) fn progress(&mut self, text: &str) {
        let is_due = self.progress.last.is_none_or(|last| last.elapsed() >= PROGRESS_PAUSE);
        if !self.progress.is_seen || !is_due {
            return;
        }
        let _ = self.errors.write_all(&[CLEAR_LINE, text.as_bytes()].concat()).and_then(|()| self.errors.flush());
        self.progress.is_shown = true;
        self.progress.last = Some(Instant::now());
    }

    fn hide_progress(&mut self) {
        if std::mem::take(&mut self.progress.is_shown) {
            let _ = self.errors.write_all(CLEAR_LINE).and_then(|()| self.errors.flush());
        }
    }

    /// Puts out what is buffered.
    pub(crate) fn flush(&mut self) {
        self.hide_progress();
        self.is_closed |= self.output.flush().is_err();
    }

    /// Whether nobody reads the output any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Whether somebody types and reads: input and output are a terminal.
    pub(crate) fn is_interactive() -> bool {
        io::stdin().is_terminal() && io::stdout().is_terminal()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What comes out of both streams when somebody sees progress, or nobody does.
    fn said(is_seen: bool) -> [String; 2] {
        let (output, errors) = (Sink::default(), Sink::default());
        let mut console = Console::new(Box::new(output.clone()), Box::new(errors.clone()));
        console.progress.is_seen = is_seen;
        console.progress("1 of 2");
        console.line("done");
        console.flush();
        [output, errors].map(|sink| String::from_utf8(sink.0.lock().unwrap().clone()).unwrap())
    }

    #[test]
    fn progress_is_shown_at_a_terminal_only_and_goes_away_before_anything_else_is_said() {
        assert_eq!(said(true), ["done\n".to_owned(), "\r\u{1b}[K1 of 2\r\u{1b}[K".to_owned()]);
        assert_eq!(said(false), ["done\n".to_owned(), String::new()]);
    }
}
