//! Runs a tool: `cargo run -p ottla-tools --example tool -- kafka-topics --list --bootstrap-server localhost:9092`.

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    let name = arguments.next().unwrap_or_default();
    std::process::exit(ottla_tools::run(&name.to_string_lossy(), arguments.collect()));
}
