//! The `posthaste` binary; everything it does is in `posthaste::cli`.

fn main() -> std::process::ExitCode {
    posthaste::cli::run()
}
