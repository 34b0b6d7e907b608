use std::io::{self, BufWriter, IsTerminal, Write};

/// Where a tool writes. What it writes to the one stream is out before it writes to the other.
pub(crate) struct Console {
    output: BufWriter<Box<dyn Write + Send>>,
    errors: Box<dyn Write + Send>,
    /// Whether the output could not be written: nobody reads it any more.
    is_closed: bool,
}

impl Console {
    /// The process's own output.
    pub(crate) fn standard() -> Self {
        Self::new(Box::new(io::stdout()), Box::new(io::stderr()))
    }

    pub(crate) fn new(output: Box<dyn Write + Send>, errors: Box<dyn Write + Send>) -> Self {
        Self { output: BufWriter::new(output), errors, is_closed: false }
    }

    /// Writes to the output.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
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
        self.flush();
        let _ = self.errors.write_all(text.as_bytes()).and_then(|()| self.errors.flush());
    }

    /// Writes a line to the error output.
    pub(crate) fn error_line(&mut self, text: &str) {
        self.error(&format!("{text}\n"));
    }

    /// Puts out what is buffered.
    pub(crate) fn flush(&mut self) {
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
