//! The `tradewind` command.

fn main() -> std::process::ExitCode {
    tradewind::cli::main()
}
